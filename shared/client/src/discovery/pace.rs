//! How often the registry may be asked out of turn.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: `BURST` at once, then one every so often.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    /// When the bucket is full again.
    full_at: Instant,
}

/// Requests that may follow each other at once.
const BURST: u32 = 8;

impl Pace {
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, full_at: now }
    }

    /// How long the next request has to wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let missing = self.full_at.saturating_duration_since(now);
        missing.saturating_sub(self.every.saturating_mul(BURST - 1))
    }

    /// Counts a request.
    pub(super) fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_every_so_often() {
        let every = Duration::from_millis(500);
        let mut now = Instant::now();
        let mut pace = Pace::new(every, now);
        for _ in 0..BURST {
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.take(now);
        }
        for _ in 0..3 {
            assert_eq!(pace.wait(now), every);
            now += pace.wait(now);
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.take(now);
        }
        now += every * BURST;
        for _ in 0..BURST {
            assert_eq!(pace.wait(now), Duration::ZERO);
            pace.take(now);
        }
        assert!(!pace.wait(now).is_zero());
    }
}
