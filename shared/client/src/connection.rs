//! One socket to a peer that speaks the extended dialect: any number of calls in flight.

mod driver;
mod inbox;
mod pending;

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::{Context, Expired, until};
use crate::request::{Answer, Outgoing};
use crate::stream::StreamEvent;

use driver::Driver;
pub(crate) use inbox::{Frame, Inbox};
use pending::{Failed, Job, ReplyTo};

/// Calls that may wait in the task that owns the socket, beside those in flight.
const QUEUE: usize = 64;
/// Items of a stream that may wait for its reader; then nothing more is read.
const STREAM_QUEUE: usize = 16;

/// The callers' end of a connection. A task of its own owns the socket; it ends when the peer
/// closes, when every handle is gone and nothing is in flight, when nothing happened for
/// [`ClientOptions::idle`](crate::ClientOptions::idle), or with the client.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Never more calls than there are [`Places`] for, beside those cancelled that it has not heard of.
    words: mpsc::UnboundedSender<Word>,
    shared: Arc<Shared>,
}

/// What callers tell the socket's task.
#[derive(Debug)]
enum Word {
    Call(Job),
    /// The caller is gone.
    Cancel(u64),
}

/// What callers and the socket's task both know.
#[derive(Debug)]
struct Shared {
    peer: Arc<str>,
    context: Arc<Context>,
    next_id: AtomicU64,
    places: Places,
    /// No new calls are taken; those in flight are still answered.
    retired: AtomicBool,
}

impl Connection {
    /// Starts the task that owns `socket`. `inbox` holds what was read from it so far.
    pub(crate) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        socket: TcpStream,
        inbox: Inbox,
    ) -> Self {
        let (sender, words) = mpsc::unbounded_channel();
        let in_flight = context.options.max_in_flight.max(1);
        let shared = Arc::new(Shared {
            peer,
            context: Arc::clone(context),
            // 0 was the probe's.
            next_id: AtomicU64::new(1),
            places: Places::new(in_flight.saturating_add(QUEUE)),
            retired: AtomicBool::new(false),
        });
        context.spawn(Driver::new(Arc::clone(&shared), words, inbox).run(socket));
        Self { words: sender, shared }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.shared.retired.load(Ordering::Acquire) && !self.words.is_closed()
    }

    /// Makes one call. Dropping the future cancels it. The time for the answer is kept by the
    /// socket's task, which has one timer for all calls.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<Result<Answer, CallError>, Expired> {
        let (reply, answer) = oneshot::channel();
        let submitted = until(deadline, self.submit(request, Some(deadline), ReplyTo::Call(reply)));
        let id = match submitted.await? {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        let mut guard = CancelOnDrop { connection: self, id, answered: false };
        let result = answer.await;
        guard.disarm();
        match result {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(Failed::Expired)) => Err(Expired),
            Ok(Err(Failed::Because(error))) => Ok(Err(error)),
            Err(_) => Ok(Err(self.shared.vanished(request.is_sent()))),
        }
    }

    /// Begins a stream. On a connection of its own: a slow reader stops all reading.
    pub(crate) async fn stream(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
    ) -> Result<Subscription, CallError> {
        let (sender, events) = mpsc::channel(STREAM_QUEUE);
        let id = self.submit(request, deadline, ReplyTo::Stream(sender)).await?;
        let guard = CancelOnDrop { connection: self.clone(), id, answered: false };
        Ok(Subscription { events, guard })
    }

    /// Hands a call over, whose place the caller holds from then on; answers its id.
    async fn submit(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
        reply: ReplyTo,
    ) -> Result<u64, CallError> {
        if !self.shared.places.take(|| !self.is_open()).await {
            return Err(self.shared.retired());
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let job = Job { id, request: Arc::clone(request), deadline, reply };
        self.words.send(Word::Call(job)).map_err(|_| {
            self.shared.places.give_back();
            self.shared.retired()
        })?;
        Ok(id)
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
        if self.context.has_ended() {
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
}

/// The reader's end of a stream. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<StreamEvent>,
    /// Keeps the connection open, too.
    guard: CancelOnDrop<Connection>,
}

impl Subscription {
    /// The stream is over: nothing is left to cancel.
    pub(crate) fn finished(&mut self) {
        self.guard.disarm();
    }

    /// What it means that the events ended without a last word.
    pub(crate) fn vanished(&self) -> CallError {
        self.guard.connection.shared.vanished(true)
    }
}

/// Holds a call's place, and tells the socket's task when a caller goes before its answer came.
#[derive(Debug)]
struct CancelOnDrop<C: Borrow<Connection>> {
    connection: C,
    id: u64,
    answered: bool,
}

impl<C: Borrow<Connection>> CancelOnDrop<C> {
    fn disarm(&mut self) {
        self.answered = true;
    }
}

impl<C: Borrow<Connection>> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        let connection = self.connection.borrow();
        if !self.answered {
            // Where nobody is left to be told, nothing is left to cancel.
            let _ = connection.words.send(Word::Cancel(self.id));
        }
        connection.shared.places.give_back();
    }
}

/// The calls a connection has at most. While there is room, to take a place and to give it back is
/// to count: a channel's or a semaphore's permits would be a lock for every call.
#[derive(Debug)]
struct Places {
    most: usize,
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Waits for a place; `false` when `closed` says that there will be none.
    async fn take(&self, closed: impl Fn() -> bool) -> bool {
        if self.try_take() {
            return true;
        }
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on no word is missed.
            freed.as_mut().enable();
            if closed() {
                return false;
            }
            if self.try_take() {
                return true;
            }
            freed.await;
        }
    }

    fn try_take(&self) -> bool {
        let one_more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).is_ok()
    }

    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Whoever waits is to look again whether the connection is closed.
    fn wake_all(&self) {
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
