//! The sums over finished calls, in bounded memory.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::{Counter, Histogram};
use rpc_client::{CallError, ErrorKind};

use super::caller::Outcome;
use super::errors::Errors;
use crate::report::Share;

/// The longest latency recorded, an hour; a longer one counts as this.
const MAX_LATENCY: u64 = 3_600_000_000_000;
/// A start this far behind schedule counts as late; less is the noise of timer and scheduler.
const LATE: Duration = Duration::from_millis(10);
/// Maximum number of instances; calls to further ones are counted together.
const MAX_INSTANCES: usize = 1000;

/// The results of some period.
#[derive(Debug)]
pub(super) struct Tally {
    /// Nanoseconds, of calls that succeeded and of calls that timed out. Without timeouts a server
    /// that lets calls time out would look fast; with failures that return at once, so would a
    /// failing one.
    pub(super) latency: Histogram<u64>,
    pub(super) counts: Counts,
    pub(super) errors: Errors,
    instances: HashMap<String, Part>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) failed: u64,
    /// Failed without reaching a server.
    pub(super) unreached: u64,
    /// Finished before measuring ended.
    pub(super) in_time: u64,
    /// Attempts beyond the first.
    pub(super) retries: u64,
    /// When the last one finished, since the start of measuring.
    pub(super) last_done: Duration,
    /// The largest delay of a start; open loop only.
    pub(super) furthest_behind: Duration,
    /// Starts delayed by more than [`LATE`].
    pub(super) late: u64,
}

/// One instance's share.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    calls: u64,
    failed: u64,
    retried: u64,
    nanos: u64,
}

/// A measured call that has finished.
#[derive(Debug)]
pub(super) struct Finished {
    /// From when it started, or was scheduled to start, until it finished.
    pub(super) latency: Duration,
    /// How late it started.
    pub(super) behind: Duration,
    /// When it finished, since the start of measuring.
    pub(super) done: Duration,
    /// Whether it finished before measuring ended.
    pub(super) in_time: bool,
    pub(super) outcome: Outcome,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            counts: Counts::default(),
            errors: Errors::default(),
            instances: HashMap::new(),
        }
    }

    pub(super) fn record(&mut self, call: Finished) {
        let Outcome { peer, retries, retried_at, earlier, error } = call.outcome;
        let kind = error.as_ref().map(CallError::kind);
        self.counts.add(&Counts {
            calls: 1,
            failed: u64::from(error.is_some()),
            unreached: u64::from(kind == Some(ErrorKind::Unreachable)),
            in_time: u64::from(call.in_time),
            retries,
            last_done: call.done,
            furthest_behind: call.behind,
            late: u64::from(call.behind > LATE),
        });
        let nanos = nanos(call.latency);
        if matches!(kind, None | Some(ErrorKind::Timeout)) {
            self.latency.saturating_record(nanos);
        }
        let said = error.as_ref().and_then(CallError::peer);
        if let Some(peer) = peer.as_deref().or(said) {
            let failed = u64::from(error.is_some());
            let nanos = self::nanos(call.latency.saturating_sub(earlier));
            self.part(peer).add(&Part { calls: 1, failed, nanos, ..Part::default() });
        }
        for (peer, retried) in retried_at {
            self.part(&peer).add(&Part { retried, ..Part::default() });
        }
        if let Some(error) = &error {
            self.errors.count(error);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Histograms with the same bounds can always be merged.
        let _ = self.latency.add(&other.latency);
        self.counts.add(&other.counts);
        self.errors.merge(&other.errors);
        for (peer, part) in &other.instances {
            self.part(peer).add(part);
        }
    }

    /// Clears everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.latency.reset();
        self.counts = Counts::default();
        self.errors.clear();
        self.instances.clear();
    }

    /// Busiest first.
    pub(super) fn shares(&self) -> Vec<Share> {
        let share = |(address, part): (&String, &Part)| Share {
            address: address.clone(),
            calls: part.calls,
            failed: part.failed,
            retried: part.retried,
            mean: Duration::from_nanos(part.nanos / part.calls.max(1)),
        };
        let mut shares: Vec<Share> = self.instances.iter().map(share).collect();
        shares.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.address.cmp(&b.address)));
        shares
    }

    fn part(&mut self, peer: &str) -> &mut Part {
        // The name is copied only for a new instance.
        let room = self.instances.len() < MAX_INSTANCES;
        let name = if room || self.instances.contains_key(peer) { peer } else { "others" };
        if !self.instances.contains_key(name) {
            self.instances.insert(name.to_owned(), Part::default());
        }
        self.instances.entry(name.to_owned()).or_default()
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.unreached += other.unreached;
        self.in_time += other.in_time;
        self.retries += other.retries;
        self.last_done = self.last_done.max(other.last_done);
        self.furthest_behind = self.furthest_behind.max(other.furthest_behind);
        self.late += other.late;
    }
}

impl Part {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.retried += other.retried;
        self.nanos = self.nanos.saturating_add(other.nanos);
    }
}

/// An empty histogram of nanoseconds with three significant digits: about 270 KB.
#[expect(clippy::expect_used, reason = "the bounds are constants and correct, as the tests show")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY, 3).expect("constant bounds")
}

/// The same for a point of a series, with two significant digits: about 14 KB.
#[expect(clippy::expect_used, reason = "the bounds are constants and correct, as the tests show")]
pub(super) fn small_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1024, MAX_LATENCY, 2).expect("constant bounds")
}

/// A quantile, as the upper bound of its bucket but at most the maximum.
pub(super) fn nanoseconds<T: Counter>(value: u64, latency: &Histogram<T>) -> Duration {
    Duration::from_nanos(value.min(latency.max()))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_client::{Code, Fault, Phase};

    const MS: Duration = Duration::from_millis(1);

    fn finished(latency: Duration, peer: Option<&str>, error: Option<CallError>) -> Finished {
        let peer = peer.map(str::to_owned);
        let outcome = Outcome { peer, error, ..Outcome::default() };
        Finished { latency, behind: Duration::ZERO, done: latency, in_time: true, outcome }
    }

    fn timeout() -> CallError {
        CallError::Timeout { peer: "slow:1".to_owned(), after: MS, phase: Phase::Reply }
    }

    #[test]
    fn a_call_that_ran_out_of_time_counts_with_the_time_it_waited() {
        let mut tally = Tally::new();
        for _ in 0..9 {
            tally.record(finished(MS, Some("fast:1"), None));
        }
        tally.record(finished(1000 * MS, None, Some(timeout())));
        assert_eq!((tally.counts.calls, tally.counts.failed, tally.latency.len()), (10, 1, 10));
        assert!(tally.latency.max() >= nanos(1000 * MS));
        let shares = tally.shares();
        assert_eq!((shares[0].address.as_str(), shares[0].calls), ("fast:1", 9));
        assert_eq!((shares[1].address.as_str(), shares[1].failed), ("slow:1", 1));
    }

    #[test]
    fn an_instance_is_not_charged_for_attempts_on_others_and_those_show_at_theirs() {
        let mut tally = Tally::new();
        let mut call = finished(1000 * MS, Some("well:1"), None);
        (call.outcome.retries, call.outcome.earlier) = (1, 990 * MS);
        call.outcome.retried_at = vec![("stopped:1".to_owned(), 1)];
        tally.record(call);
        let shares = tally.shares();
        let rows: Vec<_> =
            shares.iter().map(|s| (s.address.as_str(), s.calls, s.retried, s.mean)).collect();
        assert_eq!(rows, [("well:1", 1, 0, 10 * MS), ("stopped:1", 0, 1, Duration::ZERO)]);
        assert!(tally.latency.max() >= nanos(990 * MS), "the caller waited for both");
    }

    #[test]
    fn failures_that_come_at_once_do_not_make_a_server_look_fast() {
        let mut tally = Tally::new();
        tally.record(finished(20 * MS, Some("a:1"), None));
        for _ in 0..1000 {
            let fault = Fault::new(Code::Overloaded, "no");
            let overloaded = CallError::Remote { peer: "b:1".to_owned(), fault: fault.into() };
            tally.record(finished(MS, None, Some(overloaded)));
        }
        let shares = tally.shares();
        let rows: Vec<_> = shares.iter().map(|s| (s.address.as_str(), s.calls, s.failed)).collect();
        assert_eq!(rows, [("b:1", 1000, 1000), ("a:1", 1, 0)], "each counts for who failed it");
        assert_eq!((tally.latency.len(), tally.counts.failed), (1, 1000));
        assert!(tally.latency.min() > nanos(19 * MS));
    }

    #[test]
    fn latencies_keep_three_digits_from_a_microsecond_to_an_hour() {
        for value in [1_000, 18_300, 999_000, 123_456_789, 3_599_000_000_000] {
            let mut latency = histogram();
            latency.record(value).unwrap();
            let read = latency.value_at_quantile(0.5);
            assert!(read.abs_diff(value) * 1000 <= value, "{value}: {read}");
        }
        let mut latency = histogram();
        latency.saturating_record(u64::MAX);
        assert!(latency.max() >= MAX_LATENCY);
        let mut small = small_histogram();
        small.record(18_300).unwrap();
        assert!(small.value_at_quantile(0.5).abs_diff(18_300) * 10 <= 18_300);
    }

    #[test]
    fn a_tally_that_was_cleared_is_a_new_one_and_merging_adds_up() {
        let mut part = Tally::new();
        part.record(finished(5 * MS, Some("a:1"), None));
        part.record(finished(7 * MS, Some("b:1"), Some(timeout())));
        let mut sum = Tally::new();
        sum.merge(&part);
        sum.merge(&part);
        assert_eq!((sum.counts.calls, sum.counts.failed, sum.latency.len()), (4, 2, 4));
        assert_eq!((sum.shares()[0].calls, sum.shares()[1].calls), (2, 2));
        assert_eq!(sum.counts.last_done, 7 * MS);
        part.clear();
        assert_eq!((part.counts.calls, part.latency.len()), (0, 0));
        assert!(part.shares().is_empty() && part.errors.counts().is_empty());
    }

    #[test]
    fn instances_beyond_the_limit_are_counted_together() {
        let mut tally = Tally::new();
        for port in 0..MAX_INSTANCES + 50 {
            tally.record(finished(MS, Some(&format!("a:{port}")), None));
        }
        let shares = tally.shares();
        assert_eq!(shares.len(), MAX_INSTANCES + 1);
        assert_eq!((shares[0].address.as_str(), shares[0].calls), ("others", 50));
    }
}
