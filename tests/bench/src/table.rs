//! Medians of the rounds and ratios to the first row of the same round, as Markdown and as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Value, json};

use crate::plan::Options;
use crate::procfs;
use crate::round::{Row, Scenario};

/// A run was disturbed if other processes used more processor seconds than this.
const DISTURBED: f64 = 0.15;

/// What was measured, when, where and how.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    group: String,
    date: String,
    machine: String,
    pin: String,
    runs: u32,
    measure_ms: u128,
    warm_up_ms: u128,
    optimised: bool,
    rpcd: String,
    /// When that file was built.
    rpcd_built: String,
}

impl Head {
    /// The head of a measurement that starts now.
    pub fn new(group: &str, pin: &str, options: &Options, window: Duration, rpcd: &Path) -> Self {
        let built = std::fs::metadata(rpcd).and_then(|data| data.modified());
        let time = |time| humantime::format_rfc3339_seconds(time).to_string();
        Self {
            group: group.to_owned(),
            date: time(SystemTime::now()),
            machine: procfs::machine(),
            pin: pin.to_owned(),
            runs: options.runs,
            measure_ms: window.as_millis(),
            warm_up_ms: options.warm_up.as_millis(),
            optimised: unoptimised().is_none(),
            rpcd: rpcd.display().to_string(),
            rpcd_built: built.map_or_else(|_| "unknown".to_owned(), time),
        }
    }
}

/// What a run of a row results in: the figures of one kind of table.
pub trait Figures: Serialize + Sized + 'static {
    /// The columns, in order.
    const COLUMNS: &[Column<Self>];

    /// Processor seconds used by neither server nor load during the window.
    fn foreign_cpu(&self) -> f64;
}

/// A column of a table.
#[derive(Debug)]
pub struct Column<F> {
    /// Its title, with the unit.
    pub title: &'static str,
    /// Its key in the JSON.
    pub key: &'static str,
    /// Decimals shown.
    pub decimals: usize,
    /// Whether it is compared with that of the first row.
    pub compared: bool,
    /// The figure; `None` where it does not apply.
    pub figure: fn(&F) -> Option<f64>,
}

/// All measurements so far.
#[derive(Debug)]
pub struct Table<F> {
    head: Head,
    scenarios: Vec<Measured<F>>,
}

#[derive(Debug)]
struct Measured<F> {
    key: String,
    title: String,
    rows: Vec<Runs<F>>,
    /// Rows that were skipped, and rounds that failed.
    skipped: Vec<String>,
    failures: Vec<String>,
}

/// One row in all rounds that measured it.
#[derive(Debug)]
struct Runs<F> {
    name: &'static str,
    /// With the number of the round.
    runs: Vec<(u32, F)>,
}

impl<F: Figures> Table<F> {
    /// An empty table.
    pub fn new(head: Head) -> Self {
        Self { head, scenarios: Vec::new() }
    }

    /// Adds one round of a scenario.
    pub fn add(&mut self, scenario: &Scenario<F>, rows: Vec<(&'static str, Row<F>)>, round: u32) {
        let measured = self.scenario(scenario);
        for (name, row) in rows {
            match row {
                Row::Measured(figures) => measured.add(name, round, figures),
                Row::Skipped(why) => {
                    let line = format!("{name} skipped: {why}");
                    if !measured.skipped.contains(&line) {
                        measured.skipped.push(line);
                    }
                }
            }
        }
    }

    /// Adds a failed round of a scenario.
    pub fn fail(&mut self, scenario: &Scenario<F>, error: &str) {
        self.scenario(scenario).failures.push(error.to_owned());
    }

    /// Whether any round of any scenario failed.
    pub fn has_failures(&self) -> bool {
        self.scenarios.iter().any(|scenario| !scenario.failures.is_empty())
    }

    /// The table for people.
    pub fn markdown(&self) -> String {
        let Head { group, date, machine, pin, runs, measure_ms, rpcd, rpcd_built, .. } = &self.head;
        let mut text = format!(
            "## {group}, {pin}\n\n{date}, {machine}. Medians of {runs} interleaved runs of \
             {measure_ms} ms; in brackets the median of the ratios to the first row in the same \
             round.\n{rpcd}, built {rpcd_built}.\n"
        );
        if let Some(warning) = unoptimised() {
            let _ = writeln!(text, "\n{warning}");
        }
        for scenario in &self.scenarios {
            scenario.write(&mut text);
        }
        let runs = || self.scenarios.iter().flat_map(|one| &one.rows).flat_map(|row| &row.runs);
        let disturbed = runs().filter(|(_, figures)| figures.foreign_cpu() > DISTURBED).count();
        let _ = writeln!(
            text,
            "\nRuns during which other processes used more than {DISTURBED} processor seconds: \
             {disturbed} of {}.",
            runs().count()
        );
        text
    }

    /// The table for machines: head, and per row medians, ratios and every run.
    ///
    /// # Errors
    /// Never for these types.
    pub fn json(&self) -> serde_json::Result<String> {
        let scenarios: Vec<Value> = self.scenarios.iter().map(Measured::json).collect();
        serde_json::to_string_pretty(&json!({"head": self.head, "scenarios": scenarios}))
    }

    fn scenario(&mut self, scenario: &Scenario<F>) -> &mut Measured<F> {
        let known = self.scenarios.iter().position(|measured| measured.key == scenario.key);
        let index = known.unwrap_or_else(|| {
            self.scenarios.push(Measured {
                key: scenario.key.clone(),
                title: scenario.title.clone(),
                rows: Vec::new(),
                skipped: Vec::new(),
                failures: Vec::new(),
            });
            self.scenarios.len() - 1
        });
        &mut self.scenarios[index]
    }
}

impl<F: Figures> Measured<F> {
    fn add(&mut self, name: &'static str, round: u32, figures: F) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.runs.push((round, figures)),
            None => self.rows.push(Runs { name, runs: vec![(round, figures)] }),
        }
    }

    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "\n### {}: {}\n", self.key, self.title);
        if let Some(base) = self.rows.first() {
            let titles =
                F::COLUMNS.iter().map(|column| column.title).collect::<Vec<_>>().join(" | ");
            let _ = writeln!(text, "| | {titles} |\n|---|{}", "---:|".repeat(F::COLUMNS.len()));
            for row in &self.rows {
                let cells: Vec<_> =
                    F::COLUMNS.iter().map(|column| row.cell(column, base)).collect();
                let _ = writeln!(text, "| {} | {} |", row.name, cells.join(" | "));
            }
        }
        for line in &self.skipped {
            let _ = writeln!(text, "\n{line}");
        }
        for line in &self.failures {
            let _ = writeln!(text, "\nFailed: {line}");
        }
    }

    fn json(&self) -> Value {
        let row = |row: &Runs<F>| {
            let figures = |with: &dyn Fn(&Column<F>) -> Option<f64>| {
                F::COLUMNS
                    .iter()
                    .map(|column| (column.key.to_owned(), json!(with(column))))
                    .collect()
            };
            let ratios: Value = match self.rows.first() {
                Some(base) => figures(&|column| row.ratio(column, base)),
                None => Value::Null,
            };
            let medians: Value = figures(&|column| row.median(column));
            let runs: Vec<&F> = row.runs.iter().map(|(_, figures)| figures).collect();
            json!({"name": row.name, "medians": medians, "ratios": ratios, "runs": runs})
        };
        json!({
            "key": self.key,
            "title": self.title,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "skipped": self.skipped,
            "failures": self.failures,
        })
    }
}

impl<F: Figures> Runs<F> {
    fn cell(&self, column: &Column<F>, base: &Runs<F>) -> String {
        let Some(median) = self.median(column) else { return "–".to_owned() };
        let figure = thousands(median, column.decimals);
        match self.ratio(column, base).filter(|_| !std::ptr::eq(self, base)) {
            Some(ratio) => format!("{figure} ({ratio:.2})"),
            None => figure,
        }
    }

    fn median(&self, column: &Column<F>) -> Option<f64> {
        median(self.runs.iter().filter_map(|(_, figures)| (column.figure)(figures)).collect())
    }

    /// The median of the ratios to `base`, each of one round.
    fn ratio(&self, column: &Column<F>, base: &Runs<F>) -> Option<f64> {
        if !column.compared {
            return None;
        }
        let ratio = |(round, figures): &(u32, F)| {
            let (_, limit) = base.runs.iter().find(|(other, _)| other == round)?;
            let limit = (column.figure)(limit).filter(|limit| *limit > 0.0)?;
            Some((column.figure)(figures)? / limit)
        };
        median(self.runs.iter().filter_map(ratio).collect())
    }
}

/// A warning for figures of a development build.
pub fn unoptimised() -> Option<&'static str> {
    cfg!(debug_assertions).then_some("**Not optimised: these figures mean nothing.**")
}

/// The middle value, or the mean of the two middle ones; `None` if there are none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (upper + values.get(middle - 1)?) / 2.0 })
}

/// A number with a comma between thousands.
pub fn thousands(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;
    use crate::pin::Pin;

    fn table() -> (Table<Figures>, Scenario) {
        let options = Options {
            only: Vec::new(),
            pin: Pin::Free,
            runs: 3,
            measure: None,
            warm_up: Duration::from_millis(500),
            idle: 1,
            json: None,
        };
        let head =
            Head::new("rpc", "free", &options, Duration::from_secs(2), Path::new("/nowhere"));
        let scenario = Scenario {
            key: "A".to_owned(),
            title: "one".to_owned(),
            measure: Box::new(|_| Ok(())),
        };
        (Table::new(head), scenario)
    }

    fn calls(calls_per_second: f64) -> Row<Figures> {
        let calls_per_second = Some(calls_per_second);
        Row::Measured(Figures { calls: 1, calls_per_second, ..Figures::default() })
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(thousands(1234567.0, 0), "1,234,567");
        assert_eq!(thousands(1999.96, 1), "2,000.0");
        assert_eq!(thousands(0.0417, 3), "0.042");
        assert_eq!(thousands(-123.0, 0), "-123");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let (mut table, scenario) = table();
        for (round, (raw, rpcd)) in (1..).zip([(100.0, 90.0), (1000.0, 800.0), (10.0, 9.9)]) {
            table.add(&scenario, vec![("raw", calls(raw)), ("rpcd", calls(rpcd))], round);
        }
        let text = table.markdown();
        assert!(text.contains("### A: one"), "{text}");
        assert!(text.contains("| raw | 100 | –"), "{text}");
        assert!(text.contains("| rpcd | 90 (0.90) | –"), "{text}");
        let json: Value = serde_json::from_str(&table.json().unwrap()).unwrap();
        let row = &json["scenarios"][0]["rows"][1];
        assert_eq!(row["medians"]["calls_per_second"], 90.0);
        assert_eq!(row["ratios"]["calls_per_second"], 0.9);
        assert_eq!(row["runs"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn skipped_rows_and_failures_are_listed() {
        let (mut table, scenario) = table();
        table.add(&scenario, vec![("rpcd", Row::Skipped("no room".to_owned()))], 1);
        table.add(&scenario, vec![("rpcd", Row::Skipped("no room".to_owned()))], 2);
        assert!(!table.has_failures());
        table.fail(&scenario, "a wrong reply");
        let text = table.markdown();
        assert_eq!(text.matches("rpcd skipped: no room").count(), 1, "{text}");
        assert!(text.contains("Failed: a wrong reply") && table.has_failures(), "{text}");
    }
}
