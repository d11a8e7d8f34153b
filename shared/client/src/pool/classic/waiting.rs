//! One older server: how many sockets it has, and the calls that wait for one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::CallError;
use crate::connection::Heard;
use crate::context::Context;
use crate::pool::Route;
use crate::request::{CallReply, Outgoing};

/// Sockets being opened at once: an older server's backlog is 5, and the system retries one that does
/// not fit only after a second.
const MAX_OPENING: usize = 4;

/// The sockets to one older server, each owned by a task, and the calls that wait for one.
#[derive(Debug)]
pub(in super::super) struct ClassicPool {
    pub(super) context: Arc<Context>,
    pub(super) peer: Arc<str>,
    pub(super) route: Route,
    /// When the dialect was learned.
    pub(super) learned: Instant,
    /// Where the bytes of every socket are counted.
    pub(super) heard: Option<Arc<Heard>>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Workers, each with a socket or opening one.
    pub(super) workers: usize,
    /// Sockets the server may not have accepted yet.
    pub(super) opening: usize,
    /// Workers without a call, the last used last.
    pub(super) idle: Vec<oneshot::Sender<ClassicCall>>,
    pub(super) waiting: VecDeque<ClassicCall>,
    /// No connection could be made: the next server there may speak another dialect.
    pub(super) failed: bool,
}

#[derive(Debug)]
pub(super) struct ClassicCall {
    /// The request as it is written.
    pub(super) bytes: Vec<u8>,
    pub(super) request: Arc<Outgoing>,
    pub(super) reply_to: oneshot::Sender<Result<CallReply, CallError>>,
}

/// What a worker does next.
pub(super) enum Next {
    Call(ClassicCall),
    /// There is no call; the next one is sent here.
    Wait(oneshot::Receiver<ClassicCall>),
}

impl ClassicPool {
    /// Whether another socket may be opened.
    pub(super) fn may_open(&self, state: &State) -> bool {
        state.workers < self.context.options.max_classic_connections.max(1)
            && state.opening < MAX_OPENING
    }

    /// The call that waited longest, or a slot among the idle workers.
    pub(super) fn next(&self) -> Next {
        let mut state = self.state();
        match state.next_waiting() {
            Some(call) => Next::Call(call),
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
    /// The call that waited longest and whose caller is still there.
    pub(super) fn next_waiting(&mut self) -> Option<ClassicCall> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|call| !call.reply_to.is_closed())
    }
}
