//! A call as stored in the history file: everything but its result.

use std::time::{Duration, Instant};

use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;

use super::{Call, CallId, Failure, Items, Outcome, Wire};
use crate::model::calls::CallRequest;
use crate::model::calls::Tab;
use crate::model::json::Folding;
use crate::model::service::Service;

/// A call of an earlier session, or a finished one to store.
#[derive(Debug, Clone, PartialEq)]
pub struct PastCall {
    /// When it started: milliseconds since 1970, UTC.
    pub at_ms: u64,
    /// The service of the method, if it was known.
    pub service: Service,
    /// The method's name.
    pub method: String,
    /// The arguments.
    pub args: Args,
    /// The arguments as written, with their references to variables.
    pub written: Args,
    /// The one instance it was sent to; `None`: any that has the method.
    pub target: Option<InstanceKey>,
    /// The timeout.
    pub timeout: Duration,
    /// Whether it is a stream.
    pub stream: bool,
    /// The outcome.
    pub outcome: PastOutcome,
}

/// The outcome of a call, without its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOutcome {
    /// The error, if it failed.
    pub failure: Option<Failure>,
    /// The address of the instance that replied.
    pub peer: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Size of the reply.
    pub reply_bytes: usize,
}

impl PastCall {
    /// The stored form of a call that ended; `shift_ms` is the shift of its time to local time.
    pub fn of(call: &Call, outcome: &Outcome, shift_ms: i64) -> Self {
        Self {
            at_ms: call.wall_ms.saturating_add_signed(shift_ms.saturating_neg()),
            service: call.request.service.clone(),
            method: call.request.method.clone(),
            args: call.request.args.clone(),
            written: call.request.written.clone(),
            target: call.target().cloned(),
            timeout: call.request.timeout,
            stream: call.request.stream,
            outcome: PastOutcome {
                failure: outcome.result.as_ref().err().cloned(),
                peer: outcome.peer.clone(),
                elapsed: outcome.elapsed,
                reply_bytes: outcome.reply_bytes,
            },
        }
    }

    pub(super) fn into_call(self, id: CallId, now: Instant, shift_ms: i64) -> Call {
        Call {
            request: CallRequest {
                id,
                service: self.service,
                method: self.method,
                args: self.args,
                written: self.written,
                candidates: self.target.into_iter().collect(),
                timeout: self.timeout,
                stream: self.stream,
            },
            started: now,
            wall_ms: self.at_ms.saturating_add_signed(shift_ms),
            outcome: None,
            past: Some(self.outcome),
            items: Items::default(),
            wire: Wire::default(),
            tab: Tab::default(),
            failure_top: 0,
            filtered: None,
            folding: Folding::default(),
            diff: None,
            diff_top: 0,
            timing_top: 0,
            received_bytes: None,
            parsing_bytes: None,
        }
    }
}
