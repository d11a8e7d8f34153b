//! The peer of an HTTP connection: a stranger until one of its requests has shown who sends it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use hyper::header::HeaderValue;
use hyper::{HeaderMap, header};
use rpc_security::secret::SecretString;
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
    /// Requests without a reply.
    asked: AtomicUsize,
}

/// A request without a reply, as long as it is held.
pub(super) struct Asking<'a>(&'a AtomicUsize);

impl Caller {
    pub(super) fn new(peer: Peer, on_loopback: bool, is_known: bool) -> Self {
        let is_known = AtomicBool::new(is_known);
        let (becomes_known, asked) = (Notify::new(), AtomicUsize::new(0));
        Self { peer, on_loopback, is_known, becomes_known, asked }
    }

    /// One of its requests is of somebody who may do something.
    pub(super) fn become_known(&self) {
        if !self.is_known.load(Relaxed) {
            self.is_known.store(true, Relaxed);
            self.becomes_known.notify_one();
        }
    }

    /// Waits until a stranger is known.
    pub(super) async fn known(&self) {
        self.becomes_known.notified().await;
    }

    pub(super) fn ask(&self) -> Asking<'_> {
        self.asked.fetch_add(1, Relaxed);
        Asking(&self.asked)
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asked.load(Relaxed) > 0
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The secret of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let given = headers.get_all(header::AUTHORIZATION).iter();
    rpc_security::secret::bearer(given.map(HeaderValue::as_bytes))
}
