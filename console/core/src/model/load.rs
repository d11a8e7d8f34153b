//! Load tests: the form, the latest run and the previous one.

mod command;
mod form;
mod request;

pub use command::bench_command;
pub use form::{LoadField, LoadForm};

pub use request::LoadRequest;

use std::sync::Arc;

use rpc_load::{Phase, Progress, Report};

/// Identifies a run.
pub type RunId = u64;

/// The load tests of this console. Only the two latest runs are kept.
#[derive(Debug, Default)]
pub struct LoadTests {
    /// The form, once a call was chosen to load-test.
    pub form: Option<LoadForm>,
    /// The latest run.
    pub run: Option<Run>,
    /// The last run before it that has results.
    pub previous: Option<Run>,
    /// Whether the previous run is shown beside the latest.
    pub comparing: bool,
    /// The first visible row of the results.
    pub top: usize,
    /// `[client] max_in_flight`, for the form; `None`: its default.
    pub max_in_flight: Option<usize>,
    next: RunId,
}

/// One load test.
#[derive(Debug)]
pub struct Run {
    /// The request.
    pub request: LoadRequest,
    /// The latest progress; `None` until its threads run.
    pub progress: Option<Arc<Progress>>,
    /// Why it could not start or has no results.
    pub failure: Option<String>,
}

impl LoadTests {
    /// The id of the next run.
    pub fn next_id(&mut self) -> RunId {
        self.next += 1;
        self.next
    }

    /// Starts a run; the one before it is kept if it has results.
    pub fn start(&mut self, request: LoadRequest) {
        let before = self.run.replace(Run { request, progress: None, failure: None });
        if let Some(before) = before.filter(|run| run.report().is_some_and(|r| r.calls > 0)) {
            self.previous = Some(before);
        }
        self.top = 0;
    }

    /// Whether a run is in progress.
    pub fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.is_over())
    }
}

impl Run {
    /// Whether the run ended.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.progress.as_ref().is_some_and(|now| now.phase.is_over())
    }

    /// The results so far.
    pub fn report(&self) -> Option<&Report> {
        self.progress.as_ref().map(|progress| &progress.report)
    }

    /// What it is doing, in a word or two.
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
