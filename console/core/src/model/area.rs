//! A text area: an editable text of several lines.

use crate::key::{Code, Key};

/// Maximum size; more input is ignored.
const MAX_BYTES: usize = 256 * 1024;

/// A text of several lines with a cursor.
#[derive(Debug, Clone, Default)]
pub struct Area {
    lines: Vec<String>,
    row: usize,
    /// In characters.
    column: usize,
}

impl Area {
    /// A text with the cursor at its start.
    pub fn new(text: &str) -> Self {
        let mut area = Self { lines: vec![String::new()], row: 0, column: 0 };
        area.insert(text.trim_end());
        (area.row, area.column) = (0, 0);
        area
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Row and column of the cursor; columns count characters.
    pub fn cursor(&self) -> (usize, usize) {
        (self.row, self.column)
    }

    /// Moves the cursor, clamped to the text.
    pub fn move_to(&mut self, row: usize, column: usize) {
        self.row = row.min(self.lines.len().saturating_sub(1));
        self.column = column.min(self.width());
    }

    /// Inserts a text at the cursor.
    pub fn insert(&mut self, text: &str) {
        let size: usize = self.lines.iter().map(|line| line.len() + 1).sum();
        if size + text.len() > MAX_BYTES {
            return;
        }
        let text: String = text.replace('\t', "  ");
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        let mut pieces = text.split('\n');
        // All at once: character by character, a long line takes seconds.
        let at = self.byte();
        let rest = self.line().split_off(at);
        let first = pieces.next().unwrap_or_default();
        self.line().push_str(first);
        self.column += first.chars().count();
        let below: Vec<String> = pieces.map(str::to_owned).collect();
        if let Some(last) = below.last() {
            self.column = last.chars().count();
        }
        let (next, added) = (self.row + 1, below.len());
        self.lines.splice(next..next, below);
        self.row += added;
        self.line().push_str(&rest);
    }

    /// Applies an editing key; returns whether it was one.
    pub fn key(&mut self, key: Key) -> bool {
        if let Some(c) = key.types() {
            self.insert(c.encode_utf8(&mut [0; 4]));
            return true;
        }
        match (key.ctrl, key.code) {
            (false, Code::Enter) => self.new_line(),
            (false, Code::Backspace) => self.backspace(),
            (false, Code::Delete) | (true, Code::Char('d')) => self.delete(),
            (false, Code::Left) => self.left(),
            (false, Code::Right) => self.right(),
            (false, Code::Up) => self.move_to(self.row.saturating_sub(1), self.column),
            (false, Code::Down) => self.move_to(self.row + 1, self.column),
            (false, Code::PageUp) => self.move_to(self.row.saturating_sub(10), self.column),
            (false, Code::PageDown) => self.move_to(self.row + 10, self.column),
            (false, Code::Home) | (true, Code::Char('a')) => self.column = 0,
            (false, Code::End) | (true, Code::Char('e')) => self.column = self.width(),
            (true, Code::Char('k')) => {
                let at = self.byte();
                self.line().truncate(at);
            }
            _ => return false,
        }
        true
    }

    /// Starts a new line with the indentation of this one.
    fn new_line(&mut self) {
        let indent = self.line().chars().take_while(|c| *c == ' ').count().min(self.column);
        self.insert("\n");
        self.insert(&" ".repeat(indent));
    }

    fn backspace(&mut self) {
        if (self.row, self.column) != (0, 0) {
            self.left();
            self.delete();
        }
    }

    fn delete(&mut self) {
        let at = self.byte();
        if at < self.line().len() {
            self.line().remove(at);
        } else if self.row + 1 < self.lines.len() {
            let next = self.lines.remove(self.row + 1);
            self.line().push_str(&next);
        }
    }

    fn left(&mut self) {
        if self.column > 0 {
            self.column -= 1;
        } else if self.row > 0 {
            self.row -= 1;
            self.column = self.width();
        }
    }

    fn right(&mut self) {
        if self.column < self.width() {
            self.column += 1;
        } else if self.row + 1 < self.lines.len() {
            (self.row, self.column) = (self.row + 1, 0);
        }
    }

    /// The line of the cursor; creates one if there is none.
    fn line(&mut self) -> &mut String {
        if self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.row = self.row.min(self.lines.len() - 1);
        &mut self.lines[self.row]
    }

    /// Characters in the line of the cursor.
    fn width(&self) -> usize {
        self.lines.get(self.row).map_or(0, |line| line.chars().count())
    }

    /// The byte of the cursor in its line.
    fn byte(&self) -> usize {
        let line = self.lines.get(self.row).map_or("", String::as_str);
        line.char_indices().nth(self.column).map_or(line.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn press(area: &mut Area, codes: &[Code]) {
        for code in codes {
            area.key(Key::plain(*code));
        }
    }

    #[test]
    fn a_long_line_is_inserted_at_once() {
        let started = std::time::Instant::now();
        let mut area = Area::new(&"a".repeat(MAX_BYTES / 2));
        area.insert(&"b\n\tc".repeat(MAX_BYTES / 20));
        assert_eq!(area.cursor(), (MAX_BYTES / 20, 3));
        assert!(area.lines()[1].starts_with("  cb"), "{}", &area.lines()[1][..5]);
        assert!(area.lines().last().unwrap().starts_with("  caaa"));
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }

    #[test]
    fn lines_are_typed_split_and_joined() {
        let mut area = Area::new("{\n  \"ü\": 1\n}");
        press(&mut area, &[Code::Down, Code::End, Code::Enter, Code::Char('x')]);
        assert_eq!(area.text(), "{\n  \"ü\": 1\n  x\n}");
        press(&mut area, &[Code::Home, Code::Backspace, Code::Delete]);
        assert_eq!((area.text().as_str(), area.cursor()), ("{\n  \"ü\": 1 x\n}", (1, 8)));
        press(&mut area, &[Code::PageUp, Code::Left, Code::Backspace, Code::End, Code::Delete]);
        assert_eq!(area.text(), "{  \"ü\": 1 x\n}");
        assert!(!area.key(Key::plain(Code::Esc)));
    }

    proptest! {
        #[test]
        fn any_keys_leave_the_cursor_inside(keys in prop::collection::vec(0usize..12, 0..60)) {
            let codes = [
                Code::Char('ü'), Code::Char('{'), Code::Enter, Code::Backspace, Code::Delete,
                Code::Left, Code::Right, Code::Up, Code::Down, Code::Home, Code::End, Code::PageDown,
            ];
            let mut area = Area::new("{\n}");
            for key in keys {
                press(&mut area, &codes[key..=key]);
                let (row, column) = area.cursor();
                prop_assert!(column <= area.lines()[row].chars().count());
            }
        }
    }
}
