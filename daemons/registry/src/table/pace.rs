//! Whether an instance sends its heartbeats so seldom that one lost may remove it.

use std::time::Duration;

/// The pace of one instance's heartbeats.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How many came late, in a row.
    late: u8,
    /// This process was paused since the last one.
    is_interrupted: bool,
    is_told: bool,
}

impl Pace {
    /// In a row: a single one may have been lost.
    const SLOW: u8 = 2;

    /// This process was paused by so much: above what a heartbeat may be late, the time until the next one
    /// is no pace of the instance's.
    pub(super) fn pause(&mut self, pause: Duration, ttl: Duration) {
        self.is_interrupted |= pause > ttl / 10;
    }

    /// A heartbeat came this long after the one before. It is late at six tenths of the TTL: those who
    /// aim at half of it are a little late at times.
    pub(super) fn beat(&mut self, interval: Duration, ttl: Duration) {
        if std::mem::take(&mut self.is_interrupted) {
            return;
        }
        let is_late = interval > ttl.mul_f64(0.6);
        self.late = if is_late { self.late.saturating_add(1) } else { 0 };
    }

    /// Whether it is slow; true once.
    pub(super) fn is_found_slow(&mut self) -> bool {
        let found = self.late >= Self::SLOW && !self.is_told;
        self.is_told |= found;
        found
    }
}
