//! The load engine: a run in progress on its own threads.
//!
//! `supervise` drives a [`run`] and collects what the `shard`s measure. Each shard is a thread with
//! connections of its own (`caller`): nothing is shared during calls, and the program's other work
//! (drawing, say) does not distort the figures. `schedule`, `tally`, `errors`, `series`, `bars` and
//! `summary` are pure.

mod bars;
mod caller;
mod errors;
mod run;
mod schedule;
mod series;
mod shard;
mod summary;
mod supervise;
mod tally;
mod timer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rpc_client::{ClientError, ClientOptions, Target};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use run::Run;
use shard::Shard;

use crate::error::LoadError;
use crate::plan::Plan;
use crate::progress::{Phase, Progress};
use crate::report::Report;

/// A run in progress on its own threads. Dropping it stops it.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use rpc_client::{ClientOptions, Target};
/// use rpc_load::{Load, Mode, Plan};
///
/// let mut plan = Plan::new("add", (1, 2))?;
/// plan.mode = Mode::OpenLoop { rate: 1000.0, max_in_flight: 240 };
/// let load = Load::start(Target::direct("127.0.0.1:8089")?, ClientOptions::default(), plan)?;
/// let report = load.finished().await?;
/// println!("{:.0} calls/s, p99 {:?}", report.rate, report.latency.p99);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Load {
    progress: watch::Receiver<Arc<Progress>>,
    stop: CancellationToken,
}

impl Load {
    /// Starts calling `target`. Needs no runtime, and does not block.
    ///
    /// # Errors
    /// The plan is invalid, or no thread can be started. An unreachable target is reported later,
    /// as [`Phase::Failed`].
    pub fn start(target: Target, options: ClientOptions, plan: Plan) -> Result<Self, LoadError> {
        plan.check()?;
        let stop = CancellationToken::new();
        let run = Arc::new(Run::new(plan, target.to_string(), stop.clone(), true));
        let (sender, progress) = watch::channel(Arc::new(summary::connecting(&run)));
        let load = Self { progress, stop };
        let threads = run.threads();
        let (ready, all_ready) = mpsc::channel(threads);
        let mut shards = Vec::new();
        for index in 0..threads {
            let shard = Arc::new(Shard::new(index));
            shards.push(Arc::clone(&shard));
            let (run, ready) = (Arc::clone(&run), ready.clone());
            let (target, options) = (target.clone(), options.clone());
            thread(format!("load-{index}"), move || async move {
                match caller::clients(&run, index, &target, &options) {
                    Ok(clients) => {
                        shard::run(&shard, &run, clients.clone(), ready).await;
                        caller::close(clients).await;
                    }
                    Err(error) => drop(ready.send(Err(no_client(error))).await),
                }
            })?;
        }
        drop(ready);
        let conduct = move || supervise::supervise(run, shards, all_ready, sender);
        thread("load".to_owned(), conduct)?;
        Ok(load)
    }

    /// Snapshots, at most [`Plan::snapshots_per_second`] times a second; the last one stays.
    pub fn progress(&self) -> watch::Receiver<Arc<Progress>> {
        self.progress.clone()
    }

    /// Stops the run now and keeps the results. Calls in flight are cancelled and counted as
    /// [`Report::abandoned`].
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the run is over.
    ///
    /// # Errors
    /// Nothing could be measured.
    pub async fn finished(&self) -> Result<Report, LoadError> {
        let mut progress = self.progress.clone();
        // An error means that the threads are gone: their last snapshot is still there.
        let over = |progress: &Arc<Progress>| progress.phase.is_over();
        let last = match progress.wait_for(over).await {
            Ok(last) => Arc::clone(&last),
            Err(_) => Arc::clone(&self.progress.borrow()),
        };
        match &last.phase {
            Phase::Done => Ok(last.report.clone()),
            Phase::Failed(error) => Err(error.clone()),
            _ => Err(LoadError::Thread("it stopped unexpectedly".to_owned())),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Why a thread could not create its client.
fn no_client(error: ClientError) -> LoadError {
    match error {
        ClientError::BadAddress(_) | ClientError::Registry(_) => {
            LoadError::Target(error.to_string())
        }
        other => LoadError::Thread(other.to_string()),
    }
}

/// Runs a future on its own thread and runtime.
fn thread<F: Future<Output = ()>>(
    name: String,
    task: impl FnOnce() -> F + Send + 'static,
) -> Result<(), LoadError> {
    let failed = |error: std::io::Error| LoadError::Thread(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let body = move || {
        runtime.block_on(task());
        // A name lookup that still blocks must not keep the thread alive.
        runtime.shutdown_background();
    };
    std::thread::Builder::new().name(name).spawn(body).map_err(failed)?;
    Ok(())
}
