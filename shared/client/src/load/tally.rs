//! The accounts: what finished calls add up to. Bounded memory, however many there are.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::caller::Outcome;
use super::errors::{self, Errors};
use super::report::Share;
use crate::ErrorKind;

/// The longest latency told apart, an hour; anything longer counts as this.
pub(super) const LONGEST: u64 = 3_600_000_000_000;
/// A beginning this much behind its time is counted as late: anything less is the timer's and
/// the scheduler's doing.
pub(super) const LATE: Duration = Duration::from_millis(10);
/// Instances told apart; calls to further ones are counted together.
const MOST_INSTANCES: usize = 1000;

/// What was measured in some stretch of time.
#[derive(Debug)]
pub(super) struct Tally {
    /// Nanoseconds: of calls that succeeded, and of those that ran out of time. Without the
    /// latter a slow server would look the faster the more calls it lets time out; failures
    /// that come at once would make it look fast.
    pub(super) latency: Histogram<u64>,
    pub(super) calls: u64,
    pub(super) failed: u64,
    /// Failed without having reached anybody.
    pub(super) unreached: u64,
    /// Done before the measuring was over.
    pub(super) in_time: u64,
    /// Attempts beyond the first.
    pub(super) retries: u64,
    /// When the last one was done, from the beginning of the measuring.
    pub(super) last_done: Duration,
    /// How late the latest beginning was; open loop only.
    pub(super) furthest_behind: Duration,
    /// Beginnings later than [`LATE`].
    pub(super) late: u64,
    pub(super) errors: Errors,
    instances: HashMap<String, Part>,
}

/// One instance's part.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    calls: u64,
    failed: u64,
    nanos: u128,
}

/// A measured call that is done.
#[derive(Debug)]
pub(super) struct Finished {
    /// From when it began, or was to begin, to its end.
    pub(super) latency: Duration,
    /// How much later than intended it began.
    pub(super) behind: Duration,
    /// When it was done, from the beginning of the measuring.
    pub(super) done: Duration,
    /// Whether the measuring was not over then.
    pub(super) in_time: bool,
    pub(super) outcome: Outcome,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            calls: 0,
            failed: 0,
            unreached: 0,
            in_time: 0,
            retries: 0,
            last_done: Duration::ZERO,
            furthest_behind: Duration::ZERO,
            late: 0,
            errors: Errors::default(),
            instances: HashMap::new(),
        }
    }

    pub(super) fn record(&mut self, call: Finished) {
        let Finished { latency, behind, done, in_time, outcome } = call;
        self.calls += 1;
        self.in_time += u64::from(in_time);
        self.last_done = self.last_done.max(done);
        self.furthest_behind = self.furthest_behind.max(behind);
        self.late += u64::from(behind > LATE);
        self.retries += u64::from(outcome.retries);
        let kind = outcome.error.as_ref().map(crate::CallError::kind);
        if matches!(kind, None | Some(ErrorKind::Timeout)) {
            self.latency.saturating_record(nanos(latency));
        }
        if let Some(error) = &outcome.error {
            self.failed += 1;
            self.unreached += u64::from(kind == Some(ErrorKind::Unreachable));
            self.errors.count(error);
        }
        let said = outcome.error.as_ref().and_then(errors::peer);
        if let Some(peer) = outcome.peer.as_deref().or(said) {
            let failed = u64::from(outcome.error.is_some());
            self.part(peer).add(Part { calls: 1, failed, nanos: latency.as_nanos() });
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Histograms with the same bounds always fit together.
        let _ = self.latency.add(&other.latency);
        self.calls += other.calls;
        self.failed += other.failed;
        self.unreached += other.unreached;
        self.in_time += other.in_time;
        self.retries += other.retries;
        self.last_done = self.last_done.max(other.last_done);
        self.furthest_behind = self.furthest_behind.max(other.furthest_behind);
        self.late += other.late;
        self.errors.merge(&other.errors);
        for (peer, part) in &other.instances {
            self.part(peer).add(*part);
        }
    }

    /// Forgets everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        let mut latency = std::mem::replace(&mut self.latency, Histogram::new_from(&tiny()));
        latency.reset();
        let mut instances = std::mem::take(&mut self.instances);
        instances.clear();
        let mut errors = std::mem::take(&mut self.errors);
        errors.clear();
        *self = Self { latency, instances, errors, ..Self::new() };
    }

    /// The busiest first.
    pub(super) fn shares(&self) -> Vec<Share> {
        let share = |(address, part): (&String, &Part)| Share {
            address: address.clone(),
            calls: part.calls,
            failed: part.failed,
            mean: Duration::from_nanos_u128(part.nanos / u128::from(part.calls.max(1))),
        };
        let mut shares: Vec<Share> = self.instances.iter().map(share).collect();
        shares.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.address.cmp(&b.address)));
        shares
    }
}
