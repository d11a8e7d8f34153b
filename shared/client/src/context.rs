//! What every part of one client shares: its options, its end, its tasks and its counters.

use std::future::Future;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "tls")]
use rpc_security::tls::{ClientTls, TlsError};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ClientOptions;

/// What every part of one client shares. No task holds the client itself, so that the drop of its last
/// clone ends them.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: ClientOptions,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<ClientTls>>,
    /// Cancelled when the client is closed or dropped.
    pub(crate) end: CancellationToken,
    /// Whether `end` is cancelled. Every call checks it, and the token would take a lock.
    ended: AtomicBool,
    tasks: TaskTracker,
    /// To abort them: watching `end` would take its lock at every poll of a task.
    running: Mutex<Vec<AbortHandle>>,
    /// Replies without a waiting call: late, cancelled, or never sent for.
    pub(crate) unmatched_replies: Count,
    /// Calls retried on another instance.
    pub(crate) retries: Count,
    /// Bytes of replies that arrived.
    pub(crate) received_bytes: Count,
}

impl Context {
    pub(crate) fn new(options: ClientOptions) -> Self {
        Self {
            options,
            #[cfg(feature = "tls")]
            tls: None,
            end: CancellationToken::new(),
            ended: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            unmatched_replies: Count::default(),
            retries: Count::default(),
            received_bytes: Count::default(),
        }
    }

    /// With the files that the options name for TLS.
    ///
    /// # Errors
    /// They cannot be used.
    #[cfg(feature = "tls")]
    pub(crate) fn secured(self) -> Result<Self, TlsError> {
        let ClientOptions { tls, tls_files, .. } = &self.options;
        let tls = tls.then(|| ClientTls::load(tls_files)).transpose()?;
        Ok(Self { tls: tls.map(Arc::new), ..self })
    }

    /// Runs `task` until it is done or the client ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // This may be called while the runtime, and so its tasks, are being dropped.
        let Ok(runtime) = Handle::try_current() else { return };
        let task = self.tasks.spawn_on(task, &runtime).abort_handle();
        let mut running = self.running();
        if self.has_ended() {
            task.abort();
        }
        if running.len() == running.capacity() {
            running.retain(|task| !task.is_finished());
            // Amortised O(1): the next cleanup is as many tasks away as this one visits.
            let as_many = running.len();
            running.shrink_to(2 * as_many + 1);
            running.reserve(as_many + 1);
        }
        running.push(task);
    }

    /// Ends every task.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.cancel();
        self.running().drain(..).for_each(|task| task.abort());
    }

    fn running(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client is closed or dropped.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends every task and waits for it.
    pub(crate) async fn close(&self) {
        self.end();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A number that only increases. Not that of rpc-metrics: the client exports no metrics, and ten
/// lines are less than a dependency of every embedder.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
