//! Callers like the older client: a connection per call, the registry's list every 3 s.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Called;
use crate::outcome::{Fate, Method, Outcome, Why};
use crate::process::{Process, Programs, SOON};

/// The directory of the older programs.
pub const OLDER_PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../python");

/// One of our programs around the older ones.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/python").join(name)
}

/// Such callers at work.
#[derive(Debug)]
pub struct OlderCallers {
    process: Process,
    outcomes: PathBuf,
}

impl OlderCallers {
    /// Starts them: so many calls per second of what the registry at `HOST:PORT` lists.
    ///
    /// # Errors
    /// They do not start.
    pub async fn start(programs: &Programs, registry: &str, rate: f64) -> anyhow::Result<Self> {
        let script = script("callers.py");
        let rate = rate.to_string();
        let arguments = [
            OsStr::new("-B"),
            script.as_os_str(),
            registry.as_ref(),
            rate.as_ref(),
            "outcomes".as_ref(),
        ];
        let variables = [("OLDER_PROGRAMS", OsStr::new(OLDER_PROGRAMS))];
        let mut process = Process::start(programs, Path::new("python3"), &arguments, &variables)?;
        process.line(|line| (line == "calling").then_some(())).await?;
        let outcomes = process.home().join("outcomes");
        Ok(Self { process, outcomes })
    }

    /// Makes no more calls, and waits until those in flight have ended.
    ///
    /// # Errors
    /// They fail, or what they wrote cannot be read.
    pub async fn end(mut self) -> anyhow::Result<Called> {
        self.process.end_input();
        self.process.ends(SOON).await?;
        let text = std::fs::read_to_string(&self.outcomes).context("reading the outcomes")?;
        let mut called = Called::default();
        for line in text.lines() {
            let outcome = outcome(line).with_context(|| format!("not an outcome: {line}"))?;
            if let Fate::Failed { why, .. } = outcome.fate {
                called.keep(why, outcome.method, || line.to_owned());
            }
            called.calls += 1;
            called.outcomes.push(outcome);
        }
        Ok(called)
    }
}

/// `ID DUE TOOK HOST:PORT WHAT`.
fn outcome(line: &str) -> Option<Outcome> {
    let mut words = line.splitn(5, ' ');
    let mut number = || words.next()?.parse().ok();
    let (id, due, took) = (number()?, number()?, number()?);
    let port = words.next()?.rsplit(':').next()?.parse().unwrap_or(0);
    let fate = match words.next()? {
        "ok" => Fate::Ok,
        "refused" => Fate::Failed { why: Why::Unreachable, may_have_run: false },
        error if error.starts_with("TimeoutError") => {
            Fate::Failed { why: Why::Timeout, may_have_run: true }
        }
        error if error.contains("no instances") => {
            Fate::Failed { why: Why::NoInstance, may_have_run: false }
        }
        // It was closed before the reply, which then is no JSON, or reset.
        _ => Fate::Failed { why: Why::Lost, may_have_run: true },
    };
    Some(Outcome { id, method: Method::Run, due, took, port, fate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_from_a_line() {
        let read = outcome("7 2000000 1500 127.0.0.1:80 ok").unwrap();
        assert_eq!(
            (read.id, read.due, read.took, read.port, read.fate),
            (7, 2_000_000, 1500, 80, Fate::Ok)
        );
        for (text, why, may_have_run) in [
            ("7 1 2 127.0.0.1:80 refused", Why::Unreachable, false),
            ("7 1 2 127.0.0.1:80 ConnectionResetError [Errno 104] reset", Why::Lost, true),
            ("7 1 2 127.0.0.1:80 TimeoutError timed out", Why::Timeout, true),
            ("7 1 2 - OSError no instances registered", Why::NoInstance, false),
        ] {
            assert_eq!(outcome(text).unwrap().fate, Fate::Failed { why, may_have_run }, "{text}");
        }
        assert_eq!(outcome("7 1"), None);
    }
}
