//! What one policy made of a sick instance, compared with what is promised. Pure.

use std::fmt;

use crate::callers::Called;
use crate::outcome::{Fate, Outcome};

/// How long an instance may be sick unnoticed, in microseconds.
const SUSPICION: u64 = 500_000;
/// The share of all calls that may be sent to it afterwards, to see how it is.
const INTO_THE_HOLE: f64 = 0.01;
/// How long the throughput may suffer, in microseconds.
const SETTLED: u64 = 3_000_000;
/// The share of the throughput that is left then: two instances of three are.
const THROUGHPUT: f64 = 0.6;
/// How long after its recovery it gets calls again, in microseconds.
const BACK: u64 = 5_000_000;
/// How much longer than its timeout a call may take, in microseconds: the machine may be busy.
const GRACE: u64 = 500_000;
/// The share of the calls that it gets afterwards, at least: a third is fair.
const IN_ROTATION: f64 = 0.1;

/// When what happened, in microseconds since the start.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// All servers are well and called.
    pub well: u64,
    /// One begins to be sick.
    pub from: u64,
    /// It is.
    pub sick: u64,
    /// It begins to be well again.
    pub to: u64,
    /// It is.
    pub again: u64,
    /// The last call is made.
    pub end: u64,
    /// The timeout of a call.
    pub timeout: u64,
}

/// What was called in an open loop, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpenRow {
    /// Calls made.
    pub calls: usize,
    /// Read-only calls that failed.
    pub read_only_failed: usize,
    /// Others that failed.
    pub others_failed: usize,
    /// So many of them may.
    pub others_allowed: usize,
    /// The share of the calls, half a second after it fell sick, that were sent there, retries as well.
    pub into_the_hole: f64,
    /// When, after its recovery, it first replied, in seconds.
    pub back: Option<f64>,
    /// Calls that took longer than their timeout.
    pub overdue: usize,
    /// The share of the calls that it gets 5 s after its recovery.
    pub share: f64,
}

/// The same in a closed loop of read-only calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClosedRow {
    /// Calls that failed.
    pub failed: usize,
    /// Calls per second before it fell sick.
    pub before: f64,
    /// Calls per second from 3 s after that.
    pub during: f64,
    /// When, after its recovery, it first replied, in seconds.
    pub back: Option<f64>,
}

impl OpenRow {
    /// From the calls of one client, of which one instance of `instances` was sick, the one at `port`.
    pub fn of(called: &Called, times: &Times, port: u16, instances: usize) -> Self {
        let timeout = times.timeout;
        let outcomes = &called.outcomes;
        let failed = |read_only: bool| {
            let failed = outcomes.iter().filter(|it| it.fate != Fate::Ok);
            failed.filter(|it| it.method.may_repeat() == read_only).count()
        };
        let suspected = times.sick + SUSPICION;
        let made_within =
            |from: u64, to: u64| outcomes.iter().filter(move |it| (from..to).contains(&it.due));
        let others = made_within(times.well, times.from).filter(|it| !it.method.may_repeat());
        let rate = rate(others.count(), times.from - times.well);
        let after = || made_within(suspected, times.to);
        let later = after().filter(|it| !it.method.may_repeat()).count() as f64 * INTO_THE_HOLE;
        let sent = called
            .attempts
            .iter()
            .filter(|attempt| attempt.port == port && (suspected..times.to).contains(&attempt.at));
        let at_last = || made_within(times.again + BACK, times.end);
        Self {
            calls: outcomes.len(),
            read_only_failed: failed(true),
            others_failed: failed(false),
            others_allowed: allowed(rate * seconds(suspected - times.from) / instances as f64)
                + later as usize,
            overdue: outcomes.iter().filter(|it| it.took > timeout + GRACE).count(),
            into_the_hole: share(sent.count(), after().count()),
            back: back(outcomes, times, port),
            share: share(at_last().filter(|it| it.port == port).count(), at_last().count()),
        }
    }

    /// The promises that were broken.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.calls == 0 {
            broken.push("no calls".to_owned());
        }
        if self.read_only_failed > 0 {
            broken.push(format!("{} read-only calls failed", self.read_only_failed));
        }
        if self.others_failed > self.others_allowed {
            let (failed, allowed) = (self.others_failed, self.others_allowed);
            broken.push(format!("{failed} other calls failed, more than {allowed}"));
        }
        if self.overdue > 0 {
            broken.push(format!("{} calls took longer than their timeout", self.overdue));
        }
        if self.into_the_hole > INTO_THE_HOLE {
            broken.push(format!("{:.1} % of the calls went there", self.into_the_hole * 100.0));
        }
        broken.extend(not_back(self.back));
        if self.share < IN_ROTATION {
            broken.push(format!("well again, it gets {:.1} % of the calls", self.share * 100.0));
        }
        broken
    }
}

impl ClosedRow {
    /// From the calls of one client.
    pub fn of(called: &Called, times: &Times, port: u16) -> Self {
        let outcomes = &called.outcomes;
        let throughput = |from: u64, to: u64| {
            let ok = outcomes.iter().filter(|it| it.fate == Fate::Ok);
            rate(ok.filter(|it| (from..to).contains(&it.ended())).count(), to.saturating_sub(from))
        };
        Self {
            failed: outcomes.iter().filter(|it| it.fate != Fate::Ok).count(),
            before: throughput(times.well, times.from),
            during: throughput(times.from + SETTLED, times.to),
            back: back(outcomes, times, port),
        }
    }

    /// The share of the throughput that was left.
    pub fn kept(&self) -> f64 {
        self.during / self.before.max(1.0)
    }

    /// The promises that were broken.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.before < 1.0 {
            broken.push("no calls in a closed loop".to_owned());
        }
        if self.failed > 0 {
            broken.push(format!("{} calls failed in a closed loop", self.failed));
        }
        if self.kept() < THROUGHPUT {
            let (before, during) = (self.before, self.during);
            broken.push(format!("{during:.0} calls/s of {before:.0} are left after 3 s"));
        }
        broken.extend(not_back(self.back));
        broken
    }
}

/// So many calls are sent there in half a second as are expected, by chance at most three standard deviations
/// more (the choice of an instance is a Poisson process).
fn allowed(expected: f64) -> usize {
    // A small positive number.
    (expected + 3.0 * expected.sqrt()).ceil() as usize
}

fn back(outcomes: &[Outcome], times: &Times, port: u16) -> Option<f64> {
    let replies = outcomes.iter().filter(|it| it.fate == Fate::Ok && it.port == port);
    let first = replies.filter(|it| it.due >= times.again).map(Outcome::ended).min()?;
    Some(seconds(first.saturating_sub(times.again)))
}

fn not_back(back: Option<f64>) -> Option<String> {
    match back {
        Some(after) if after <= seconds(BACK) => None,
        Some(after) => Some(format!("back only {after:.1} s after its recovery")),
        None => Some("not back after its recovery".to_owned()),
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn rate(count: usize, micros: u64) -> f64 {
    count as f64 / seconds(micros).max(1e-6)
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl fmt::Display for OpenRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, read_only_failed, others_failed, others_allowed, .. } = self;
        let hole = self.into_the_hole * 100.0;
        write!(
            f,
            "{calls:>7} {read_only_failed:>9} {others_failed:>6} of {others_allowed:>2} {hole:>6.1} % {:>6} {:>4.0} %",
            After(self.back),
            self.share * 100.0
        )
    }
}

impl fmt::Display for ClosedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, before, kept) = (self.failed, self.before, self.kept());
        write!(f, "{before:>7.0} {kept:>5.2} {failed:>6} {:>6}", After(self.back))
    }
}

/// Seconds, if it ever came to that.
struct After(Option<f64>);

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(seconds) => f.pad(&format!("{seconds:.1} s")),
            None => f.pad("never"),
        }
    }
}

#[cfg(test)]
mod tests;
