//! An older server: one call in flight per socket, never pipelined, few sockets, none kept long.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_wire::call::{Reply, ReplyError, request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{connect, unreachable};
use crate::CallError;
use crate::connection::Inbox;
use crate::context::Context;
use crate::request::{Answer, Outgoing};

/// What an older server reads at once, and therefore the most a request may have.
const MAX_REQUEST: usize = 1024;

/// The sockets to one older server, each owned by a task, and the calls that wait for one.
#[derive(Debug)]
pub(super) struct ClassicPool {
    context: Arc<Context>,
    peer: Arc<str>,
    address: (String, u16),
    learned: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Tasks, each with a socket or about to open one.
    workers: usize,
    /// Tasks without a call, the latest used last.
    idle: Vec<oneshot::Sender<Job>>,
    waiting: VecDeque<Job>,
    /// A connection failed: who is there now may speak another dialect.
    failed: bool,
}

#[derive(Debug)]
struct Job {
    /// The request as it is written.
    bytes: Vec<u8>,
    request: Arc<Outgoing>,
    reply: oneshot::Sender<Result<Answer, CallError>>,
}

impl ClassicPool {
    /// A pool that begins with the socket on which the dialect was learned.
    pub(super) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        address: (String, u16),
        line: Option<Line>,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            context: Arc::clone(context),
            peer,
            address,
            learned: Instant::now(),
            state: Mutex::new(State { workers: 1, ..State::default() }),
        });
        let worker = Worker { pool: Arc::clone(&pool), line };
        context.spawn(worker.run(None));
        pool
    }

    /// Whether calls may go through it: nothing failed, and what was learned is fresh or at
    /// least in use.
    pub(super) fn is_usable(&self, memory: Duration) -> bool {
        let state = self.state();
        !state.failed && (state.workers > 0 || self.learned.elapsed() < memory)
    }

    /// Makes one call. Dropping the future closes its socket.
    pub(super) async fn call(
        self: &Arc<Self>,
        outgoing: &Arc<Outgoing>,
    ) -> Result<Answer, CallError> {
        let mut bytes = Vec::new();
        request::classic(&mut bytes, &outgoing.method, &outgoing.args);
        if bytes.len() > MAX_REQUEST {
            let (size, limit) = (bytes.len(), MAX_REQUEST);
            return Err(CallError::TooLarge { peer: self.peer.to_string(), size, limit });
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Job { bytes, request: Arc::clone(outgoing), reply })?;
        answer.await.unwrap_or_else(|_| {
            Err(if self.context.end.is_cancelled() {
                CallError::Closed
            } else {
                self.lost("its task is gone", outgoing.is_sent())
            })
        })
    }

    fn submit(self: &Arc<Self>, mut job: Job) -> Result<(), CallError> {
        let mut state = self.state();
        while let Some(worker) = state.idle.pop() {
            match worker.send(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
        if state.workers < self.context.options.classic_connections.max(1) {
            state.workers += 1;
            drop(state);
            let worker = Worker { pool: Arc::clone(self), line: None };
            self.context.spawn(worker.run(Some(job)));
            return Ok(());
        }
        state.waiting.retain(|job| !job.reply.is_closed());
        let waiting = state.waiting.len();
        if waiting >= self.context.options.classic_queue {
            return Err(CallError::QueueFull { peer: self.peer.to_string(), waiting });
        }
        state.waiting.push_back(job);
        Ok(())
    }

    fn lost(&self, reason: &str, executed: bool) -> CallError {
        let (peer, reason) = (self.peer.to_string(), reason.to_owned());
        CallError::ConnectionLost { peer, reason, executed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task with at most one socket, which takes one call after another.
struct Worker {
    pool: Arc<ClassicPool>,
    line: Option<Line>,
}

/// A socket, and what was received on it: nothing, between two calls.
type Line = (TcpStream, Inbox);

/// What a worker does next.
enum Next {
    Call(Job),
    /// It has no call and waits for one.
    Wait(oneshot::Receiver<Job>),
}

impl Worker {
    async fn run(mut self, mut job: Option<Job>) {
        loop {
            if let Some(job) = job.take() {
                self.serve(job).await;
            }
            job = match self.next() {
                Some(Next::Call(job)) => Some(job),
                Some(Next::Wait(inbox)) => self.wait(inbox).await,
                None => return,
            };
        }
    }

    /// The longest waiting call, or a place among the idle. A worker without a socket and without
    /// a call leaves.
    fn next(&self) -> Option<Next> {
        let mut state = self.pool.state();
        while let Some(job) = state.waiting.pop_front() {
            if !job.reply.is_closed() {
                return Some(Next::Call(job));
            }
        }
        if self.line.is_none() {
            state.workers -= 1;
            return None;
        }
        let (sender, inbox) = oneshot::channel();
        state.idle.push(sender);
        Some(Next::Wait(inbox))
    }

    /// Waits for a call, for the server to close, or for the socket to have been idle too long.
    async fn wait(&mut self, mut inbox: oneshot::Receiver<Job>) -> Option<Job> {
        let idle = self.pool.context.options.classic_idle;
        if let Some((socket, _)) = &self.line {
            tokio::select! {
                biased;
                job = &mut inbox => return job.ok(),
                // Whatever can be read now answers nothing: an end, or bytes nobody asked for.
                _ = socket.readable() => {}
                () = tokio::time::sleep(idle) => {}
            }
        }
        self.line = None;
        // A call may have been handed over meanwhile.
        inbox.close();
        inbox.try_recv().ok()
    }

    async fn serve(&mut self, mut job: Job) {
        let reused = self.line.take();
        let outcome = tokio::select! {
            biased;
            outcome = exchange(&self.pool, reused, &job.bytes, &job.request) => outcome,
            // The caller is gone: only closing the socket keeps its late reply from the next.
            () = job.reply.closed() => return,
        };
        let result = match outcome {
            Ok((answer, line)) => {
                self.line = line;
                answer.map(|answer| Answer {
                    sent: if job.request.keep_sent { job.bytes } else { Vec::new() },
                    ..answer
                })
            }
            Err(error) => {
                self.pool.state().failed |= matches!(error, CallError::Unreachable { .. });
                Err(error)
            }
        };
        // A caller that is gone by now needs no answer.
        drop(job.reply.send(result));
    }
}

/// Sends one request and reads its reply, on the socket at hand or a new one. The socket comes
/// back when it can take another call.
async fn exchange(
    pool: &ClassicPool,
    reused: Option<Line>,
    bytes: &[u8],
    request: &Outgoing,
) -> Result<(Result<Answer, CallError>, Option<Line>), CallError> {
    let (mut socket, mut inbox) = match reused {
        Some(line) => line,
        None => {
            let lost_after = pool.context.options.lost_after;
            let socket = connect(&pool.address.0, pool.address.1, lost_after).await;
            let socket = socket.map_err(|error| unreachable(&pool.peer, &error))?;
            (socket, Inbox::new(pool.context.options.max_reply_bytes))
        }
    };
    let sent_at = Instant::now();
    // One write for the whole request: an older server reads it with one read.
    let count = match socket.write(bytes).await {
        Ok(count) => count,
        Err(error) => return Err(pool.lost(&error.to_string(), false)),
    };
    request.mark_sent();
    let lost = |error: std::io::Error| pool.lost(&error.to_string(), true);
    socket.write_all(bytes.get(count..).unwrap_or_default()).await.map_err(lost)?;

    loop {
        let frame = inbox.next().map_err(|error| CallError::bad_frame(&pool.peer, error))?;
        if let Some(frame) = frame {
            let result = match Reply::parse(inbox.bytes(&frame)) {
                Ok(Reply::Done { id: None, outcome }) => outcome
                    .map(|value| Answer {
                        value: value.to_owned(),
                        sent: Vec::new(),
                        sent_at,
                        first_byte: frame.began,
                        done: frame.done,
                        reply_bytes: frame.len(),
                    })
                    .map_err(CallError::Remote),
                Ok(_) => return Err(CallError::bad_reply(&pool.peer, "it has no `res`, or an id")),
                Err(error) => Err(unreadable(&pool.peer, &error)),
            };
            inbox.release();
            let line = (!inbox.has_more()).then_some((socket, inbox));
            return Ok((result, line));
        }
        if inbox.fill(&mut socket).await.map_err(lost)? == 0 {
            return Err(pool.lost("the peer closed it", true));
        }
    }
}

fn unreadable(peer: &str, error: &ReplyError) -> CallError {
    match error {
        ReplyError::NotJson(_) => CallError::bad_reply(peer, error),
        ReplyError::NotFinite | ReplyError::Inexact(_) => {
            CallError::NotExact { peer: peer.to_owned(), reason: error.to_string() }
        }
    }
}
