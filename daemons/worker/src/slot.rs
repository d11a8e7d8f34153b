//! One worker: a process, and after its end or a change of its files the next one.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rpc_wire::fault::{Code, Fault};
use rpc_wire::signature::Signature;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::crew::Left;
use crate::listing::Listing;
use crate::pool::Pool;
use crate::reason::Reason;
use crate::restarts::{self, Next, Restarts};
use crate::takes::Takes;
use crate::talk::{Gone, NotStarted, Talk};
use crate::{Program, WorkerLimits};

/// What all workers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) program: Program,
    pub(crate) limits: WorkerLimits,
    pub(crate) pool: Arc<Pool>,
    /// What the process that started last listed.
    pub(crate) listing: watch::Sender<Arc<Vec<Signature>>>,
    /// Why no further processes are started.
    pub(crate) failed: watch::Sender<Option<String>>,
    /// Why no process runs until the files change, as callers are told.
    pub(crate) paused: watch::Sender<Option<String>>,
    /// Changed when the files of the program have; `None`: they are not watched.
    pub(crate) files: Option<watch::Receiver<()>>,
    pub(crate) stop: CancellationToken,
    /// The processes that run, or are about to end.
    pub(crate) processes: TaskTracker,
    pub(crate) next_key: AtomicU64,
}

/// A process that takes calls. Dropping it retires it.
struct Running {
    gone: oneshot::Receiver<Gone>,
    _retire: tokio_util::sync::DropGuard,
}

impl Shared {
    /// Starts a process and asks for its methods.
    pub(crate) async fn start(&self, worker: usize) -> Result<Talk, NotStarted> {
        let talk = Talk::start(&self.program, worker, &self.limits).await?;
        tracing::info!(
            worker,
            pid = talk.pid(),
            methods = talk.listing.methods.len(),
            "worker started"
        );
        Ok(talk)
    }

    /// What the program lists is served from now on, by a process that takes it.
    pub(crate) fn lists(&self, Listing { methods, warnings }: Listing) -> Arc<Takes> {
        let takes = Arc::new(Takes::of(&methods));
        // First: who calls what is listed waits for that process.
        self.pool.crew().lists(takes.clone());
        let methods = Arc::new(methods);
        let is_new = self.listing.send_if_modified(|known| {
            let differs = *known != methods;
            *known = methods;
            differs
        });
        for warning in warnings.into_iter().filter(|_| is_new) {
            tracing::warn!("of worker `{}`: {warning}", self.program);
        }
        takes
    }

    fn serve(&self, mut talk: Talk) -> Running {
        let takes = self.lists(std::mem::take(&mut talk.listing));
        self.paused.send_if_modified(|why| why.take().is_some());
        let retire = CancellationToken::new();
        let (say_gone, gone) = oneshot::channel();
        let key = self.next_key.fetch_add(1, Relaxed);
        self.processes.spawn(talk.serve((self.pool.clone(), takes), key, retire.clone(), say_gone));
        Running { gone, _retire: retire.drop_guard() }
    }

    /// Keeps a process running until all are stopped, or it makes no sense any longer.
    pub(crate) async fn keep(self: Arc<Self>, worker: usize, first: Option<Talk>) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_one(worker, first) => {}
        }
    }

    async fn keep_one(&self, worker: usize, first: Option<Talk>) {
        let mut restarts = Restarts::new(&self.limits);
        let mut files = self.files.clone();
        let mut running = first.map(|talk| self.serve(talk));
        loop {
            let gone = match &mut running {
                Some(Running { gone, .. }) => tokio::select! {
                    gone = gone => gone.ok(),
                    () = changed(&mut files) => {
                        tracing::info!(worker, "its files have changed; starting the worker again");
                        match self.start_latest(worker, &mut files).await {
                            // The one before finishes its calls.
                            Ok(talk) => running = Some(self.serve(talk)),
                            Err(why) => tracing::error!(worker, "the changed worker {why}; the one before goes on"),
                        }
                        continue;
                    }
                },
                None => match self.start_latest(worker, &mut files).await {
                    Ok(talk) => {
                        running = Some(self.serve(talk));
                        continue;
                    }
                    Err(why) => Some(Gone { why, served: Duration::ZERO, left: Left::default() }),
                },
            };
            running = None;
            // It was stopped.
            let Some(gone) = gone else { return };
            if self.died(worker, gone, &mut restarts, &mut files).await.is_break() {
                return;
            }
        }
    }

    /// Starts a process, and anew whenever its files change before it has listed its methods, or the system had no room for
    /// it.
    async fn start_latest(
        &self,
        worker: usize,
        files: &mut Option<watch::Receiver<()>>,
    ) -> Result<Talk, Reason> {
        let mut refused = 0;
        loop {
            tokio::select! {
                talk = self.start(worker) => match talk {
                    Ok(talk) => return Ok(talk),
                    Err(NotStarted { why, may_start_later: false }) => return Err(why),
                    Err(NotStarted { why, .. }) => {
                        let pause = restarts::pause(refused);
                        refused += 1;
                        tracing::warn!(worker, ?pause, "the worker {why}; trying again");
                        tokio::select! {
                            () = sleep(pause) => {}
                            () = changed(files) => {}
                        }
                    }
                },
                () = changed(files) => {
                    tracing::info!(worker, "its files have changed again; starting the worker anew");
                }
            }
        }
    }

    /// Waits until another process is to be started.
    async fn died(
        &self,
        worker: usize,
        Gone { why, served, left }: Gone,
        restarts: &mut Restarts,
        files: &mut Option<watch::Receiver<()>>,
    ) -> ControlFlow<()> {
        match restarts.ended(served, left.was_called) {
            Next::StartAfter(pause) => {
                tracing::warn!(
                    worker,
                    calls_lost = left.lost,
                    ?pause,
                    "the worker {why}; starting another"
                );
                tokio::select! {
                    () = sleep(pause) => {}
                    () = changed(files) => {}
                }
                ControlFlow::Continue(())
            }
            Next::GiveUp => {
                let deaths = restarts.deaths();
                let text = |why: &dyn std::fmt::Display| {
                    format!("worker `{}` {why} (death {deaths} in a row)", self.program)
                };
                let (text, told) = (text(&why), text(&why.for_callers()));
                // Not executed: another instance may have a program that works.
                let fault = Fault::new(Code::Draining, format!("{told}; call another instance"));
                if files.is_none() {
                    self.pool.crew().close(fault);
                    self.failed.send_replace(Some(text));
                    return ControlFlow::Break(());
                }
                tracing::error!(worker, "{text}; it is started again when its files change");
                if self.pool.crew().close_if_empty(fault) {
                    self.paused.send_replace(Some(told));
                }
                changed(files).await;
                *restarts = Restarts::new(&self.limits);
                ControlFlow::Continue(())
            }
        }
    }
}

/// Waits until the files change; for ever where they are not watched.
async fn changed(files: &mut Option<watch::Receiver<()>>) {
    let changed = match files {
        Some(files) => files.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}
