//! Wall time, for what outlives the process: by the monotonic clock from when it was last set.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the wall clock shows at any time of the monotonic one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall {
    set: Moment,
}

/// A time on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) at: Instant,
    /// Milliseconds since 1970.
    pub(super) wall_ms: u64,
}

impl Wall {
    pub(super) fn new(wall: SystemTime, now: Instant) -> Self {
        let since_1970 = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { set: Moment { at: now, wall_ms: in_millis(since_1970) } }
    }

    pub(super) fn moment(&self, at: Instant) -> Moment {
        let Moment { at: set, wall_ms } = self.set;
        let wall_ms = match at.checked_duration_since(set) {
            Some(after) => wall_ms.saturating_add(in_millis(after)),
            None => wall_ms.saturating_sub(millis(set, at)),
        };
        Moment { at, wall_ms }
    }

    /// The time when the wall clock showed this, `now` at the latest.
    pub(super) fn past(&self, wall_ms: u64, now: Instant) -> Moment {
        let ago = self.moment(now).wall_ms.saturating_sub(wall_ms);
        // Before this machine's monotonic clock began, where it cannot say so.
        let at = now.checked_sub(Duration::from_millis(ago)).unwrap_or(now);
        Moment { at, wall_ms }
    }
}

/// Milliseconds from one time to another, 0 if that is before.
pub(super) fn millis(to: Instant, from: Instant) -> u64 {
    in_millis(to.saturating_duration_since(from))
}

fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn both_clocks_agree_before_and_after_it_was_set() {
        let now = Instant::now() + 100 * SECOND;
        let wall = Wall::new(UNIX_EPOCH + 1000 * SECOND, now);
        assert_eq!(wall.moment(now + 5 * SECOND).wall_ms, 1_005_000);
        assert_eq!(wall.moment(now - 5 * SECOND).wall_ms, 995_000);
        assert_eq!(wall.past(990_000, now).at, now - 10 * SECOND);
        // The clock was set back meanwhile.
        assert_eq!(wall.past(2_000_000, now).at, now);
        assert_eq!(Wall::new(UNIX_EPOCH - SECOND, now).moment(now).wall_ms, 0);
    }
}
