//! Saves what changes: a thread that commits at once everything that changed while its last commit ran.
//!
//! Requests wait until the store has their change; heartbeats compare two numbers. While the store
//! fails, nobody waits, and when it is back it gets everything.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;
#[cfg(feature = "etcd")]
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Span, error, info};

use super::Service;
use super::probe::unpaused_timeout;
use crate::store::{Store, StoreError};
use crate::table::{Batch, NEVER};

/// How far the store is.
#[derive(Debug)]
pub(crate) struct Saving {
    /// Changes that it has, as in `progress`: a heartbeat reads it without a lock.
    saved: AtomicU64,
    progress: watch::Sender<Progress>,
    writer: OnceLock<Wake>,
    /// For a writer that is a task.
    #[cfg(feature = "etcd")]
    woken: Notify,
    ending: CancellationToken,
}

/// How the writer is woken.
#[derive(Debug)]
enum Wake {
    Thread(Thread),
    #[cfg(feature = "etcd")]
    Task,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    /// Changes that the store has.
    saved: u64,
    /// Since when it fails, until it has everything again.
    failure: Option<Failure>,
    /// The writer has ended.
    ended: bool,
}

#[derive(Debug, Clone)]
struct Failure {
    why: Arc<str>,
    /// Changes that were acknowledged as not durable: it is over when the store has them, too.
    behind: u64,
    /// The store works again.
    catches_up: bool,
}

impl Progress {
    /// A failure that begins, or goes on.
    fn failed(&self, why: &str) -> Failure {
        let behind = self.failure.as_ref().map_or(0, |failure| failure.behind);
        Failure { why: why.into(), behind, catches_up: false }
    }

    /// Whether waiting is of no use.
    fn is_stuck(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| !failure.catches_up)
    }
}

/// What is acknowledged, and whether it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged<T> {
    pub(crate) of: T,
    /// `false` while the store fails.
    pub(crate) durable: bool,
}

impl Saving {
    pub(super) fn new() -> Self {
        Self {
            saved: AtomicU64::new(0),
            progress: watch::Sender::default(),
            writer: OnceLock::new(),
            #[cfg(feature = "etcd")]
            woken: Notify::new(),
            ending: CancellationToken::new(),
        }
    }

    /// Whether the store has that many changes.
    pub(super) fn has(&self, changes: u64) -> bool {
        changes <= self.saved.load(Ordering::Acquire)
    }

    /// Whether changes are kept at all.
    pub(crate) fn has_store(&self) -> bool {
        self.writer.get().is_some()
    }

    /// The writer is a task, which waits for [`woken`](Self::woken).
    #[cfg(feature = "etcd")]
    pub(super) fn by_task(&self) {
        // Set once: a service is started once.
        let _ = self.writer.set(Wake::Task);
    }

    /// There may be something to write.
    #[cfg(feature = "etcd")]
    pub(super) async fn woken(&self) {
        self.woken.notified().await;
    }

    /// Cancelled when the rest is to be written.
    #[cfg(feature = "etcd")]
    pub(super) fn ending(&self) -> &CancellationToken {
        &self.ending
    }

    /// The writer has ended.
    pub(super) fn ended(&self) {
        self.progress.send_modify(|it| it.ended = true);
    }

    /// Why the store has not all changes, while it fails.
    pub(crate) fn failing(&self) -> Option<Arc<str>> {
        self.progress.borrow().failure.as_ref().map(|failure| Arc::clone(&failure.why))
    }

    /// Has the writer look for changes.
    pub(super) fn wake(&self) {
        match self.writer.get() {
            Some(Wake::Thread(writer)) => writer.unpark(),
            #[cfg(feature = "etcd")]
            Some(Wake::Task) => self.woken.notify_one(),
            None => {}
        }
    }

    /// Waits until the store has that many changes; `false` if it fails, or gives no answer for so long.
    pub(super) async fn wait_for(&self, changes: u64, timeout: Duration) -> bool {
        if self.has(changes) {
            return true;
        }
        self.wake();
        let mut progress = self.progress.subscribe();
        let known = progress.wait_for(|it| it.saved >= changes || it.is_stuck() || it.ended);
        if unpaused_timeout(timeout, known).await.is_none() {
            self.stalls(changes, timeout);
        }
        self.is_durable(changes)
    }

    /// Whether the store has that many changes; if not, what is said of the store takes account of it.
    fn is_durable(&self, changes: u64) -> bool {
        let mut durable = false;
        self.progress.send_if_modified(|it| {
            durable = it.saved >= changes;
            if let (false, Some(failure)) = (durable, &mut it.failure) {
                failure.behind = failure.behind.max(changes);
            }
            false
        });
        durable
    }

    /// A disk that does not answer is as good as one that fails, until it does.
    fn stalls(&self, changes: u64, after: Duration) {
        let stalls = self.progress.send_if_modified(|it| {
            let stalls = !it.is_stuck() && it.saved < changes;
            if stalls {
                let why = format!("it does not answer for {after:?}");
                it.failure = Some(it.failed(&why));
            }
            stalls
        });
        if stalls {
            error!(?after, "{STALLS}");
        }
    }

    /// Has the writer save the rest and end; waits for that.
    pub(crate) async fn end(&self, timeout: Duration) {
        if !self.has_store() {
            return;
        }
        self.end_soon();
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|it| it.ended);
        if tokio::time::timeout(timeout, ended).await.is_err() {
            error!(
                ?timeout,
                "the store did not finish in time; what it had acknowledged is durable"
            );
        }
    }

    /// Has the writer save the rest and end.
    pub(crate) fn end_soon(&self) {
        self.ending.cancel();
        self.wake();
    }

    pub(super) fn advance(&self, saved: u64) {
        self.saved.store(saved, Ordering::Release);
        let mut is_over = false;
        self.progress.send_modify(|it| {
            it.saved = saved;
            is_over = it.failure.take_if(|failure| failure.behind <= saved).is_some();
            if let Some(failure) = &mut it.failure {
                failure.catches_up = true;
                failure.why = "it works again, and does not have everything yet".into();
            }
        });
        if is_over {
            info!("the store works again, and has everything");
        }
    }

    /// Notes why the store fails; whether that is said, since it worked before.
    pub(super) fn fail(&self, error: &dyn fmt::Display) -> bool {
        let mut was_stuck = false;
        self.progress.send_modify(|it| {
            was_stuck = it.is_stuck();
            it.failure = Some(it.failed(&error.to_string()));
        });
        if !was_stuck {
            error!(%error, "{FAILS}");
        }
        !was_stuck
    }
}

const STALLS: &str = "the store does not answer; until it does, registrations are taken but may be lost with this process";
const FAILS: &str =
    "the store fails; until it is back, registrations are taken but are lost with this process";

/// The thread that owns the store.
struct Writer {
    service: Arc<Service>,
    store: Box<dyn Store>,
}

/// The first pause after a failure; each further one is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(250);

impl Service {
    /// Starts the writer.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(crate) fn save_to(self: &Arc<Self>, store: Box<dyn Store>) -> std::io::Result<()> {
        let writer = Writer { service: Arc::clone(self), store };
        let span = Span::current();
        let thread = thread::Builder::new().name("registry-store".to_owned());
        let handle = thread.spawn(move || span.in_scope(|| writer.run()))?;
        // Set once: a service is started once.
        let _ = self.saving.writer.set(Wake::Thread(handle.thread().clone()));
        self.saving.wake();
        Ok(())
    }

    /// How far the store is.
    pub(crate) fn saving(&self) -> &Saving {
        &self.saving
    }

    /// `of`, when the store has that many changes, or fails; at once if it will [`NEVER`] have them.
    pub(super) async fn acknowledge<T>(&self, of: T, changes: u64) -> Acknowledged<T> {
        let durable =
            changes != NEVER && self.saving.wait_for(changes, self.options.store_timeout).await;
        Acknowledged { of, durable }
    }

    /// The same of a change at an address: of one that is left out nothing is written.
    pub(super) async fn acknowledge_at<T>(
        &self,
        key: &InstanceKey,
        of: T,
        changes: u64,
    ) -> Acknowledged<T> {
        let Acknowledged { of, durable } = self.acknowledge(of, changes).await;
        let durable = durable && !self.lock().table.is_left_out(key);
        Acknowledged { of, durable }
    }
}

impl Writer {
    fn run(mut self) {
        let mut pause = FIRST_RETRY;
        loop {
            // At the end a store that failed is tried once more: it may work again.
            let is_last = self.saving().ending.is_cancelled();
            let Some(batch) = self.next() else { break };
            match self.write(batch) {
                Ok(()) => pause = FIRST_RETRY,
                Err(error) => {
                    self.service.metrics.store_failures.inc();
                    self.service.lock().table.save_everything();
                    self.saving().fail(&error);
                    if is_last {
                        break;
                    }
                    self.rest(pause);
                    pause = (pause * 2).min(self.service.options.max_store_retry);
                }
            }
        }
        let Self { service, mut store } = self;
        store.close();
        // Its folder is free for another registry before this one counts as ended.
        drop(store);
        service.saving().ended();
    }

    /// What there is to save, once there is something; `None` at the end.
    fn next(&self) -> Option<Batch> {
        loop {
            // Read before the table: what was changed before the end is saved.
            let ending = self.saving().ending.is_cancelled();
            let unsaved = self.service.lock().table.take_unsaved();
            match unsaved {
                Some(batch) => return Some(batch),
                None if ending => return None,
                None => thread::park(),
            }
        }
    }

    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let changes = batch.changes;
        let started = Instant::now();
        match batch.is_everything {
            true => self.store.replace(&batch.into_records())?,
            false => self.store.commit(&batch.into_changes())?,
        }
        self.service.metrics.store_commits.observe(started.elapsed());
        self.saving().advance(changes);
        Ok(())
    }

    /// Waits, however often it is woken, until the end at most.
    fn rest(&self, pause: Duration) {
        let over = Instant::now() + pause;
        while !self.saving().ending.is_cancelled() {
            let left = over.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
    }

    fn saving(&self) -> &Saving {
        &self.service.saving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_stalled_works_again_when_it_has_all_that_was_taken_meanwhile() {
        const TIMEOUT: Duration = Duration::from_secs(2);
        let saving = Saving::new();
        assert!(!saving.wait_for(1, TIMEOUT).await);
        assert!(!saving.wait_for(300, TIMEOUT).await);
        saving.advance(1);
        assert!(saving.failing().is_some(), "299 changes are not durable");
        // Of what comes now it is not known yet, so it is waited for.
        let (durable, ()) = tokio::join!(saving.wait_for(301, TIMEOUT), async {
            tokio::task::yield_now().await;
            saving.advance(301);
        });
        assert!(durable && saving.failing().is_none());
        assert!(!saving.wait_for(302, TIMEOUT).await);
        assert!(saving.failing().is_some(), "it stalls again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_the_process_is_no_store_that_does_not_answer() {
        let saving = Saving::new();
        let (durable, ()) = tokio::join!(saving.wait_for(1, Duration::from_secs(2)), async {
            tokio::time::advance(Duration::from_secs(1000)).await;
            tokio::task::yield_now().await;
            saving.advance(1);
        });
        assert!(durable && saving.failing().is_none());
    }
}
