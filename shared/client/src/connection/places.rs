//! How many calls a connection has at most, and waiting for a place among them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The calls a connection has at most. While there is room, to take a place and to give it back is
/// to count: a channel's or a semaphore's permits would be a lock for every call.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Waits for a place, and answers how many were taken before it; `None` when `closed` says that
    /// there will be none.
    pub(super) async fn take(&self, closed: impl Fn() -> bool) -> Option<usize> {
        if let Some(others) = self.try_take() {
            return Some(others);
        }
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on no word is missed.
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
        let one_more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()
    }

    pub(super) fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Whoever waits is to look again whether the connection is closed.
    pub(super) fn wake_all(&self) {
        self.freed.notify_waiters();
    }
}

/// Somebody waits, until this is dropped.
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
