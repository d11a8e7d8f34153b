//! The peer of an HTTP connection: a stranger until one of its requests has shown who sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio_util::sync::CancellationToken;

use crate::visitor::Peer;

/// One of them, as its requests see it. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    /// It came to a loopback address.
    pub(super) on_loopback: bool,
    /// Cancelled once it is known.
    known: CancellationToken,
    /// Requests without a reply.
    asked: Arc<AtomicUsize>,
}

/// A request without a reply, as long as it is held.
pub(super) struct Asking(Arc<AtomicUsize>);

impl Caller {
    pub(super) fn new(peer: Peer, on_loopback: bool) -> Self {
        Self { peer, on_loopback, known: CancellationToken::new(), asked: Arc::default() }
    }

    /// One of its requests is of somebody who may do something.
    pub(super) fn become_known(&self) {
        self.known.cancel();
    }

    /// Waits until it is known.
    pub(super) async fn known(&self) {
        self.known.cancelled().await;
    }

    pub(super) fn ask(&self) -> Asking {
        self.asked.fetch_add(1, Relaxed);
        Asking(Arc::clone(&self.asked))
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asked.load(Relaxed) > 0
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
