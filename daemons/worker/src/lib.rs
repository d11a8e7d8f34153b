//! Child processes in any language as methods of a server: a program reads JSON lines and writes JSON
//! lines, and [`rpc_server`] gives it the network, registry, limits, metrics and logs.
//!
//! ```no_run
//! use rpc_server::{Server, builtin};
//! use rpc_worker::{Program, WorkerLimits, Workers};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let program = Program::parse("python3 methods.py")?;
//! let workers = Workers::start(program, WorkerLimits::default().workers(2)).await?;
//! let server = Server::builder().name("numbers").bind(([127, 0, 0, 1], 0)).await?;
//! // The program's methods and the built-in ones, now and when the program lists others.
//! let keeping = workers.keep(server.handle(), builtin::methods)?;
//! server.serve(std::future::pending()).await?;
//! drop(keeping);
//! workers.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! What a program must do is in docs/worker.md: answer `rpc.discover` with a list of its methods, then
//! calls, one message a line.
//!
//! # Inside
//!
//! In reading order:
//!
//! - `options`: [`Program`] and [`WorkerLimits`].
//! - `listing`: the methods that a program lists.
//! - `conversation`: what is said with one process, without a process: bytes and times are arguments.
//! - `takes`: how a program takes its calls, which a changed one may do in another way.
//! - `crew`: which call goes to which process, and what becomes of it; without I/O, too.
//! - `restarts`: when a process that ended is started again.
//! - `pool`: the crew shared by tasks; callers wait here.
//! - `lines`: bytes become lines; `stderr`: lines get levels; `reason`: why a process takes no calls.
//! - `process`: starts and ends one process; `talk` moves bytes between it and the crew.
//! - `slot`: one worker, process after process; `files`: whether its files have changed.
//!
//! Inside: `slot → talk → process → lines`, `talk → pool → crew → conversation → listing`.
//!
//! Needs Rust 1.95 or later, and Unix.

mod conversation;
mod crew;
mod files;
mod lines;
mod listing;
mod options;
mod pool;
mod process;
mod reason;
mod restarts;
mod slot;
mod stderr;
mod takes;
mod talk;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rpc_server::{Method, ServerError, ServerHandle};
use rpc_wire::signature::Signature;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use files::Files;
pub use options::{Program, ProgramError, WorkerLimits};
use pool::Pool;
use slot::Shared;
use talk::NotStarted;

/// Open files of a worker, whose process and the one that takes its place have three pipes and a handle each; as many are
/// needed to start one.
const FILES: usize = 8;

/// Why workers cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// The first process did not list its methods.
    #[error("worker `{program}` {why}")]
    Start {
        /// The command.
        program: Program,
        /// What it did instead, and what to do.
        why: String,
    },
    /// Its files are to be watched, and it names none.
    #[error("no word of `{0}` names a file to watch; name one, or do not watch")]
    NoFiles(Program),
}

/// The running processes of one program. [`stop`](Self::stop) waits until they have ended; dropped, they
/// are told to end, too, and killed with the runtime.
#[derive(Debug)]
pub struct Workers {
    shared: Arc<Shared>,
    _watching: Option<AbortOnDropHandle<()>>,
}

impl Workers {
    /// Starts the program, and returns once the first process has listed its methods.
    ///
    /// # Errors
    /// [`WorkersError::Start`] if it did not.
    pub async fn start(program: Program, limits: WorkerLimits) -> Result<Self, WorkersError> {
        Self::start_with(program, limits, None).await
    }

    /// The same, and starts the processes again whenever a file changes that the command names, or one
    /// beside it with the same ending. The ones before finish their calls. If the changed program does
    /// not start, they go on.
    ///
    /// # Errors
    /// [`WorkersError::NoFiles`], too.
    pub async fn start_watching_files(
        program: Program,
        limits: WorkerLimits,
    ) -> Result<Self, WorkersError> {
        let files = Files::of(&program).ok_or_else(|| WorkersError::NoFiles(program.clone()))?;
        Self::start_with(program, limits, Some(files)).await
    }

    async fn start_with(
        program: Program,
        limits: WorkerLimits,
        files: Option<Files>,
    ) -> Result<Self, WorkersError> {
        let (files, watching) = files.map(Files::watch).unzip();
        let shared = Arc::new(Shared {
            pool: Pool::new(limits.clone()),
            program,
            limits,
            listing: watch::Sender::default(),
            failed: watch::Sender::default(),
            paused: watch::Sender::default(),
            files,
            stop: CancellationToken::new(),
            processes: TaskTracker::new(),
            next_key: AtomicU64::new(0),
        });
        let first = shared.start(0).await.map_err(|NotStarted { why, .. }| {
            WorkersError::Start { program: shared.program.clone(), why: why.to_string() }
        })?;
        shared.lists(first.listing.clone());
        let mut first = Some(first);
        for worker in 0..shared.limits.workers.max(1) {
            tokio::spawn(shared.clone().keep(worker, first.take()));
        }
        Ok(Self { shared, _watching: watching })
    }

    /// What the program listed last.
    pub fn signatures(&self) -> Arc<Vec<Signature>> {
        self.shared.listing.borrow().clone()
    }

    /// Keeps the methods of a server those of the program, with those of `beside` that have other names,
    /// until the handle is dropped. When the program cannot be started, the server fails with the
    /// reason; if its files are watched, the server [drains](ServerHandle::drain) until they change.
    ///
    /// # Errors
    /// A method that the program lists cannot be served.
    pub fn keep(
        &self,
        server: ServerHandle,
        beside: impl Fn() -> Vec<Method> + Send + 'static,
    ) -> Result<AbortOnDropHandle<()>, ServerError> {
        let shared = self.shared.clone();
        let replace = move |server: &ServerHandle, listing: &[Signature]| {
            let names: HashSet<&str> = listing.iter().map(|it| it.name.as_str()).collect();
            let methods = listing.iter().map(|it| shared.pool.method(it.clone()));
            let beside =
                beside().into_iter().filter(|it| !names.contains(it.signature().name.as_str()));
            server.replace_methods(methods.chain(beside))
        };
        let mut listing = self.shared.listing.subscribe();
        let mut failed = self.shared.failed.subscribe();
        let mut paused = self.shared.paused.subscribe();
        replace(&server, &listing.borrow_and_update().clone())?;
        server.keep_files(self.shared.limits.workers.max(1) * FILES + FILES);
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::select! {
                    changed = listing.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let listed = listing.borrow_and_update().clone();
                        match replace(&server, &listed) {
                            Ok(()) => tracing::info!(methods = listed.len(), "the worker lists other methods now"),
                            Err(error) => tracing::error!(%error, "the methods stay those before"),
                        }
                    }
                    Ok(()) = paused.changed() => match paused.borrow_and_update().clone() {
                        Some(why) => server.drain_because(why),
                        None => server.resume(),
                    },
                    why = failed.wait_for(Option::is_some) => {
                        if let Ok(Some(why)) = why.as_deref() {
                            server.fail(why.clone());
                        }
                        return;
                    }
                }
            }
        })))
    }

    /// Ends the processes: each is told, gets the time to finish its calls and to end by itself, then
    /// SIGTERM and SIGKILL.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.processes.close();
        self.shared.processes.wait().await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
