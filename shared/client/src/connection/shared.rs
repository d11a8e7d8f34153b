//! What the callers of a connection and its driver share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rpc_wire::fault::{Code, Fault};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::command::Command;
use super::inline_call::Halves;
use super::outbound::Outbound;
use super::slots::Slots;
use crate::CallError;
use crate::context::Context;
use crate::token::Shown;

/// The id of the first call; 0 was the probe's.
pub(super) const FIRST_ID: u64 = 1;

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
    /// It is known that the peer speaks the extended dialect.
    pub(super) is_probed: bool,
    /// What the connection did about the client's token.
    pub(super) shown: Shown,
    /// Why the peer takes no calls on the connection, if it said so.
    pub(super) refusal: OnceLock<Fault>,
}

impl Shared {
    pub(super) fn apply(&self, command: Command, outbound: &mut Outbound) {
        match command {
            // It was sent just as the server began to drain.
            Command::Send(call) if self.halves.is_retired() => call.reply.fail(self.retired()),
            Command::Send(call) => outbound.enqueue(call),
            Command::Notify(notification) if self.halves.is_retired() => {
                notification.fail(self.retired());
            }
            Command::Notify(notification) => outbound.enqueue_notification(notification),
            Command::Cancel(id) => outbound.cancel(id),
            Command::Retire => {
                outbound.fail_waiting(|| self.retired());
                self.slots.wake_all();
            }
            // The driver is awake, and does whatever there is to do in its loop.
            Command::Wake => {}
        }
    }

    /// Whether a reply without an id shows that the peer is an older server. One of this dialect sends such a
    /// reply as well, about a request that it could not read.
    pub(super) fn is_older(&self, outcome: &Result<&RawValue, Fault>) -> bool {
        let is_unread = |fault: &Fault| matches!(fault.code, Code::NotJson | Code::TooLarge);
        !self.is_probed && !outcome.as_ref().is_err_and(is_unread)
    }

    /// The id of the only call that was ever made on the connection, if there was one.
    pub(super) fn only_id(&self) -> Option<u64> {
        (self.next_id.load(Ordering::Relaxed) == FIRST_ID + 1).then_some(FIRST_ID)
    }

    /// The connection was closed before it took the call.
    pub(super) fn retired(&self) -> CallError {
        self.not_executed("it was closed before the call was sent")
    }

    /// Notes that the peer takes no further calls on the connection.
    pub(super) fn note_refusal(&self, fault: Fault) {
        // Its first word counts.
        let _ = self.refusal.set(fault);
    }

    /// The connection ended, and the call was certainly not executed.
    pub(super) fn not_executed(&self, reason: &str) -> CallError {
        match self.refusal.get() {
            Some(fault) => CallError::refused(&self.peer, fault.clone()),
            None => self.lost(reason, false),
        }
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
