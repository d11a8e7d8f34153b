//! Load tests: the plan being filled in, the run under way, and the one before it.

mod command;
mod form;
mod request;

pub use command::bench_command;
pub use form::{LoadField, LoadForm};

pub use request::LoadRequest;

use std::sync::Arc;

use rpc_load::{Phase, Progress, Report};

/// The number of a run, its identity.
pub type RunId = u64;

/// The load tests of this console. Two runs are kept, however many are made.
#[derive(Debug, Default)]
pub struct LoadTests {
    /// The plan being filled in, once something was chosen to be called.
    pub form: Option<LoadForm>,
    /// The latest run.
    pub run: Option<Run>,
    /// The last run before it that measured something.
    pub previous: Option<Run>,
    /// Whether the previous run stands beside the latest.
    pub comparing: bool,
    /// Rows of the results scrolled away at the top.
    pub top: usize,
    next: RunId,
}

/// One load test.
#[derive(Debug)]
pub struct Run {
    /// What was asked for.
    pub request: LoadRequest,
    /// The latest word on it; `None` until its threads run.
    pub progress: Option<Arc<Progress>>,
    /// Why it could not begin or measured nothing.
    pub failure: Option<String>,
}

impl LoadTests {
    /// The number for the next run.
    pub fn next_id(&mut self) -> RunId {
        self.next += 1;
        self.next
    }

    /// A run begins; the one before it is kept if it measured something.
    pub fn start(&mut self, request: LoadRequest) {
        let before = self.run.replace(Run { request, progress: None, failure: None });
        if let Some(before) = before.filter(|run| run.report().is_some_and(|r| r.calls > 0)) {
            self.previous = Some(before);
        }
        self.top = 0;
    }

    /// Whether a run is under way.
    pub fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.is_over())
    }
}

impl Run {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.progress.as_ref().is_some_and(|now| now.phase.is_over())
    }

    /// What was measured so far.
    pub fn report(&self) -> Option<&Report> {
        self.progress.as_ref().map(|progress| &progress.report)
    }

    /// A word or two on what it is doing.
    pub fn status(&self) -> &'static str {
        if self.failure.is_some() {
            return "failed";
        }
        match self.progress.as_ref().map(|progress| &progress.phase) {
            None | Some(Phase::Connecting) => "connecting",
            Some(Phase::WarmingUp) => "warming up",
            Some(Phase::Measuring) => "measuring",
            Some(Phase::Finishing) => "finishing",
            Some(Phase::Done) if self.report().is_some_and(|report| report.stopped) => "stopped",
            Some(Phase::Done) => "done",
            Some(Phase::Failed(_)) => "failed",
        }
    }
}
