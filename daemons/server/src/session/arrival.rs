//! When the bytes of a connection arrived, by estimate: nothing but the read itself is seen.

use std::time::{Duration, Instant};

/// What is known of the bytes read last, and of those still to be read.
#[derive(Debug)]
pub(super) struct Arrival {
    /// When the bytes read last arrived.
    at: Instant,
    /// All bytes that are still to be read arrived after this time.
    unread_since: Instant,
    /// The last read left some.
    left_unread: bool,
}

impl Arrival {
    /// Of a connection whose first bytes were read now, by a task that waits `lag` for its turn.
    pub(super) fn new(now: Instant, lag: Duration) -> Self {
        let at = now.checked_sub(lag).unwrap_or(now);
        Self { at, unread_since: now, left_unread: false }
    }

    /// When the bytes read last arrived.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// `read` bytes were read now, and that many are `unread`. They arrived after those before them,
    /// and, if nothing was left of these, not longer ago than the task waits for its turn. If some
    /// are unread, all came at the same rate.
    pub(super) fn note(&mut self, now: Instant, lag: Duration, read: usize, unread: usize) {
        self.at = match now.checked_sub(lag) {
            Some(ready) if !self.left_unread => ready.max(self.unread_since),
            _ => self.unread_since,
        };
        self.left_unread = unread > 0;
        self.unread_since = match self.left_unread {
            true => {
                let share = read as f64 / (read + unread) as f64;
                self.at + (now - self.at).mul_f64(share)
            }
            false => now,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn bytes_of_a_quiet_connection_waited_as_long_as_a_task_does() {
        let start = Instant::now();
        let mut arrival = Arrival::new(start, Duration::ZERO);
        arrival.note(start + 1000 * MS, 20 * MS, 100, 0);
        assert_eq!(arrival.at(), start + 980 * MS);
        arrival.note(start + 1010 * MS, 20 * MS, 100, 0);
        assert_eq!(arrival.at(), start + 1000 * MS, "after those before them");
    }

    #[test]
    fn bytes_that_one_read_did_not_take_came_at_the_rate_of_all() {
        let start = Instant::now();
        let mut arrival = Arrival::new(start, Duration::ZERO);
        arrival.note(start + 100 * MS, 100 * MS, 100, 300);
        assert_eq!(arrival.at(), start);
        arrival.note(start + 110 * MS, Duration::ZERO, 100, 200);
        assert_eq!(arrival.at(), start + 25 * MS);
    }

    #[test]
    fn a_read_of_all_that_there_was_does_not_age_what_comes_later() {
        let start = Instant::now();
        let mut arrival = Arrival::new(start, Duration::ZERO);
        // It filled its room to the last byte.
        arrival.note(start, Duration::ZERO, 4096, 0);
        arrival.note(start + 60_000 * MS, Duration::ZERO, 100, 0);
        assert_eq!(arrival.at(), start + 60_000 * MS);
    }
}
