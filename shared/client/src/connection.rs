//! One socket to a peer that speaks the extended dialect: any number of calls in flight.

mod driver;
mod inbound;
mod inbox;
mod outbound;
mod pending;

use std::borrow::Borrow;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, ready};

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::{Context, Expired, after, until};
use crate::request::{Answer, Outgoing};
use crate::stream::StreamEvent;

use driver::Driver;
use inbound::{Inbound, Own};
pub(crate) use inbox::{Frame, Inbox};
use outbound::Outbound;
use pending::{Failed, Finished, Job, ReplyTo};

/// Calls that may wait in the task that owns the socket, beside those in flight.
const QUEUE: usize = 64;
/// Items of a stream that may wait for its reader; then nothing more is read.
const STREAM_QUEUE: usize = 16;

/// The callers' end of a connection. A task of its own serves the socket; it ends when the peer
/// closes, when every handle is gone and nothing is in flight, when nothing happened for
/// [`ClientOptions::idle`](crate::ClientOptions::idle), or with the client.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Never more calls than there are [`Places`] for, beside those cancelled that it has not heard of
    /// and a word to look for each call made alone.
    words: mpsc::UnboundedSender<Word>,
    shared: Arc<Shared>,
}

/// What callers tell the socket's task.
#[derive(Debug)]
enum Word {
    Call(Job),
    /// The caller is gone.
    Cancel(u64),
    /// A caller who wrote and read by itself has left something to do.
    Look,
}

/// What callers and the socket's task both know.
#[derive(Debug)]
struct Shared {
    peer: Arc<str>,
    context: Arc<Context>,
    next_id: AtomicU64,
    places: Places,
    /// No new calls are taken; those in flight are still answered. Set with `outbound` locked.
    retired: AtomicBool,
    /// Replies on their way: the task's, and a caller's who has the connection to itself. Who locks
    /// both locks this one first.
    inbound: Mutex<Inbound>,
    /// Calls on their way, likewise.
    outbound: Mutex<Outbound>,
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
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(writer);
        let idle_end = after(Instant::now(), context.options.idle_timeout);
        let in_flight = context.options.max_in_flight.max(1);
        let shared = Arc::new(Shared {
            peer,
            context: Arc::clone(context),
            // 0 was the probe's.
            next_id: AtomicU64::new(1),
            places: Places::new(in_flight.saturating_add(QUEUE)),
            retired: AtomicBool::new(false),
            inbound: Mutex::new(Inbound::new(reader, inbox)),
            outbound: Mutex::new(Outbound::new(Arc::clone(&writer), idle_end)),
        });
        context.spawn(Driver::new(Arc::clone(&shared), words).run(writer));
        Self { words: sender, shared }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.shared.is_retired() && !self.words.is_closed()
    }

    /// Makes one call. Dropping the future cancels it. The time for the answer is kept by the
    /// socket's task, which has one timer for all calls.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<Result<Answer, CallError>, Expired> {
        let (reply, mut answer) = oneshot::channel();
        let submitted = until(deadline, self.submit(request, Some(deadline), ReplyTo::Call(reply)));
        let (id, mut reads) = match submitted.await? {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error)),
        };
        let mut guard = CancelOnDrop { connection: self, id, answered: false };
        let result = poll_fn(|context| {
            if reads {
                match self.poll_own(context, id, &mut answer) {
                    Poll::Ready(Some(finished)) => return Poll::Ready(Ok(finished)),
                    Poll::Ready(None) => reads = false,
                    Poll::Pending => {}
                }
            }
            pin!(&mut answer).poll(context)
        })
        .await;
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
        let (id, _) = self.submit(request, deadline, ReplyTo::Stream(sender)).await?;
        let guard = CancelOnDrop { connection: self.clone(), id, answered: false };
        Ok(Subscription { events, guard })
    }

    /// Sends a call, whose place the caller holds from then on; answers its id, and whether the caller
    /// is to read the answer by itself.
    async fn submit(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
        reply: ReplyTo,
    ) -> Result<(u64, bool), CallError> {
        let others = self.shared.places.take(|| !self.is_open()).await;
        let others = others.ok_or_else(|| self.shared.retired())?;
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut job = Job { id, request: Arc::clone(request), deadline, reply };
        // A stream's reader does not read the socket.
        if others == 0 && matches!(job.reply, ReplyTo::Call(_)) {
            match self.shared.write_alone(job).await {
                Ok(look) => {
                    if look {
                        self.look();
                    }
                    return Ok((id, true));
                }
                Err(returned) => job = returned,
            }
        }
        self.words.send(Word::Call(job)).map_err(|_| {
            self.shared.places.give_back();
            self.shared.retired()
        })?;
        Ok((id, false))
    }

    /// Looks for the answer of call `id`, whose caller is the reader; `None` once the task is.
    fn poll_own(
        &self,
        context: &mut task::Context<'_>,
        id: u64,
        answer: &mut oneshot::Receiver<Finished>,
    ) -> Poll<Option<Finished>> {
        // Nobody else locks it now but the task, which reads from then on.
        let Ok(mut inbound) = self.shared.inbound.try_lock() else { return Poll::Ready(None) };
        let own = ready!(inbound.poll_own(context, &self.shared, id));
        drop(inbound);
        Poll::Ready(match own {
            Own::Answer { finished, reply, look } => {
                // Before the sender is dropped, which would wake us.
                answer.close();
                drop(reply);
                if look {
                    self.look();
                }
                Some(finished)
            }
            Own::Left => {
                self.look();
                None
            }
            Own::Tasks => None,
        })
    }

    /// Asks the task to look at what there is to be done.
    fn look(&self) {
        // Where it has ended, nothing is.
        let _ = self.words.send(Word::Look);
    }
}

impl Shared {
    /// Writes a call of the only caller, who from then on is the reader; `true` if the task has to look.
    /// To wake the task for both would cost as much as all the rest that a call takes here.
    ///
    /// It waits for nothing, it is `async` for who is to be woken.
    async fn write_alone(&self, job: Job) -> Result<bool, Job> {
        let id = job.id;
        // What arrived before, such as the connection's end, is the task's to read.
        let lent = poll_fn(|context| {
            let inbound = self.inbound.try_lock();
            Poll::Ready(inbound.is_ok_and(|mut inbound| inbound.lend(context, id)))
        });
        if !lent.await {
            return Err(job);
        }
        match self.outbound.try_lock() {
            Ok(mut outbound) if !self.is_retired() => outbound.write_alone(job),
            _ => Err(job),
        }
    }

    /// The task's own reading.
    async fn fill(&self) -> io::Result<usize> {
        poll_fn(|context| self.inbound().poll_fill(context)).await
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&self, word: Word, outbound: &mut Outbound) {
        match word {
            // It came just when the server began to drain.
            Word::Call(job) if self.is_retired() => job.reply.fail(self.retired()),
            Word::Call(job) => outbound.hold(job),
            Word::Cancel(id) => outbound.cancel(id),
            Word::Look => {}
        }
    }

    /// Takes no new calls. With `outbound` locked, so that no caller is just writing one.
    fn retire(&self, _outbound: &Outbound) {
        self.retired.store(true, Ordering::Release);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

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

    /// Waits for a place, and answers how many were taken before it; `None` when `closed` says that
    /// there will be none.
    async fn take(&self, closed: impl Fn() -> bool) -> Option<usize> {
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
