//! Columns for people: each as wide as its widest cell, the last one as it is.

use rpc_host::logging::escape_controls;

/// Rows of equally many cells, two blanks between columns.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers, which end where the column ends.
    right: &'static [usize],
}

impl Table {
    /// A table whose first line is the heading; the columns in `right` hold numbers.
    pub fn new(heading: &[&str], right: &'static [usize]) -> Self {
        Self { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()], right }
    }

    /// Adds a row; a cell is one line without control characters.
    pub fn push(&mut self, row: Vec<String>) {
        // Here, so that columns are as wide as what is shown.
        self.rows.push(row.iter().map(|cell| escape_controls(cell).into_owned()).collect());
    }

    /// The lines, the heading first.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                match self.right.contains(&column) {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_end_together() {
        let mut table = Table::new(&["NAME", "CALLS", "NOTE"], &[1]);
        table.push(["a", "1", ""].map(str::to_owned).to_vec());
        table.push(["longer", "1000000", "x"].map(str::to_owned).to_vec());
        assert_eq!(
            table.lines(),
            ["NAME      CALLS  NOTE", "a             1", "longer  1000000  x"]
        );
        table.push(["a\nb\u{1b}", "1", "x"].map(str::to_owned).to_vec());
        assert_eq!(table.lines()[3], "a\\nb\\u{1b}        1  x");
    }
}
