//! Monotonic time for durations, and wall time for people.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rpc_console_core::model::Now;

/// Reads both clocks. The time zone is read once, before there are threads: reading it later may race
/// with changes of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    shift_ms: i64,
}

impl Clock {
    /// A clock in the local time zone, or in UTC where that is unknown.
    pub fn local() -> Self {
        let offset = time::UtcOffset::current_local_offset().unwrap_or(time::UtcOffset::UTC);
        Self { shift_ms: i64::from(offset.whole_seconds()) * 1000 }
    }

    /// Offset of the local time zone from UTC, in milliseconds.
    pub fn shift_ms(self) -> i64 {
        self.shift_ms
    }

    /// The time now.
    pub fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Now { at: Instant::now(), wall_ms: wall_ms.saturating_add_signed(self.shift_ms) }
    }
}
