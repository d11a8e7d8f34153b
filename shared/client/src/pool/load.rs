//! A server's calls in flight from this client, and its usual latency.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Calls in flight and a moving average of their latency, which decays without new samples.
#[derive(Debug)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    /// Microseconds; 0 before the first call.
    latency: AtomicU64,
    /// The last call was not executed.
    refused: AtomicBool,
    /// Microseconds from `epoch` to the last call.
    sampled: AtomicU64,
    epoch: Instant,
}

/// A new sample has the weight 1/8.
const SMOOTHING: u64 = 8;
/// Half-life of a latency without new samples: a server that was slow once gets calls again.
const HALVING: Duration = Duration::from_secs(5);
/// A server that did not execute the last call counts as at least this slow; otherwise failing fast
/// would attract calls.
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

    /// Adds the latency of a finished call. Of samples that race one may be lost: it is an average.
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

    /// Notes that it did not execute a call.
    pub(crate) fn record_refusal(&self, now: Instant) {
        self.refused.store(true, Ordering::Relaxed);
        self.sampled.store(micros(now - self.epoch), Ordering::Relaxed);
    }

    /// Roughly how long a further call would wait: calls in flight times latency. A server that was never
    /// called comes first.
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
    fn fast_refusals_do_not_attract_calls_and_are_forgotten_in_time() {
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
