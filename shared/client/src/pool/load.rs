//! A server's calls in flight from this client, its usual latency, and how often it failed or was slow lately.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::after;

use super::evidence::{Evidence, Run};
use super::slowness::Slowness;
use super::tally::{Sample, Tally};

/// Calls in flight, a moving average of their latency, which decays without new samples, and the outcomes of
/// the latest calls.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    /// Microseconds; 0 before the first call.
    latency: AtomicU64,
    /// Microseconds that its failures add to the cost of a call: a moving average with [`FAILURE`] for each.
    penalty: AtomicU64,
    failures: Evidence,
    slowness: Slowness,
    /// Microseconds from `epoch` to its return from an ejection: calls sent before say nothing of how it is now.
    back: AtomicU64,
    /// Microseconds from `epoch` to the latest trial call.
    trial: AtomicU64,
    /// Failed attempts that were made again elsewhere.
    retried: AtomicU64,
    /// Made with the first call: of long lists most instances are never called.
    tally: OnceLock<Box<Tally>>,
    window: Duration,
    /// Microseconds from `epoch` to the last call.
    sampled: AtomicU64,
    epoch: Instant,
}

/// A new sample has the weight 1/8.
const SMOOTHING: u64 = 8;
/// Half-life of a latency without new samples: a server that was a hundred times slower than others gets a call
/// again within 5 s.
const LATENCY_HALVING: Duration = Duration::from_millis(700);
/// What a failed call costs, however fast it failed; otherwise failing fast would attract calls.
const FAILURE: Duration = Duration::from_secs(1);
/// Half-life of that without new failures: a server of any speed gets a call again within 5 s.
const FAILURE_HALVING: Duration = Duration::from_millis(250);

impl Load {
    /// One that remembers the outcomes of the last `window`.
    pub(crate) fn new(epoch: Instant, window: Duration) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
            penalty: AtomicU64::new(0),
            failures: Evidence::default(),
            slowness: Slowness::new(),
            back: AtomicU64::new(0),
            trial: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            tally: OnceLock::new(),
            window,
            sampled: AtomicU64::new(0),
            epoch,
        }
    }

    /// Counts a call as in flight until the guard is dropped.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        match self.latency.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// Adds a call that succeeded; what speaks against the server, if the call was slow. Of samples that race one
    /// may be lost: it is an average.
    pub(crate) fn succeeded(&self, latency: Duration, now: Instant) -> Option<Run> {
        let (latency, now) = (micros(latency), self.micros_to(now));
        self.tally().succeeded(latency, now);
        let idle = self.idle(now);
        let after = match self.latency.load(Ordering::Relaxed) {
            0 => latency,
            before => mixed(decayed(before, idle, LATENCY_HALVING), latency).max(1),
        };
        self.latency.store(after, Ordering::Relaxed);
        let penalty = self.penalty.load(Ordering::Relaxed);
        if penalty > 0 {
            let penalty = decayed(penalty, idle, FAILURE_HALVING);
            self.penalty.store(mixed(penalty, 0), Ordering::Relaxed);
        }
        self.sampled.store(now, Ordering::Relaxed);
        if now.saturating_sub(latency) < self.back.load(Ordering::Relaxed) {
            return None;
        }
        self.failures.good();
        self.slowness.add(latency, now, micros(self.window))
    }

    /// Adds a call that was wrong, as the server said: a sign of health that says nothing of its latency.
    pub(crate) fn answered(&self, now: Instant) {
        self.tally().answered(self.micros_to(now));
        self.failures.good();
    }

    /// Adds a call that failed; what speaks against the server.
    pub(crate) fn failed(&self, now: Instant) -> Run {
        let now = self.micros_to(now);
        self.tally().failed(now);
        let run = self.failures.bad(now, micros(self.window));
        let idle = self.idle(now);
        let before = decayed(self.penalty.load(Ordering::Relaxed), idle, FAILURE_HALVING);
        self.penalty.store(mixed(before, micros(FAILURE)), Ordering::Relaxed);
        let latency = decayed(self.latency.load(Ordering::Relaxed), idle, LATENCY_HALVING);
        self.latency.store(latency, Ordering::Relaxed);
        self.sampled.store(now, Ordering::Relaxed);
        run
    }

    /// Counts a failed attempt that is made again elsewhere.
    pub(crate) fn note_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Its failures say no more than those of others.
    pub(crate) fn failures_are_outweighed(&self, now: Instant) {
        self.failures.restart(self.micros_to(now));
    }

    /// Its slow calls say no more than those of others.
    pub(crate) fn slowness_is_outweighed(&self, now: Instant) {
        self.slowness.restart(self.micros_to(now));
    }

    /// From which time on a call is slow.
    pub(crate) fn slow_from(&self) -> Duration {
        Duration::from_micros(self.slowness.from())
    }

    /// Calls that take at least so long are slow; `None`: none is.
    pub(crate) fn is_slow_from(&self, latency: Option<Duration>) {
        self.slowness.begins_at(latency.map(micros));
    }

    /// The server takes calls again, for the given time since it was last well for long. Its figures from before are
    /// forgotten, except that it was ejected.
    pub(crate) fn comes_back(&self, times: u32, now: Instant) {
        let now = self.micros_to(now);
        self.tally().clear();
        self.latency.store(0, Ordering::Relaxed);
        self.penalty.store(0, Ordering::Relaxed);
        self.trial.store(0, Ordering::Relaxed);
        self.back.store(now, Ordering::Relaxed);
        self.slowness.comes_back(times, now);
        self.failures.comes_back(times, now);
    }

    /// Whether the server is back, and no call that was sent since has ended.
    pub(crate) fn is_untried(&self) -> bool {
        self.failures.is_untried()
    }

    /// Whether a trial call of a server that is back may be made now: one at a time, unless the last is out for
    /// longer than `patience`.
    pub(crate) fn begin_trial(&self, now: Instant, patience: Duration) -> bool {
        let (now, patience) = (self.micros_to(now), micros(patience));
        let last = self.trial.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) > patience;
        let swap = || self.trial.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        is_due && swap().is_ok()
    }

    /// What speaks against a server that is back, if its trial call is slow already: a call that is out for so long
    /// takes at least so long.
    pub(crate) fn slow_trial(&self, now: Instant) -> Option<Run> {
        let (now, began) = (self.micros_to(now), self.trial.load(Ordering::Relaxed));
        let age = now.saturating_sub(began);
        let is_slow = began > 0 && self.is_untried() && age >= self.slowness.from();
        is_slow.then(|| self.slowness.add(age, now, micros(self.window))).flatten()
    }

    /// When a run of this server began.
    pub(crate) fn beginning(&self, run: Run) -> Instant {
        after(self.epoch, Duration::from_micros(run.since))
    }

    /// The outcomes that are remembered, all or from about some time on. Slow are calls that took about as long as
    /// `slow_from`, or longer.
    pub(crate) fn outcomes(
        &self,
        since: Option<Instant>,
        slow_from: Duration,
        now: Instant,
    ) -> Sample {
        let since = since.map_or(0, |since| self.micros_to(since));
        let (slow_from, now) = (micros(slow_from), self.micros_to(now));
        self.tally.get().map(|tally| tally.outcomes(since, slow_from, now)).unwrap_or_default()
    }

    /// How long the fastest of the latest calls took, if there were so many.
    pub(crate) fn fastest_of(&self, calls: u32, now: Instant) -> Option<Duration> {
        let fastest = self.tally.get()?.fastest_of(calls.into(), self.micros_to(now))?;
        Some(Duration::from_micros(fastest))
    }

    /// Roughly how long a further call would wait: calls in flight times latency. A server that was never
    /// called comes first.
    pub(crate) fn cost(&self, now: Instant) -> u64 {
        let calls = self.in_flight() as u64 + 1;
        let idle = self.idle(self.micros_to(now));
        let latency = decayed(self.latency.load(Ordering::Relaxed), idle, LATENCY_HALVING);
        let penalty = decayed(self.penalty.load(Ordering::Relaxed), idle, FAILURE_HALVING);
        calls.saturating_mul(latency.saturating_add(penalty).max(1))
    }

    fn tally(&self) -> &Tally {
        self.tally.get_or_init(|| Box::new(Tally::new(self.window)))
    }

    /// Microseconds since the last sample.
    fn idle(&self, now: u64) -> u64 {
        now.saturating_sub(self.sampled.load(Ordering::Relaxed))
    }

    fn micros_to(&self, now: Instant) -> u64 {
        micros(now.saturating_duration_since(self.epoch))
    }
}

/// What is left of `value` after so many microseconds.
fn decayed(value: u64, idle: u64, half_life: Duration) -> u64 {
    value >> (idle / micros(half_life)).min(63)
}

/// The moving average after a new sample.
fn mixed(before: u64, sample: u64) -> u64 {
    before - before / SMOOTHING + sample / SMOOTHING
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// One call in flight.
#[derive(Debug)]
pub(crate) struct InFlight<'a>(&'a Load);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    fn load(epoch: Instant) -> Load {
        Load::new(epoch, Duration::from_secs(10))
    }

    #[test]
    fn the_average_starts_with_the_first_sample_and_follows_slowly() {
        let now = Instant::now();
        let load = load(now);
        assert_eq!(load.latency(), None);
        load.succeeded(us(800), now);
        assert_eq!(load.latency(), Some(us(800)));
        load.succeeded(us(1600), now);
        assert_eq!(load.latency(), Some(us(900)));
    }

    #[test]
    fn more_calls_or_slower_ones_cost_more() {
        let now = Instant::now();
        let [busy, slow, free] = [(); 3].map(|()| load(now));
        busy.succeeded(us(100), now);
        free.succeeded(us(100), now);
        slow.succeeded(us(250), now);
        let calls = [busy.enter(), busy.enter()];
        assert!(free.cost(now) < slow.cost(now) && slow.cost(now) < busy.cost(now));
        drop(calls);
        assert_eq!(busy.cost(now), free.cost(now));
    }

    #[test]
    fn fast_failures_do_not_attract_calls_and_are_forgotten_in_time() {
        let now = Instant::now();
        let [failing, working] = [(); 2].map(|()| load(now));
        failing.failed(now);
        working.succeeded(us(5000), now);
        assert!(failing.cost(now) > working.cost(now));
        for _ in 0..100 {
            failing.failed(now);
            failing.succeeded(us(100), now);
        }
        assert!(failing.cost(now) > 50 * working.cost(now), "one that fails half of the time");
        let later = now + Duration::from_secs(4);
        working.succeeded(us(100), later);
        assert!(failing.cost(later) < working.cost(later), "{}", failing.cost(later));
    }

    #[test]
    fn what_a_server_was_before_a_pause_does_not_outweigh_what_it_is_now() {
        let now = Instant::now();
        let (stopped, other) = (load(now), load(now));
        for _ in 0..50 {
            stopped.succeeded(us(1_000_000), now);
            stopped.failed(now);
        }
        let later = now + Duration::from_secs(60);
        for load in [&stopped, &other] {
            load.succeeded(us(100), later);
        }
        assert!(stopped.cost(later) < 3 * other.cost(later), "{}", stopped.cost(later));
    }
}
