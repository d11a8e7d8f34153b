//! Lines as they are printed, each once.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use rpc_wire::report::LogLine;
use serde_json::{Map, Value};

use super::source::Line;
use crate::failure::Failure;
use crate::output;

/// Prints lines, and remembers the last one of each daemon.
pub(super) struct Printer {
    json: bool,
    daemons: BTreeMap<String, Printed>,
    /// Characters of the longest name.
    width: usize,
}

/// What was printed of a daemon.
#[derive(Default)]
struct Printed {
    /// Time and number of its last line.
    last: (u64, u64),
    /// Recent lines arrive again; those up to the last one are left out.
    resumes: bool,
    /// It is said once that it is lost.
    is_lost: bool,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { json, daemons: BTreeMap::new(), width: 0 }
    }

    /// Whether it was followed before.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.daemons.contains_key(name)
    }

    /// Lines of `name` follow.
    pub(super) fn starts(&mut self, name: &str, resumes: bool) {
        self.width = self.width.max(name.chars().count());
        self.daemons.entry(name.to_owned()).or_default().resumes = resumes;
    }

    /// Says once that lines of `name` are missing from now on.
    pub(super) fn lost(&mut self, name: &str, failure: &Failure) {
        let known = self.daemons.entry(name.to_owned()).or_default();
        if !std::mem::replace(&mut known.is_lost, true) {
            output::warn(&format!("lost the log of {name}: {}", failure.message));
        }
    }

    /// Prints a line, unless it was printed before.
    pub(super) fn print(&mut self, line: &Line) -> Result<(), Failure> {
        let known = self.daemons.entry(line.name.clone()).or_default();
        known.is_lost = false;
        let place = (line.line.at_ms, line.line.seq);
        if known.resumes && place <= known.last {
            return Ok(());
        }
        known.resumes = false;
        known.last = place;
        if self.json {
            return output::json(&document(line));
        }
        if line.dropped > 0 {
            output::text(&format!("({} lines of {} dropped here)", line.dropped, line.name))?;
        }
        output::text(&text(&line.name, &line.line, self.width))
    }
}

/// `2026-11-22T10:00:00.123Z  INFO 127.0.0.1:8089  rpc_server: listening address=…`.
fn text(name: &str, line: &LogLine, width: usize) -> String {
    // Beyond the year 9999 the formatter refuses; such a clock is wrong anyway.
    const LAST: u64 = 253_402_300_799_000;
    let at = UNIX_EPOCH + Duration::from_millis(line.at_ms.min(LAST));
    let time = humantime::format_rfc3339_millis(at);
    let level = line.level.as_str().to_uppercase();
    // A line break would look like another line.
    let text = line.text().replace('\n', "\\n");
    format!("{time} {level:>5} {name:<width$}  {}: {text}", line.target)
}

fn document(line: &Line) -> String {
    let mut object: Map<String, Value> = match serde_json::to_value(&line.line) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    object.insert("instance".to_owned(), line.name.as_str().into());
    if line.dropped > 0 {
        object.insert("dropped".to_owned(), line.dropped.into());
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::report::Level;

    fn line() -> LogLine {
        LogLine {
            seq: 7,
            at_ms: 1_000,
            level: Level::Warn,
            target: "rpc".to_owned(),
            message: "two\nlines".to_owned(),
            fields: Map::from_iter([("n".to_owned(), 5.into())]),
        }
    }

    #[test]
    fn a_line_says_when_how_severe_whose_and_what() {
        let said = text("a:1", &line(), 8);
        assert_eq!(said, "1970-01-01T00:00:01.000Z  WARN a:1       rpc: two\\nlines n=5");
        assert!(text("a:1", &LogLine { at_ms: u64::MAX, ..line() }, 0).starts_with("9999-"));
    }

    #[test]
    fn in_json_a_line_has_its_instance_and_what_was_lost() {
        let line = Line { name: "a:1".to_owned(), line: line(), dropped: 2 };
        let said: Value = serde_json::from_str(&document(&line)).unwrap();
        assert_eq!((&said["instance"], &said["dropped"]), (&"a:1".into(), &2.into()));
        assert_eq!((&said["message"], &said["level"]), (&"two\nlines".into(), &"warn".into()));
    }
}
