//! The progress of a run.

use crate::error::LoadError;
use crate::report::Report;

/// The progress of a run.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// How much of the measuring is done, 0 to 1.
    pub done: f64,
    /// Calls in flight now.
    pub in_flight: usize,
    /// The results so far.
    pub report: Report,
}

/// What a run is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Every connection makes its first call, which is not measured.
    Connecting,
    /// Calls are made but not measured yet.
    WarmingUp,
    /// Calls are measured.
    Measuring,
    /// No more calls are started; the last ones are waited for.
    Finishing,
    /// It is over and the report is complete.
    Done,
    /// No connection could make its first call; nothing was measured.
    Failed(LoadError),
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}
