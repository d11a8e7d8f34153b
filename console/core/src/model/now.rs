//! The time, as it is handed down.

use std::time::Instant;

/// The two clocks, read once per turn of the loop and handed to everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For durations, deadlines and liveness.
    pub at: Instant,
    /// For people: milliseconds since 1970, shifted to local time.
    pub wall_ms: u64,
}
