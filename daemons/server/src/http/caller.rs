//! The peer of an HTTP connection: a stranger until one of its requests has shown who sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

use crate::visitor::Peer;

/// One of them, as its requests see it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    /// It came to a loopback address.
    pub(super) on_loopback: bool,
    is_known: AtomicBool,
    becomes_known: Notify,
    is_draining: AtomicBool,
    /// Calls that go on though their requests have their replies.
    notifications: Arc<AtomicUsize>,
}

impl Caller {
    pub(super) fn new(peer: Peer, on_loopback: bool, is_known: bool) -> Self {
        let (is_known, becomes_known) = (AtomicBool::new(is_known), Notify::new());
        let is_draining = AtomicBool::new(false);
        let notifications = Arc::default();
        Self { peer, on_loopback, is_known, becomes_known, is_draining, notifications }
    }

    /// How many of its notifications go on.
    pub(super) fn notifications(&self) -> usize {
        self.notifications.load(Relaxed)
    }

    /// Where those that go on are counted.
    pub(super) fn going_on(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.notifications)
    }

    /// One of its requests is of somebody who may do something.
    pub(super) fn become_known(&self) {
        if !self.is_known.load(Relaxed) {
            self.is_known.store(true, Relaxed);
            self.becomes_known.notify_one();
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// The server ends: calls that come from now on are refused.
    pub(super) fn begin_drain(&self) {
        self.is_draining.store(true, Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// Waits until a stranger is known.
    pub(super) async fn known(&self) {
        self.becomes_known.notified().await;
    }
}
