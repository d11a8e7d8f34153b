//! The traffic of an instance: rates that follow from the counters of its `rpc.stats`.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rpc_wire::report::{MethodStats, ServerStats};

/// Points of a graph of rates.
pub const POINTS: usize = 20;
/// Older samples are not shown: the instance no longer replies.
pub const FRESH: Duration = Duration::from_secs(4);
/// Methods of an instance that are counted; the others are not.
const MAX_METHODS: usize = 1_000;
/// A server that started this recently has made all its calls in the time it runs: its first sample is
/// enough for a rate.
const JUST_STARTED: Duration = Duration::from_secs(10);

/// The traffic of an instance or a method at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Calls started per second.
    pub calls: f64,
    /// Calls per second that ended in an error.
    pub errors: f64,
    /// Calls in flight.
    pub in_flight: u64,
    /// 99 of 100 calls were faster; for an instance or several, that of the slowest method called.
    pub p99: Option<Duration>,
}

/// Rates now, and calls per second over the last samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trend {
    /// Now.
    pub now: Rates,
    /// Calls per second, oldest first.
    pub calls: VecDeque<f64>,
}

impl Trend {
    fn push(&mut self, now: Rates) {
        if self.calls.len() == POINTS {
            self.calls.pop_front();
        }
        self.calls.push_back(now.calls);
        self.now = now;
    }

    /// Adds the traffic of another instance. Samples are taken of all in one go, so the last points
    /// are those of the same time.
    pub fn add(&mut self, other: &Self) {
        let (now, theirs) = (&mut self.now, other.now);
        now.calls += theirs.calls;
        now.errors += theirs.errors;
        now.in_flight = now.in_flight.saturating_add(theirs.in_flight);
        now.p99 = now.p99.max(theirs.p99);
        while self.calls.len() < other.calls.len() {
            self.calls.push_front(0.0);
        }
        for (mine, theirs) in self.calls.iter_mut().rev().zip(other.calls.iter().rev()) {
            *mine += theirs;
        }
    }
}

/// The traffic of an instance.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    last: Option<(Instant, ServerStats)>,
    total: Trend,
    methods: BTreeMap<String, Trend>,
    /// Whether it has no statistics: an older server.
    pub is_unsupported: bool,
}

impl Traffic {
    /// Applies the statistics that arrived at `at`.
    ///
    /// Rates are differences of counters over the server's own uptime, which is monotonic and free of
    /// the network's delays.
    pub fn apply(&mut self, at: Instant, mut stats: ServerStats) {
        stats.methods.truncate(MAX_METHODS);
        stats.methods.sort_by(|a, b| a.name.cmp(&b.name));
        let before = self.last.take().map(|(_, before)| before);
        let before = before.filter(|before| is_continued(before, &stats));
        if before.is_none() {
            (self.total, self.methods) = (Trend::default(), BTreeMap::new());
        }
        let since = before.as_ref().map_or(0, |before| before.uptime_ms);
        let span = Duration::from_millis(stats.uptime_ms.saturating_sub(since));
        let is_first = before.is_none() && span > JUST_STARTED;
        // The first calls of a server make no high rate because they came at once.
        let span = if before.is_none() { span.max(Duration::from_secs(1)) } else { span };
        if !span.is_zero() && !is_first {
            self.rates(before.as_ref(), &stats, span);
        }
        self.last = Some((at, stats));
    }

    fn rates(&mut self, before: Option<&ServerStats>, stats: &ServerStats, span: Duration) {
        let mut total = Rates::default();
        for method in &stats.methods {
            let earlier = before.and_then(|before| of_name(before, &method.name));
            let diff = |count: fn(&MethodStats) -> u64| {
                count(method).saturating_sub(earlier.map_or(0, count))
            };
            let (calls, errors) = (diff(|stats| stats.calls), diff(|stats| stats.errors));
            let p99 = (method.calls > 0).then(|| Duration::from_micros(method.p99_us));
            let rates = Rates {
                calls: per_second(calls, span),
                errors: per_second(errors, span),
                in_flight: method.in_flight,
                p99,
            };
            total.calls += rates.calls;
            total.errors += rates.errors;
            // Not the server's own sum: it counts the console's log stream, too.
            total.in_flight = total.in_flight.saturating_add(rates.in_flight);
            if calls > 0 {
                total.p99 = total.p99.max(p99);
            }
            self.methods.entry(method.name.clone()).or_default().push(rates);
        }
        // Between two calls the last known one is shown.
        total.p99 = total.p99.or(self.total.now.p99);
        self.total.push(total);
    }

    /// It restarted, or another server is at its address.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The traffic of all methods; `None` while it is unknown.
    pub fn total(&self, now: Instant) -> Option<&Trend> {
        Some(&self.total).filter(|trend| self.is_fresh(now) && !trend.calls.is_empty())
    }

    /// The traffic of a method; `None` while it is unknown.
    pub fn method(&self, name: &str, now: Instant) -> Option<&Trend> {
        self.methods.get(name).filter(|_| self.is_fresh(now))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        let age = |(at, _): &(Instant, _)| now.saturating_duration_since(*at);
        self.last.as_ref().is_some_and(|last| age(last) < FRESH)
    }
}

/// Whether no counter went back, as it does with a restart.
fn is_continued(before: &ServerStats, now: &ServerStats) -> bool {
    let is_more = |old: &MethodStats| {
        of_name(now, &old.name)
            .is_some_and(|new| new.calls >= old.calls && new.errors >= old.errors)
    };
    now.uptime_ms >= before.uptime_ms && before.methods.iter().all(is_more)
}

fn of_name<'a>(stats: &'a ServerStats, name: &str) -> Option<&'a MethodStats> {
    let at = stats.methods.binary_search_by(|method| method.name.as_str().cmp(name));
    stats.methods.get(at.ok()?)
}

#[expect(clippy::cast_precision_loss, reason = "a rate to show")]
fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stats(uptime_ms: u64, methods: &[(&str, u64, u64)]) -> ServerStats {
        let method = |(name, calls, errors): &(&str, u64, u64)| MethodStats {
            name: (*name).to_owned(),
            calls: *calls,
            errors: *errors,
            in_flight: 1,
            unreadable_for_old_clients: 0,
            p50_us: 100,
            p95_us: 200,
            p99_us: 300 * (*calls).min(9),
        };
        ServerStats {
            uptime_ms,
            connections: 1,
            connections_accepted: 1,
            connections_refused: 0,
            in_flight: 2,
            malformed: 0,
            log_lines_dropped: 0,
            methods: methods.iter().map(method).collect(),
        }
    }

    #[test]
    fn rates_are_differences_over_the_uptime() {
        let (mut traffic, now) = (Traffic::default(), Instant::now());
        traffic.apply(now, stats(60_000, &[("add", 100, 3), ("echo", 5, 0)]));
        assert_eq!(traffic.total(now), None, "one sample of a server that runs for long");
        traffic.apply(now, stats(62_000, &[("add", 120, 4), ("echo", 5, 0)]));
        let total = traffic.total(now).unwrap();
        assert_eq!((total.now.calls, total.now.errors, total.now.in_flight), (10.0, 0.5, 2));
        assert_eq!(total.now.p99, Some(Duration::from_micros(2_700)), "that of the method called");
        assert_eq!(traffic.method("echo", now).unwrap().now.calls, 0.0);
        traffic.apply(now, stats(63_000, &[("add", 120, 4), ("echo", 5, 0)]));
        assert_eq!(traffic.total(now).unwrap().calls, [10.0, 0.0]);
    }

    #[test]
    fn the_first_sample_of_a_new_server_is_a_rate() {
        let (mut traffic, now) = (Traffic::default(), Instant::now());
        traffic.apply(now, stats(500, &[("add", 4, 0)]));
        assert_eq!(traffic.total(now).unwrap().now.calls, 4.0, "in its first second");
    }

    #[test]
    fn a_restarted_instance_starts_over() {
        let (mut traffic, now) = (Traffic::default(), Instant::now());
        traffic.apply(now, stats(60_000, &[("add", 100, 3)]));
        traffic.apply(now, stats(61_000, &[("add", 110, 3)]));
        traffic.apply(now, stats(80_000, &[("add", 7, 0)]));
        assert_eq!(traffic.total(now), None, "its counter went back");
        traffic.apply(now, stats(81_000, &[("add", 9, 0)]));
        assert_eq!(traffic.total(now).unwrap().now.calls, 2.0);
        traffic.apply(now, stats(1_000, &[("add", 50, 0)]));
        assert_eq!(traffic.total(now).unwrap().now.calls, 50.0, "its uptime went back");
    }

    #[test]
    fn what_no_longer_arrives_is_not_shown() {
        let (mut traffic, now) = (Traffic::default(), Instant::now());
        traffic.apply(now, stats(500, &[("add", 4, 0)]));
        assert_eq!(traffic.total(now + FRESH), None);
        assert_eq!(traffic.method("add", now + FRESH), None);
    }

    #[test]
    fn the_last_points_of_a_sum_are_those_of_the_same_time() {
        let trend =
            |calls: &[f64]| Trend { calls: calls.iter().copied().collect(), ..Trend::default() };
        let mut sum = trend(&[1.0]);
        sum.add(&trend(&[5.0, 6.0]));
        assert_eq!(sum.calls, [5.0, 7.0]);
    }

    proptest! {
        /// Whatever servers reply, rates are finite and not negative.
        #[test]
        fn no_rate_is_negative(samples in prop::collection::vec(
            (any::<u64>(), any::<u64>(), any::<u64>(), 0u8..3), 1..20,
        )) {
            let (mut traffic, now) = (Traffic::default(), Instant::now());
            for (uptime, calls, errors, names) in samples {
                let methods = [("add", calls, errors), ("echo", errors, calls)];
                traffic.apply(now, stats(uptime, &methods[..usize::from(names.min(2))]));
                let total = traffic.total(now).cloned().unwrap_or_default();
                let mut all = vec![total.now.calls, total.now.errors];
                all.extend(total.calls);
                prop_assert!(all.iter().all(|rate| rate.is_finite() && *rate >= 0.0), "{:?}", all);
            }
        }

        /// Without a restart, rates times spans are all the calls counted.
        #[test]
        fn no_call_is_lost_or_counted_twice(steps in prop::collection::vec((1u64..5_000, 0u64..1_000), 1..15)) {
            let (mut traffic, now) = (Traffic::default(), Instant::now());
            let (mut uptime, mut calls, mut sum) = (100_000, 7, 0.0);
            traffic.apply(now, stats(uptime, &[("add", calls, 0)]));
            for (ms, more) in &steps {
                (uptime, calls) = (uptime + ms, calls + more);
                traffic.apply(now, stats(uptime, &[("add", calls, 0)]));
                sum += traffic.total(now).unwrap().now.calls * Duration::from_millis(*ms).as_secs_f64();
            }
            let made: u64 = steps.iter().map(|(_, more)| more).sum();
            prop_assert!((sum - made as f64).abs() < 1e-6 * (made as f64 + 1.0));
        }
    }
}
