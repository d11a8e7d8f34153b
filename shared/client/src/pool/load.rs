//! How busy one server is with our calls, and how fast it usually answers.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Calls under way and a moving average of their latency.
#[derive(Debug, Default)]
pub(crate) struct Load {
    in_flight: AtomicUsize,
    /// Microseconds; 0 before the first call.
    latency: AtomicU64,
}

/// A new sample counts for one part in so many.
const SMOOTHING: u64 = 8;

impl Load {
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
    pub(crate) fn record(&self, latency: Duration) {
        let sample = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.latency.load(Ordering::Relaxed);
        let after = match before {
            0 => sample,
            _ => before - before / SMOOTHING + sample / SMOOTHING,
        };
        self.latency.store(after.max(1), Ordering::Relaxed);
    }

    /// What a further call would wait for, roughly: the fewer and the faster, the better. A
    /// server never called comes first.
    pub(crate) fn cost(&self) -> u64 {
        let calls = self.in_flight() as u64 + 1;
        calls.saturating_mul(self.latency.load(Ordering::Relaxed).max(1))
    }
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

    #[test]
    fn the_average_starts_with_the_first_sample_and_follows_slowly() {
        let load = Load::default();
        assert_eq!(load.latency(), None);
        load.record(Duration::from_micros(800));
        assert_eq!(load.latency(), Some(Duration::from_micros(800)));
        load.record(Duration::from_micros(1600));
        assert_eq!(load.latency(), Some(Duration::from_micros(900)));
    }

    #[test]
    fn more_calls_or_slower_ones_cost_more() {
        let (busy, slow, free) = (Load::default(), Load::default(), Load::default());
        for load in [&busy, &free] {
            load.record(Duration::from_micros(100));
        }
        slow.record(Duration::from_micros(250));
        let calls = [busy.enter(), busy.enter()];
        assert!(free.cost() < slow.cost() && slow.cost() < busy.cost());
        drop(calls);
        assert_eq!(busy.cost(), free.cost());
    }
}
