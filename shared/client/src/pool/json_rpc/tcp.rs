//! One JSON-RPC server at an address: its connection, on which any number of calls are in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_socket::Socket;
use rpc_wire::call::request;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::driver;
use crate::connection::{Heard, Inbox};
use crate::context::Context;
use crate::pool::Route;
use crate::request::{CallReply, Outgoing};
use crate::{CallError, Rounded};

/// Calls that may wait at the task that owns the connection, beside those in flight.
const QUEUE: usize = 64;

/// One server at an address, with one connection to it at a time.
#[derive(Debug)]
pub(in super::super) struct TcpEndpoint {
    pub(super) context: Arc<Context>,
    pub(super) peer: Arc<str>,
    route: Route,
    /// When the dialect was learned.
    learned: Instant,
    heard: Option<Arc<Heard>>,
    next_id: AtomicU64,
    /// For callers: a call that nobody waits for any more takes none.
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<mpsc::Sender<Queued>>,
    /// No connection could be made: the next server there may speak another dialect.
    failed: bool,
}

/// A call that is to be written.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) request: Arc<Outgoing>,
    pub(super) reply_to: oneshot::Sender<Result<CallReply, CallError>>,
}

impl TcpEndpoint {
    /// A server whose dialect was just learned. The connection of that is not used: a call of another dialect is the
    /// first that the server has seen there.
    pub(in super::super) fn new(
        context: &Arc<Context>,
        route: Route,
        heard: Option<Arc<Heard>>,
    ) -> Arc<Self> {
        let slots = context.options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            context: Arc::clone(context),
            peer: route.shared_name(),
            route,
            learned: Instant::now(),
            heard,
            next_id: AtomicU64::new(1),
            slots: Semaphore::new(slots),
            state: Mutex::default(),
        })
    }

    /// Whether calls may go through it: a connection is open, or the dialect was learned within `ttl` and no
    /// connection failed.
    pub(in super::super) fn is_usable(&self, ttl: Duration) -> bool {
        let state = self.state();
        let is_open = state.connection.as_ref().is_some_and(|open| !open.is_closed());
        !state.failed && (is_open || self.learned.elapsed() < ttl)
    }

    pub(super) async fn call(
        self: &Arc<Self>,
        outgoing: &Arc<Outgoing>,
        params: &str,
    ) -> Result<CallReply, CallError> {
        // Never closed.
        let _slot = self.slots.acquire().await.map_err(|_| CallError::Closed)?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        request::json_rpc(&mut bytes, id, &outgoing.method, params);
        let (reply_to, reply) = oneshot::channel();
        let call = Queued { id, bytes, request: Arc::clone(outgoing), reply_to };
        if self.connection().send(call).await.is_err() {
            return Err(self.ended("it was closed before the call was sent", false));
        }
        let gone = |_| Err(self.ended("its task has ended", outgoing.is_sent()));
        reply.await.unwrap_or_else(gone)
    }

    /// The connection in use, or a new one.
    fn connection(self: &Arc<Self>) -> mpsc::Sender<Queued> {
        let mut state = self.state();
        if let Some(open) = state.connection.as_ref().filter(|open| !open.is_closed()) {
            return open.clone();
        }
        let (sender, calls) = mpsc::channel(QUEUE);
        state.connection = Some(sender.clone());
        drop(state);
        self.context.spawn(driver::run(Arc::clone(self), calls));
        sender
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<Socket, CallError> {
        let within = self.context.options.connect_timeout;
        let opened = tokio::time::timeout(within, self.route.connect(&self.context)).await;
        let opened = opened.unwrap_or_else(|_| {
            let reason = format!("no connection within {}", Rounded(within));
            Err(CallError::Unreachable { peer: self.peer.to_string(), reason })
        });
        self.state().failed |= opened.is_err();
        opened
    }

    pub(super) fn inbox(&self) -> Inbox {
        Inbox::heard_by(self.context.options.max_reply_bytes, self.heard.clone())
    }

    pub(super) fn lost(&self, reason: &str, executed: bool) -> CallError {
        let (peer, reason) = (self.peer.to_string(), reason.to_owned());
        CallError::ConnectionLost { peer, reason, executed }
    }

    fn ended(&self, reason: &str, executed: bool) -> CallError {
        match self.context.has_ended() {
            true => CallError::Closed,
            false => self.lost(reason, executed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
