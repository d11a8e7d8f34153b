//! One older server: its sockets by number, and the calls that wait for one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::CallError;
use crate::context::Context;
use crate::request::{Answer, Outgoing};

/// Sockets being opened at once: an older server's backlog is 5, and who does not fit waits a
/// second for the system's next attempt.
const MAX_OPENING: usize = 4;

/// The sockets to one older server, each owned by a task, and the calls that wait for one.
#[derive(Debug)]
pub(in super::super) struct ClassicPool {
    pub(super) context: Arc<Context>,
    pub(super) peer: Arc<str>,
    pub(super) address: (String, u16),
    pub(super) learned: Instant,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Tasks, each with a socket or opening one.
    pub(super) workers: usize,
    /// Sockets the server may not have accepted yet.
    pub(super) opening: usize,
    /// Tasks without a call, the latest used last.
    pub(super) idle: Vec<oneshot::Sender<Job>>,
    pub(super) waiting: VecDeque<Job>,
    /// A connection failed: who is there now may speak another dialect.
    pub(super) failed: bool,
}

#[derive(Debug)]
pub(super) struct Job {
    /// The request as it is written.
    pub(super) bytes: Vec<u8>,
    pub(super) request: Arc<Outgoing>,
    pub(super) reply: oneshot::Sender<Result<Answer, CallError>>,
}

/// What a task with a socket does next.
pub(super) enum Next {
    Call(Job),
    /// There is no call: it waits for one.
    Wait(oneshot::Receiver<Job>),
}

impl ClassicPool {
    pub(super) fn may_open(&self, state: &State) -> bool {
        state.workers < self.context.options.max_classic_connections.max(1)
            && state.opening < MAX_OPENING
    }

    /// The longest waiting call, or a place among the idle.
    pub(super) fn next(&self) -> Next {
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

    pub(super) fn lost(&self, reason: &str, executed: bool) -> CallError {
        let (peer, reason) = (self.peer.to_string(), reason.to_owned());
        CallError::ConnectionLost { peer, reason, executed }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The longest waiting call whose caller is still there.
    pub(super) fn next_waiting(&mut self) -> Option<Job> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|job| !job.reply.is_closed())
    }
}
