//! Load tests: calls at a fixed rate or from a fixed number of callers, with latency corrected for
//! coordinated omission. Used by `rpcd bench` and the console's Load view.
//!
//! In reading order:
//!
//! - [`Plan`]: what to call, how, and for how long.
//! - [`Report`]: the results; [`compare`] puts two side by side.
//! - [`Progress`]: the state of a run; [`LoadError`]: why it could not run.
//! - [`show`]: durations, counts, rates and sizes as text.
//! - `Load`: a run in progress: watch its progress, stop it, get its report.
//!
//! `Load` needs the feature `engine` (on by default). Without it the crate is data only, for
//! programs that plan or show load tests and do not make the calls: no runtime, no sockets.
//!
//! Needs Rust 1.95 or later.

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
