//! The recorded counts, a committed file, and the report of a difference.

use std::fmt;
use std::fmt::Write;
use std::process::Command;

use anyhow::Context;

/// The file of the recorded counts.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.txt");
/// A difference that is ignored, as a fraction of the recorded count.
const TOLERANCE: f64 = 0.03;
/// The same in instructions, for short work: the position of a program's constants in memory causes
/// such differences.
const SLACK: f64 = 16.0;

/// Counts by name, and the compiler of the program.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Record {
    compiler: String,
    counts: Vec<(String, u64)>,
}

impl Record {
    pub(crate) fn add(&mut self, name: &str, count: u64) {
        self.counts.push((name.to_owned(), count));
    }

    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(PATH).with_context(|| format!("reading {PATH}"))?;
        Self::parse(&text).with_context(|| format!("{PATH} is invalid"))
    }

    pub(crate) fn write(&mut self) -> anyhow::Result<()> {
        self.compiler = compiler();
        std::fs::write(PATH, self.to_string()).with_context(|| format!("writing {PATH}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let compiler = lines.next()?.strip_prefix("# ")?.to_owned();
        let count = |line: &str| {
            let (name, count) = line.split_once(char::is_whitespace)?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        Some(Self { compiler, counts: lines.map(count).collect::<Option<_>>()? })
    }

    /// The differences of `now`, and whether all are within the tolerance. Fewer instructions are a
    /// difference too: if they are not recorded, they could be lost again unnoticed.
    pub(crate) fn compare(&self, now: &Self) -> (String, bool) {
        let mut text = format!("{:28} {:>12} {:>12}\n", "instructions", "recorded", "now");
        let mut beyond = 0;
        for (name, count) in &now.counts {
            let known = self.counts.iter().find(|(known, _)| known == name).map(|known| known.1);
            let is_beyond = known.is_none_or(|known| {
                count.abs_diff(known) as f64 > SLACK.max(known as f64 * TOLERANCE)
            });
            let change = known.map(|known| (*count as f64 / known as f64 - 1.0) * 100.0);
            beyond += usize::from(is_beyond);
            let known = known.map_or("–".to_owned(), |known| known.to_string());
            let change = change.map_or("new".to_owned(), |c| format!("{c:+.1} %"));
            let mark = if is_beyond { "  <--" } else { "" };
            let _ = writeln!(text, "{name:28} {known:>12} {count:>12} {change:>9}{mark}");
        }
        for (name, known) in &self.counts {
            if !now.counts.iter().any(|(counted, _)| counted == name) {
                beyond += 1;
                let _ = writeln!(text, "{name:28} {known:>12} {:>12} {:>9}  <--", "–", "gone");
            }
        }
        if beyond > 0 {
            let _ = write!(
                text,
                "\n{beyond} of them moved by more than {} % and {SLACK}. If intended, record the new counts:\n\n    \
                 RPCD_UPDATE=1 cargo run --profile instructions -p rpc-instructions\n",
                TOLERANCE * 100.0
            );
            let compiler = compiler();
            if compiler != self.compiler {
                let _ = write!(text, "\nRecorded with {}; this is {compiler}.\n", self.compiler);
            }
        }
        (text, beyond == 0)
    }
}

/// The format of the file.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.compiler)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name:28} {count:>12}"))
    }
}

/// The compiler that cargo used for this program, if its name is known.
fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output();
    version.map_or_else(
        |_| "an unknown compiler".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(counts: &[(&str, u64)]) -> Record {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Record { compiler: "rustc 1".to_owned(), counts }
    }

    #[test]
    fn records_round_trip() {
        let written = record(&[("read", 1200), ("call", 3500)]);
        assert_eq!(Record::parse(&written.to_string()), Some(written));
        assert_eq!(Record::parse("read 5"), None);
        assert_eq!(Record::parse("# rustc 1\nread five"), None);
    }

    #[test]
    fn a_small_difference_is_ignored() {
        for (known, now) in [(1000, 1030), (1000, 970), (100, 116)] {
            let (text, agrees) = record(&[("read", known)]).compare(&record(&[("read", now)]));
            assert!(agrees && !text.contains("RPCD_UPDATE"), "{text}");
        }
    }

    #[test]
    fn more_and_fewer_instructions_are_reported_with_both_counts_and_a_hint() {
        for now in [969, 1031] {
            let (text, agrees) = record(&[("read", 1000)]).compare(&record(&[("read", now)]));
            assert!(!agrees && text.contains("1000") && text.contains(&now.to_string()), "{text}");
            assert!(text.contains("RPCD_UPDATE=1"), "{text}");
        }
    }

    #[test]
    fn new_and_missing_counts_must_be_recorded() {
        assert!(!record(&[]).compare(&record(&[("read", 1)])).1);
        assert!(!record(&[("read", 1)]).compare(&record(&[])).1);
        assert!(Record::read().is_ok());
    }
}
