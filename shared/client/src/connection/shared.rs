//! What the callers of a connection and the task that owns its socket both know.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc;

use super::command::Command;
use super::inline_call::Halves;
use super::outbound::Outbound;
use super::places::Places;
use crate::CallError;
use crate::context::Context;

/// The callers' end of a connection: while there is one, the task runs.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    /// Unbounded because `Drop` cannot wait: at most `max_in_flight + QUEUE` sends, plus one `Cancel` per
    /// dropped call and one `Wake` per inline call.
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) shared: Arc<Shared>,
}

/// What callers and the socket's task both know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) context: Arc<Context>,
    pub(super) next_id: AtomicU64,
    pub(super) places: Places,
    pub(super) halves: Halves,
}

impl Shared {
    pub(super) fn apply(&self, command: Command, outbound: &mut Outbound) {
        match command {
            // It came just when the server began to drain.
            Command::Send(job) if self.halves.is_retired() => job.reply.fail(self.retired()),
            Command::Send(job) => outbound.hold(job),
            Command::Cancel(id) => outbound.cancel(id),
            // To be woken is all it is for.
            Command::Wake => {}
        }
    }

    /// The connection was closed before it took the call.
    pub(super) fn retired(&self) -> CallError {
        self.lost("it was closed before the call was sent", false)
    }

    /// The socket's task is gone without an answer: the client ended, or its runtime, or the task
    /// was ending just when the call was handed over.
    pub(super) fn vanished(&self, sent: bool) -> CallError {
        if self.context.has_ended() {
            CallError::Closed
        } else {
            self.lost("its task is gone", sent)
        }
    }

    pub(super) fn lost(&self, reason: &str, executed: bool) -> CallError {
        CallError::ConnectionLost {
            peer: self.peer.to_string(),
            reason: reason.to_owned(),
            executed,
        }
    }
}
