//! Whether an instance fails, or is slow, where others are not: pure, from what was counted.
//!
//! A sequential test, the cumulative sum: in bits, a bad call says how much likelier it is with an instance that
//! does badly than with the others, and a good call the reverse. So a call that is rare with others says much, one
//! that everybody has says nothing, and no number of calls has to be waited for.

use std::time::Duration;

use tokio::time::Instant;

use crate::pool::{Load, Run, Sample};
use crate::{EjectionOptions, Rounded};

/// So many bad calls in a row eject, each of which must be worth so many bits.
#[derive(Debug, Clone, Copy)]
struct Row {
    calls: u32,
    bits: f64,
}

/// Bits of each failure. The five of the default are worth 15 together, as much as four standard errors. With fewer,
/// a method that fails half of the time everywhere would have an instance ejected every few seconds: so long is a row
/// of failures that comes by chance.
const BITS_OF_FAILURE: f64 = 3.0;
/// Bad calls that have not one cause. One may be a pause; with fewer bits than 18 together, every service has some.
const SEPARATE: Row = Row { calls: 3, bits: 6.0 };
/// Failures of one moment may have one cause, such as a pause or a lost connection. Those of a run that lasts for so
/// long have not: one that gets few calls because it fails is found out by as few.
const LASTING: Duration = Duration::from_millis(250);

/// The calls of others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Others {
    /// All that are remembered.
    all: Sample,
    /// Those since the run of the one that is judged began. When all begin to fail at the same time, this says so
    /// first.
    latest: Sample,
}

/// What to do after a bad call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Eject,
    /// It does no worse than others: its run begins anew.
    Outweighed,
    Wait,
}

impl Others {
    /// Those of `loads`, for the one that has this run.
    pub(super) fn of<'a>(
        loads: impl Iterator<Item = &'a Load>,
        (own, run): (&Load, Run),
        now: Instant,
    ) -> Self {
        let (slow_from, since) = (own.slow_from(), own.beginning(run));
        loads.fold(Self::default(), |sum, load| Self {
            all: sum.all.plus(load.outcomes(None, slow_from, now)),
            latest: sum.latest.plus(load.outcomes(Some(since), slow_from, now)),
        })
    }

    /// How often their calls are bad, by what is known: one standard error more than it seems (Wilson's bound), so
    /// that a few calls prove little.
    fn share(self, bad: fn(Sample) -> u64) -> f64 {
        let (all, latest) = (self.all, self.latest);
        let (seen, calls) = (bad(all) as f64, all.calls as f64);
        let known = (seen + 0.5 + (seen * (calls - seen) / calls + 0.25).sqrt()) / (calls + 1.0);
        known.max(bad(latest) as f64 / latest.calls.max(1) as f64)
    }
}

/// Judges an instance one of whose calls failed. Without calls of others only failures count that no caller can
/// cause.
pub(super) fn judge_failures(
    run: Run,
    others: Others,
    is_its_fault: bool,
    options: &EjectionOptions,
) -> Verdict {
    let limit = options.max_consecutive_failures.max(1);
    if others.all.calls == 0 {
        let in_a_row = is_its_fault && run.good == 0 && run.bad >= u64::from(limit);
        return if in_a_row { Verdict::Eject } else { Verdict::Wait };
    }
    let share = others.share(|sample| sample.failures);
    let in_a_row = Row { calls: limit, bits: BITS_OF_FAILURE };
    let rows = [in_a_row, SEPARATE];
    judge(run, share, if run.lasted < LASTING { &rows[..1] } else { &rows }, options)
}

/// Judges an instance one of whose calls was slow.
pub(super) fn judge_slowness(run: Run, others: Others, options: &EjectionOptions) -> Verdict {
    if others.all.calls == 0 {
        return Verdict::Wait;
    }
    let share = others.share(|sample| sample.slow);
    judge(run, share, &[SEPARATE], options)
}

impl Row {
    /// What it is worth at least, with so many bits of a bad call.
    fn needed(self, of_bad: f64) -> f64 {
        f64::from(self.calls) * of_bad.max(self.bits)
    }
}

/// Judges by how often calls of others are bad: as much is needed as one of `rows` is worth. One that is back from an
/// ejection begins with as many bad calls, and with one more for each time that it came back before in vain: chance
/// lets one that fails half of the time pass a few calls.
fn judge(run: Run, others: f64, rows: &[Row], options: &EjectionOptions) -> Verdict {
    // So often calls are bad that are not with others.
    let ratio = options.max_failure_ratio.clamp(0.01, 0.999);
    let of_bad = ((others + ratio * (1.0 - others)) / others).log2();
    let of_good = -(1.0 - ratio).log2();
    let least = rows.iter().min_by(|a, b| a.needed(of_bad).total_cmp(&b.needed(of_bad)));
    let Some(row) = least else { return Verdict::Wait };
    let before = if run.back > 0 { u64::from(row.calls + run.back - 1) } else { 0 };
    let sum = |bad: u64| (before + bad) as f64 * of_bad - run.good as f64 * of_good;
    if sum(run.bad) >= row.needed(of_bad) {
        Verdict::Eject
    } else if run.good > 0 && sum(run.bad.saturating_sub(1)) <= 0.0 {
        Verdict::Outweighed
    } else {
        Verdict::Wait
    }
}

/// For people.
pub(super) fn failures(run: Run, others: Others) -> String {
    let others = others.all;
    format!("{} failed{}", bad_calls(run), of_others(others.failures, others.calls))
}

/// For people.
pub(super) fn slow_calls(run: Run, others: Others, at_least: Duration) -> String {
    let (others, at_least) = (others.all, Rounded(at_least));
    let of_others = of_others(others.slow, others.calls);
    format!("{} took at least {at_least}{of_others}", bad_calls(run))
}

fn bad_calls(run: Run) -> String {
    let Run { bad, good, back, .. } = run;
    match (bad, good, back > 0) {
        (1, 0, true) => "its first call since it came back".to_owned(),
        (bad, good, true) => format!("{bad} of its {} calls since it came back", bad + good),
        (bad, 0, false) => format!("its last {bad} calls"),
        (bad, good, false) => format!("{bad} of its latest {} calls", bad + good),
    }
}

fn of_others(bad: u64, calls: u64) -> String {
    if calls == 0 { String::new() } else { format!(", of the others' {bad} of {calls}") }
}

/// From which time on calls are slow beside those of others, given the fastest of each of them.
pub(super) fn slow_from(others: &mut [Duration], options: &EjectionOptions) -> Option<Duration> {
    others.sort_unstable();
    let usual = *others.get(others.len() / 2)?;
    let factor = options.max_latency_factor;
    let from = Duration::try_from_secs_f64(usual.as_secs_f64() * factor).unwrap_or(Duration::MAX);
    (factor > 0.0).then(|| from.max(options.min_latency))
}

#[cfg(test)]
mod tests;
