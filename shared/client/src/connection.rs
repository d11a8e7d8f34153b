//! One socket to a peer that speaks the extended dialect: any number of calls in flight.

mod driver;
mod inbox;
mod pending;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::Context;
use crate::request::{Answer, Outgoing};
use crate::stream::StreamEvent;

use driver::Driver;
pub(crate) use inbox::{Frame, Inbox};
use pending::{Job, ReplyTo};

/// Calls that may wait between a caller and the task that owns the socket.
const QUEUE: usize = 64;
/// Items of a stream that may wait for its reader; then nothing more is read.
const STREAM_QUEUE: usize = 16;

/// The callers' end of a connection. A task of its own owns the socket; it ends when the peer
/// closes, when every handle is gone and nothing is in flight, when nothing happened for
/// [`ClientOptions::idle`](crate::ClientOptions::idle), or with the client.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// What callers tell the socket's task beside their calls.
#[derive(Debug)]
struct Shared {
    peer: Arc<str>,
    context: Arc<Context>,
    next_id: AtomicU64,
    /// Calls whose callers are gone; each at most once, so no more than are in flight.
    cancelled: Mutex<Vec<u64>>,
    cancel: Notify,
}

impl Connection {
    /// Starts the task that owns `socket`. `inbox` holds what was read from it so far.
    pub(crate) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        socket: TcpStream,
        inbox: Inbox,
    ) -> Self {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            peer,
            context: Arc::clone(context),
            // 0 was the probe's.
            next_id: AtomicU64::new(1),
            cancelled: Mutex::new(Vec::new()),
            cancel: Notify::new(),
        });
        context.spawn(Driver::new(Arc::clone(&shared), jobs, inbox).run(socket));
        Self { jobs: sender, shared }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Makes one call. Dropping the future cancels it.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<Answer, CallError> {
        let (reply, answer) = oneshot::channel();
        let mut guard = self.submit(request, Some(deadline), ReplyTo::Call(reply)).await?;
        let result = answer.await;
        guard.disarm();
        result.unwrap_or_else(|_| Err(self.shared.vanished(request.is_sent())))
    }

    /// Begins a stream. On a connection of its own: a slow reader stops all reading.
    pub(crate) async fn stream(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
    ) -> Result<Subscription, CallError> {
        let (sender, events) = mpsc::channel(STREAM_QUEUE);
        let guard = self.submit(request, deadline, ReplyTo::Stream(sender)).await?;
        Ok(Subscription { events, guard })
    }

    async fn submit(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
        reply: ReplyTo,
    ) -> Result<CancelOnDrop, CallError> {
        let place = match self.jobs.try_reserve() {
            Ok(place) => place,
            Err(_) => self.jobs.reserve().await.map_err(|_| self.shared.retired())?,
        };
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        place.send(Job { id, request: Arc::clone(request), deadline, reply });
        Ok(CancelOnDrop { shared: Some(Arc::clone(&self.shared)), id })
    }
}

impl Shared {
    /// The connection was closed before it took the call.
    fn retired(&self) -> CallError {
        self.lost("it was closed before the call was sent", false)
    }

    /// The socket's task is gone without an answer: the client ended, or its runtime, or the task
    /// was ending just when the call was handed over.
    fn vanished(&self, sent: bool) -> CallError {
        if self.context.end.is_cancelled() {
            CallError::Closed
        } else {
            self.lost("its task is gone", sent)
        }
    }

    fn lost(&self, reason: &str, executed: bool) -> CallError {
        CallError::ConnectionLost {
            peer: self.peer.to_string(),
            reason: reason.to_owned(),
            executed,
        }
    }

    fn take_cancelled(&self) -> Vec<u64> {
        std::mem::take(&mut *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The reader's end of a stream. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<StreamEvent>,
    guard: CancelOnDrop,
}

impl Subscription {
    /// The stream is over: nothing is left to cancel.
    pub(crate) fn finished(&mut self) {
        self.guard.disarm();
    }

    /// What it means that the events ended without a last word.
    pub(crate) fn vanished(&self) -> CallError {
        self.guard.shared.as_ref().map_or(CallError::Closed, |shared| shared.vanished(true))
    }
}

/// Tells the socket's task when a caller goes before its answer came.
#[derive(Debug)]
struct CancelOnDrop {
    shared: Option<Arc<Shared>>,
    id: u64,
}

impl CancelOnDrop {
    fn disarm(&mut self) {
        self.shared = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.cancelled.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
            shared.cancel.notify_one();
        }
    }
}
