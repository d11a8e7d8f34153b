//! One JSON-RPC server at an address: its connection, on which any number of calls are in flight.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_wire::call::request;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::address::Address;
use super::driver::{self, Queued};
use crate::CallError;
use crate::connection::Heard;
use crate::context::Context;
use crate::pool::Route;
use crate::request::{CallReply, Outgoing};

/// Calls that may wait at the task that owns the connection, beside those in flight.
const QUEUE: usize = 64;

/// One server at an address, with one connection to it at a time.
#[derive(Debug)]
pub(in super::super) struct TcpEndpoint {
    address: Arc<Address>,
    /// When the dialect was learned.
    learned: Instant,
    next_id: AtomicU64,
    /// For callers: a call that nobody waits for any more takes none.
    slots: Semaphore,
    connection: Mutex<Option<mpsc::Sender<Queued>>>,
}

impl TcpEndpoint {
    /// A server whose dialect was just learned. The connection of that is not used: a call of another dialect is the
    /// first that the server has seen there.
    pub(in super::super) fn new(
        context: &Arc<Context>,
        route: Route,
        heard: Option<Arc<Heard>>,
    ) -> Self {
        let slots = context.options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            address: Arc::new(Address::new(context, route, heard)),
            learned: Instant::now(),
            next_id: AtomicU64::new(1),
            slots: Semaphore::new(slots),
            connection: Mutex::default(),
        }
    }

    /// Whether calls may go through it: a connection is open, or the dialect was learned within `ttl` and no
    /// connection failed.
    pub(super) fn is_usable(&self, ttl: Duration) -> bool {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = connection.as_ref().is_some_and(|open| !open.is_closed());
        !self.address.has_failed() && (is_open || self.learned.elapsed() < ttl)
    }

    pub(super) async fn call(
        &self,
        outgoing: &Arc<Outgoing>,
        params: &str,
    ) -> Result<CallReply, CallError> {
        // Never closed.
        let _slot = self.slots.acquire().await.map_err(|_| CallError::Closed)?;
        let mut bytes = Vec::new();
        let id = match outgoing.is_notification() {
            true => {
                request::notification(&mut bytes, &outgoing.method, params);
                None
            }
            false => {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                request::json_rpc(&mut bytes, id, &outgoing.method, params);
                Some(id)
            }
        };
        let (reply_to, reply) = oneshot::channel();
        let call = Queued { id, bytes, request: Arc::clone(outgoing), reply_to };
        if self.connection().send(call).await.is_err() {
            return Err(self.ended("it was closed before the call was sent", false));
        }
        let gone = |_| Err(self.ended("its task has ended", outgoing.is_sent()));
        reply.await.unwrap_or_else(gone)
    }

    /// The connection in use, or a new one.
    fn connection(&self) -> mpsc::Sender<Queued> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = connection.as_ref().filter(|open| !open.is_closed()) {
            return open.clone();
        }
        let (sender, calls) = mpsc::channel(QUEUE);
        *connection = Some(sender.clone());
        drop(connection);
        self.address.context.spawn(driver::run(Arc::clone(&self.address), calls));
        sender
    }

    fn ended(&self, reason: &str, executed: bool) -> CallError {
        match self.address.context.has_ended() {
            true => CallError::Closed,
            false => self.address.lost(reason, executed),
        }
    }
}
