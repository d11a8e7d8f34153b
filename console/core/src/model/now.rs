//! The current time, passed in by the caller.

use std::time::Instant;

/// Both clocks, read once per turn of the event loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For durations, deadlines and liveness.
    pub at: Instant,
    /// For display: milliseconds since 1970, shifted to local time.
    pub wall_ms: u64,
}
