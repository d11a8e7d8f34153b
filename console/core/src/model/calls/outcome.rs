//! How a call ended: result or failure, times, sizes.

use std::sync::Arc;
use std::time::Duration;

use super::Attempt;
use crate::model::json::Document;

/// The outcome of a call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The parsed result, or the error.
    pub result: Result<Arc<Document>, Failure>,
    /// The address of the instance that replied.
    pub peer: Option<String>,
    /// Size of the reply.
    pub reply_bytes: usize,
    /// The time of each phase.
    pub timing: Option<Phases>,
    /// Total time.
    pub elapsed: Duration,
    /// The attempts, in the order in which they began; none if it was not sent.
    pub attempts: Vec<Attempt>,
    /// Whether the instance uses the classic dialect.
    pub classic: bool,
}

/// The time of each phase of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Attempts on other instances before the one that replied.
    pub earlier: Duration,
    /// Waiting for a free connection.
    pub queue: Duration,
    /// Connecting.
    pub connect: Duration,
    /// From the last byte sent to the first received.
    pub server: Duration,
    /// Receiving.
    pub transfer: Duration,
}

/// The error of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The kind, in a word or two: `invalid arguments (-32602)`, `timeout`.
    pub kind: String,
    /// The message, in one line.
    pub text: String,
    /// Whether the server says that the call can be retried, if it says so.
    pub retryable: Option<bool>,
    /// Further data from the method, as JSON.
    pub data: Option<String>,
}

impl Failure {
    /// A failure that no server reported.
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: kind.into(), text: text.into(), ..Self::default() }
    }
}
