//! The load engine behind `rpcd bench` and the console's Load view: calls at a fixed rate or from
//! a fixed number of callers, measured so that a slow server cannot hide.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_client::load::{Load, Mode, Plan};
//! use rpc_client::{ClientOptions, Target};
//!
//! let mut plan = Plan::new("add", (1, 2))?;
//! plan.mode = Mode::OpenLoop { rate: 1000.0, max_in_flight: 240 };
//! let load = Load::start(Target::direct("127.0.0.1:8089")?, ClientOptions::default(), plan)?;
//! let report = load.finished().await?;
//! println!("{:.0} calls/s, p99 {:?}", report.rate, report.latency.p99);
//! # Ok(()) }
//! ```
//!
//! In reading order:
//!
//! - [`Plan`]: what to call, how, and for how long.
//! - [`Load`]: a run under way: progress to watch, a way to stop it, its report.
//! - [`Report`]: what was measured; [`compare`] sets two side by side.
//!
//! Inside: `supervise` conducts a run and collects what `shard`s measure; each shard is a thread
//! of its own with its own connections, so that nothing is shared while calls are made and no
//! other work of the program (drawing, say) disturbs the figures. `schedule`, `tally`, `series`
//! and `bars` are pure.

mod bars;
mod caller;
mod compare;
mod errors;
mod plan;
mod report;
mod schedule;
mod series;
mod shard;
mod supervise;
mod tally;
mod timer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{CallError, ClientError, ClientOptions, Target};

pub use compare::{Change, Comparison, compare};
pub use plan::{Length, Mode, Plan, PlanError};
pub use report::{Bar, Behind, ErrorCount, Latency, Point, Report, Share};

use shard::{Run, Shard};

/// A run under way, on threads of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Load {
    progress: watch::Receiver<Arc<Progress>>,
    stop: CancellationToken,
}

/// How a run is getting on.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// How much of the measuring is done, 0 to 1.
    pub done: f64,
    /// Calls under way now.
    pub in_flight: usize,
    /// What was measured so far.
    pub report: Report,
}

/// What a run is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Every connection makes its first call, which is not measured.
    Connecting,
    /// Calls are made and not yet measured.
    WarmingUp,
    /// Calls are measured.
    Measuring,
    /// No more calls are begun; the last ones are waited for.
    Finishing,
    /// It is over and the report is complete.
    Done,
    /// Not one connection could make its first call; nothing was measured.
    Failed(LoadError),
}

/// Why there is nothing to measure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The plan makes no sense.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target is none.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The first call did not get through.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The operating system gave no thread or runtime.
    #[error("cannot start a thread for the load: {0}; free some resources and try again")]
    Thread(String),
}

impl Load {
    /// Starts calling `target`. Needs no runtime, and does not block.
    ///
    /// # Errors
    /// The plan makes no sense, or there is no thread to be had. That the target cannot be
    /// reached comes later, as [`Phase::Failed`].
    pub fn start(target: Target, options: ClientOptions, plan: Plan) -> Result<Self, LoadError> {
        plan.check()?;
        let stop = CancellationToken::new();
        let run = Arc::new(Run::new(plan, target.to_string(), stop.clone(), true));
        let (sender, progress) = watch::channel(Arc::new(Progress::connecting(&run)));
        let load = Self { progress, stop };
        let threads = run.plan.threads();
        let (ready, all_ready) = mpsc::channel(threads);
        let mut shards = Vec::new();
        for index in 0..threads {
            let shard = Arc::new(Shard::new(index));
            shards.push(Arc::clone(&shard));
            let (run, ready) = (Arc::clone(&run), ready.clone());
            let (target, options) = (target.clone(), options.clone());
            thread(format!("load-{index}"), move || async move {
                match caller::lines(&run, index, &target, &options) {
                    Ok(lines) => {
                        shard::run(&shard, &run, lines.clone(), ready).await;
                        caller::close(lines).await;
                    }
                    Err(error) => drop(ready.send(Err(error.into())).await),
                }
            })?;
        }
        drop(ready);
        let conduct = move || supervise::supervise(run, shards, all_ready, sender);
        thread("load".to_owned(), conduct)?;
        Ok(load)
    }

    /// What happens, at most [`Plan::snapshots_per_second`] times a second; the last value stays.
    pub fn progress(&self) -> watch::Receiver<Arc<Progress>> {
        self.progress.clone()
    }

    /// Ends the run now; what was measured is kept. Calls under way are given up and counted as
    /// [`Report::abandoned`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Nothing could be measured.
    pub async fn finished(&self) -> Result<Report, LoadError> {
        let mut progress = self.progress.clone();
        // An error means that the threads are gone: their last word is still there.
        let over = |progress: &Arc<Progress>| progress.phase.is_over();
        let last = match progress.wait_for(over).await {
            Ok(last) => Arc::clone(&last),
            Err(_) => Arc::clone(&self.progress.borrow()),
        };
        match &last.phase {
            Phase::Done => Ok(last.report.clone()),
            Phase::Failed(error) => Err(error.clone()),
            _ => Err(LoadError::Thread("it ended by itself".to_owned())),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

impl Progress {
    fn connecting(run: &Run) -> Self {
        let report = Report::empty(run);
        Self { phase: Phase::Connecting, done: 0.0, in_flight: 0, report }
    }
}

/// Runs a future on a thread and a runtime of its own.
fn thread<F: Future<Output = ()>>(
    name: String,
    task: impl FnOnce() -> F + Send + 'static,
) -> Result<(), LoadError> {
    let failed = |error: std::io::Error| LoadError::Thread(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let body = move || {
        runtime.block_on(task());
        // A name look-up that still blocks must not keep the thread.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name(name).spawn(body).map_err(failed)?;
    Ok(())
}
