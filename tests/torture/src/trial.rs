//! What trials of processes have in common: what they come to.

use std::fmt::{self, Write as _};

use anyhow::ensure;

use crate::callers::Called;
use crate::judge::Verdict;

/// What a trial came to.
#[derive(Debug, Default)]
pub struct Trial {
    /// What happened, for people.
    pub report: String,
    /// The promises that were broken.
    pub broken: Vec<String>,
    /// Errors that callers were told, some of them.
    pub errors: Vec<String>,
}

impl Trial {
    /// The calls of a trial, as they were judged.
    pub fn of(called: &Called, verdict: &Verdict) -> Self {
        let errors = called.errors.iter().map(|(_, text)| text.clone()).collect();
        let (report, broken) = (verdict.to_string(), verdict.broken());
        let mut trial = Self { report, broken, errors };
        trial.count(called.most_attempts, "attempts of one call, at most");
        trial.count(called.late.as_millis(), "ms: the most by which a call was made too late");
        trial
    }

    /// The promises that were broken, with the errors.
    ///
    /// # Errors
    /// There are some.
    pub fn verdict(&self) -> anyhow::Result<()> {
        let said: Vec<_> = self.broken.iter().chain(&self.errors).map(String::as_str).collect();
        ensure!(self.broken.is_empty(), "{}", said.join("\n  "));
        Ok(())
    }

    /// Adds a line to the report.
    pub fn count(&mut self, count: impl fmt::Display, what: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.report, "{count:>12}  {what}");
    }

    /// Notes that a promise was broken, unless there is nothing to note.
    pub fn never(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.broken.push(format!("{count} {what}"));
        }
    }

    /// Notes that the trial did not come to something, so that it has not tested it.
    pub fn sometimes(&mut self, count: u64, what: &str) {
        self.count(count, what);
        if count == 0 {
            self.broken.push(format!("not tested, since it never happened: {what}"));
        }
    }
}
