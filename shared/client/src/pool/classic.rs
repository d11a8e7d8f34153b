//! An older server: one call in flight per socket, never pipelined, few sockets, none kept long.

mod line;
mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_wire::call::request;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::CallError;
use crate::connection::Inbox;
use crate::context::Context;
use crate::request::{Answer, Outgoing};

use line::Line;
use worker::Worker;

/// What an older server reads at once, and therefore the most a request may have.
const MAX_REQUEST: usize = 1024;
/// Sockets being opened at once: an older server's backlog is 5, and who does not fit waits a
/// second for the system's next attempt.
const MAX_OPENING: usize = 4;

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
    /// Tasks, each with a socket or opening one.
    workers: usize,
    /// Sockets the server may not have accepted yet.
    opening: usize,
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

/// What a task with a socket does next.
enum Next {
    Call(Job),
    /// There is no call: it waits for one.
    Wait(oneshot::Receiver<Job>),
}

impl ClassicPool {
    /// A pool that begins with the connection on which the dialect was learned.
    pub(super) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        address: (String, u16),
        socket: TcpStream,
        mut inbox: Inbox,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            context: Arc::clone(context),
            peer,
            address,
            learned: Instant::now(),
            state: Mutex::default(),
        });
        if inbox.is_clean() {
            pool.state().workers = 1;
            let line = Line::known(socket, inbox);
            context.spawn(Worker::with_line(Arc::clone(&pool), line).run(None));
        }
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
            Err(if self.context.has_ended() {
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
        let most = self.context.options.max_classic_queue;
        if state.waiting.len() >= most && !self.may_open(&state) {
            state.waiting.retain(|job| !job.reply.is_closed());
            let waiting = state.waiting.len();
            if waiting >= most {
                return Err(CallError::QueueFull { peer: self.peer.to_string(), waiting });
            }
        }
        state.waiting.push_back(job);
        self.open_more(state);
        Ok(())
    }

    /// Opens sockets for waiting calls, as many as may be.
    fn open_more(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        while self.may_open(&state) {
            let Some(job) = state.next_waiting() else { break };
            state.workers += 1;
            state.opening += 1;
            let worker = Worker::without_line(Arc::clone(self));
            self.context.spawn(worker.run(Some(job)));
        }
    }

    fn may_open(&self, state: &State) -> bool {
        state.workers < self.context.options.max_classic_connections.max(1)
            && state.opening < MAX_OPENING
    }

    /// The longest waiting call, or a place among the idle.
    fn next(&self) -> Next {
        let mut state = self.state();
        match state.next_waiting() {
            Some(job) => Next::Call(job),
            None => {
                let (sender, inbox) = oneshot::channel();
                state.idle.push(sender);
                Next::Wait(inbox)
            }
        }
    }

    /// A task has no socket any more; `unserved` was handed to it just before.
    fn leave(self: &Arc<Self>, unserved: Option<Job>) {
        let mut state = self.state();
        state.workers -= 1;
        state.waiting.extend(unserved);
        self.open_more(state);
    }

    /// The server has accepted a socket, or will never.
    fn opened(self: &Arc<Self>) {
        let mut state = self.state();
        state.opening -= 1;
        self.open_more(state);
    }

    fn lost(&self, reason: &str, executed: bool) -> CallError {
        let (peer, reason) = (self.peer.to_string(), reason.to_owned());
        CallError::ConnectionLost { peer, reason, executed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The longest waiting call whose caller is still there.
    fn next_waiting(&mut self) -> Option<Job> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|job| !job.reply.is_closed())
    }
}
