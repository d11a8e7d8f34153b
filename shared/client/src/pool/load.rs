//! How busy one server is with our calls, and how fast it usually answers.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Calls under way and a moving average of their latency, which fades when nothing renews it.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    /// Microseconds; 0 before the first call.
    latency: AtomicU64,
    /// The latest call was not taken.
    refused: AtomicBool,
    /// Microseconds from `epoch` to the latest call.
    sampled: AtomicU64,
    epoch: Instant,
}

/// A new sample counts for one part in so many.
const SMOOTHING: u64 = 8;
/// A latency counts for half after each such time without a new sample: who was slow once gets
/// another chance.
const HALVING: Duration = Duration::from_secs(5);
/// A server that did not take a call counts as at least so slow, or failing fast would make it
/// look attractive.
const REFUSED: Duration = Duration::from_secs(1);

impl Load {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            latency: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            sampled: AtomicU64::new(0),
            epoch,
        }
    }

    /// Counts a call as under way until the guard is dropped.
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

    /// Takes a finished call into account. Samples that race may lose one another: it is an
    /// average.
    pub(crate) fn record(&self, latency: Duration, now: Instant) {
        let sample = micros(latency);
        let before = self.latency.load(Ordering::Relaxed);
        let after = match before {
            0 => sample,
            _ => before - before / SMOOTHING + sample / SMOOTHING,
        };
        self.latency.store(after.max(1), Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
        self.sampled.store(micros(now - self.epoch), Ordering::Relaxed);
    }

    /// Takes into account that it did not take a call.
    pub(crate) fn record_refusal(&self, now: Instant) {
        self.refused.store(true, Ordering::Relaxed);
        self.sampled.store(micros(now - self.epoch), Ordering::Relaxed);
    }

    /// What a further call would wait for, roughly: the fewer and the faster, the better. A
    /// server never called comes first.
    pub(crate) fn cost(&self, now: Instant) -> u64 {
        let calls = self.in_flight() as u64 + 1;
        let silent = micros(now - self.epoch).saturating_sub(self.sampled.load(Ordering::Relaxed));
        let halvings = (silent / micros(HALVING)).min(63);
        let latency = self.latency.load(Ordering::Relaxed);
        let refused = self.refused.load(Ordering::Relaxed);
        let latency = if refused { latency.max(micros(REFUSED)) } else { latency };
        calls.saturating_mul((latency >> halvings).max(1))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// One call under way.
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

    #[test]
    fn the_average_starts_with_the_first_sample_and_follows_slowly() {
        let now = Instant::now();
        let load = Load::new(now);
        assert_eq!(load.latency(), None);
        load.record(us(800), now);
        assert_eq!(load.latency(), Some(us(800)));
        load.record(us(1600), now);
        assert_eq!(load.latency(), Some(us(900)));
    }

    #[test]
    fn more_calls_or_slower_ones_cost_more() {
        let now = Instant::now();
        let [busy, slow, free] = [(); 3].map(|()| Load::new(now));
        busy.record(us(100), now);
        free.record(us(100), now);
        slow.record(us(250), now);
        let calls = [busy.enter(), busy.enter()];
        assert!(free.cost(now) < slow.cost(now) && slow.cost(now) < busy.cost(now));
        drop(calls);
        assert_eq!(busy.cost(now), free.cost(now));
    }

    #[test]
    fn refusing_fast_is_no_way_to_attract_calls_but_is_forgiven_in_time() {
        let now = Instant::now();
        let [refusing, working] = [(); 2].map(|()| Load::new(now));
        refusing.record_refusal(now);
        working.record(us(5000), now);
        assert!(refusing.cost(now) > working.cost(now));
        let later = now + HALVING * 20;
        working.record(us(5000), later);
        assert!(refusing.cost(later) < working.cost(later));
    }
}
