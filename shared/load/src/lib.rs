//! Load tests: calls at a fixed rate or from a fixed number of callers, measured so that a slow
//! server cannot hide. Used by `rpcd bench` and the console's Load view.
//!
//! In reading order:
//!
//! - [`Plan`]: what to call, how, and for how long.
//! - [`Report`]: what was measured; [`compare`] sets two side by side.
//! - [`Progress`]: the state of a run; [`LoadError`]: why there is no result.
//! - [`show`]: durations, counts, rates and sizes as text.
//! - `Load`: a run in progress: progress to watch, a way to stop it, its report.
//!
//! `Load` needs the feature `engine` (on by default). Without it the crate is data only, for
//! programs that plan or show load tests: no runtime, no sockets.

mod compare;
#[cfg(feature = "engine")]
mod engine;
mod error;
mod plan;
mod progress;
mod report;
pub mod show;

pub use compare::{Change, Comparison, compare};
#[cfg(feature = "engine")]
pub use engine::Load;
pub use error::LoadError;
pub use plan::{Length, Mode, Plan, PlanError};
pub use progress::{Phase, Progress};
pub use report::{Bar, Behind, ErrorCount, Latency, Point, Report, Share};
