//! What every part of one client shares: its options, its end, its tasks and its counts.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ClientOptions;

/// What every part of one client shares. No task holds the client itself, so dropping its last
/// clone is seen here.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) options: ClientOptions,
    /// Cancelled when the client is closed or dropped.
    pub(crate) end: CancellationToken,
    tasks: TaskTracker,
    /// Replies nobody waited for: late, cancelled, or never asked for.
    pub(crate) unmatched_replies: Count,
    /// Calls tried again on another instance.
    pub(crate) retries: Count,
}

impl Context {
    pub(crate) fn new(options: ClientOptions) -> Self {
        Self {
            options,
            end: CancellationToken::new(),
            tasks: TaskTracker::new(),
            unmatched_replies: Count::default(),
            retries: Count::default(),
        }
    }

    /// Runs `task` until it is done or the client ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let end = self.end.clone();
        let task = async move {
            end.run_until_cancelled(task).await;
        };
        // A runtime that is being dropped drops its tasks too, which may be when this is called.
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(task, &runtime);
        }
    }

    /// Ends every task and waits for it.
    pub(crate) async fn close(&self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// `duration` after `moment`; a duration that is meant as "for ever" does not overflow.
pub(crate) fn after(moment: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    moment + duration.min(FAR)
}
