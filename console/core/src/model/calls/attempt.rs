//! The attempts of a call: where it went, and why.

use std::time::Duration;

/// One attempt: the call was, or was to be, sent to one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The address of the instance.
    pub instance: String,
    /// Why it was called, in words: `chosen at random`.
    pub reason: String,
    /// When it began, from the start of the call.
    pub began: Duration,
    /// How long it took; `None`: it did not end.
    pub took: Option<Duration>,
    /// How it ended.
    pub end: AttemptEnd,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It did not: the call was cancelled.
    Pending,
    /// With a result, or its stream began.
    Replied,
    /// With this error.
    Failed(String),
}
