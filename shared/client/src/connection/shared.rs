//! What the callers of a connection and its driver share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc;

use super::command::Command;
use super::inline_call::Halves;
use super::outbound::Outbound;
use super::slots::Slots;
use crate::CallError;
use crate::context::Context;

/// The callers' end of a connection; the driver runs at least as long as one exists.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    /// Unbounded because `Drop` cannot wait: at most `max_in_flight + QUEUE` sends, plus one `Cancel` per
    /// dropped call and one `Wake` per inline call.
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) shared: Arc<Shared>,
}

/// What callers and the driver share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) context: Arc<Context>,
    pub(super) next_id: AtomicU64,
    pub(super) slots: Slots,
    pub(super) halves: Halves,
}

impl Shared {
    pub(super) fn apply(&self, command: Command, outbound: &mut Outbound) {
        match command {
            // It was sent just as the server began to drain.
            Command::Send(call) if self.halves.is_retired() => call.reply.fail(self.retired()),
            Command::Send(call) => outbound.enqueue(call),
            Command::Cancel(id) => outbound.cancel(id),
            // The driver is awake, and does whatever there is to do in its loop.
            Command::Wake => {}
        }
    }

    /// The connection was closed before it took the call.
    pub(super) fn retired(&self) -> CallError {
        self.lost("it was closed before the call was sent", false)
    }

    /// The driver is gone without having ended the call: the client was closed, or its runtime, or
    /// the driver was just ending when the call was sent to it.
    pub(super) fn driver_gone(&self, sent: bool) -> CallError {
        if self.context.has_ended() {
            CallError::Closed
        } else {
            self.lost("its driver has ended", sent)
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
