//! The address of a JSON-RPC server, and how it is connected to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rpc_socket::Socket;

use crate::connection::{Heard, Inbox};
use crate::context::Context;
use crate::pool::Route;
use crate::{CallError, Rounded};

/// What an endpoint and the task that owns its connection share.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) context: Arc<Context>,
    pub(super) peer: Arc<str>,
    route: Route,
    heard: Option<Arc<Heard>>,
    has_failed: AtomicBool,
}

impl Address {
    pub(super) fn new(context: &Arc<Context>, route: Route, heard: Option<Arc<Heard>>) -> Self {
        let (context, peer) = (Arc::clone(context), route.shared_name());
        Self { context, peer, route, heard, has_failed: AtomicBool::new(false) }
    }

    /// Whether a connection could not be made: the next server there may speak another dialect.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Socket, CallError> {
        let within = self.context.options.connect_timeout;
        let opened = tokio::time::timeout(within, self.route.connect(&self.context)).await;
        let opened = opened.unwrap_or_else(|_| {
            let reason = format!("no connection within {}", Rounded(within));
            Err(CallError::Unreachable { peer: self.peer.to_string(), reason })
        });
        self.has_failed.fetch_or(opened.is_err(), Ordering::Relaxed);
        opened
    }

    pub(super) fn inbox(&self) -> Inbox {
        Inbox::heard_by(self.context.options.max_reply_bytes, self.heard.clone())
    }

    pub(super) fn lost(&self, reason: &str, executed: bool) -> CallError {
        let (peer, reason) = (self.peer.to_string(), reason.to_owned());
        CallError::ConnectionLost { peer, reason, executed }
    }
}
