//! The limit of calls on one connection, and waiting for a slot below it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the calls of a connection up to a limit. A counter, because a semaphore or a bounded channel
/// takes a lock per call and does not say how many others there are.
#[derive(Debug)]
pub(super) struct Slots {
    limit: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Waits for a slot; returns how many were taken before it, or `None` once `closed` says that
    /// there will be none.
    pub(super) async fn take(&self, closed: impl Fn() -> bool) -> Option<usize> {
        if let Some(others) = self.try_take() {
            return Some(others);
        }
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before the checks, so that no notification between them and the wait is lost.
            freed.as_mut().enable();
            if closed() {
                return None;
            }
            if let Some(others) = self.try_take() {
                return Some(others);
            }
            freed.await;
        }
    }

    fn try_take(&self) -> Option<usize> {
        let one_more = |taken: usize| (taken < self.limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()
    }

    pub(super) fn release(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Has every waiting caller check again whether the connection is closed.
    pub(super) fn wake_all(&self) {
        self.freed.notify_waiters();
    }
}

/// Counts a waiting caller until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
