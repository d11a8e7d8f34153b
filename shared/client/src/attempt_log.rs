//! The attempts of a call, for callers that ask why it went where it did.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Balance, CallError, Rounded};

/// Attempts that are kept of one call; of further ones, which are rare, nothing is.
const MAX_ATTEMPTS: usize = 256;

/// Records each attempt of a call, whether the call succeeds or fails, see
/// [`Request::attempts`](crate::Request::attempts). Cheap to clone; clones share the attempts. Calls without
/// one record nothing. At most 256 attempts are kept.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = rpc_tests::fakes::adder().await;
/// # let client = rpc_client::Client::direct(server.name(), Default::default())?;
/// use rpc_client::{AttemptLog, Request};
///
/// let log = AttemptLog::default();
/// client.request(Request::new("add", (1, 2))?.attempts(log.clone())).await?;
/// for attempt in log.attempts() {
///     println!("{attempt}"); // 127.0.0.1:8080: the only server; replied after 0.4 ms
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct AttemptLog(Arc<Mutex<Vec<Attempt>>>);

/// One attempt of a call: the call was, or was to be, sent to one instance.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The instance, as `host:port`.
    pub instance: String,
    /// Why it was called.
    pub reason: AttemptReason,
    /// When the attempt began, from the start of the call.
    pub began: Duration,
    /// How long it took; `None` while it is pending.
    pub took: Option<Duration>,
    /// How it ended.
    pub end: AttemptEnd,
}

/// Why an instance was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptReason {
    /// The client has only this server.
    OnlyServer,
    /// The request names it ([`Request::on`](crate::Request::on)).
    Named,
    /// The first choice, by this policy.
    Balanced(Balance),
    /// None is known to offer the method, and this one could not be asked.
    Guess,
    /// The previous one failed the attempt.
    Retry,
    /// The previous one does not have the method.
    NotOffered,
    /// The previous one had not replied in time, and may still do so ([`Hedge`](crate::Hedge)).
    Hedge,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttemptEnd {
    /// It did not: the call goes on, or its caller dropped it.
    Pending,
    /// With a result. A stream has begun.
    Replied,
    /// A notification is written; nobody replies to it.
    Sent,
    /// Another attempt beside it had the result first.
    Cancelled,
    /// With this error. Another attempt may have followed.
    Failed(CallError),
}

impl AttemptLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The attempts so far, in the order in which they began; the last may be pending.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().clone()
    }

    /// An attempt began; returns its position.
    pub(crate) fn begin(&self, instance: &str, reason: AttemptReason, began: Duration) -> usize {
        let mut attempts = self.lock();
        if attempts.len() < MAX_ATTEMPTS {
            let (instance, end) = (instance.to_owned(), AttemptEnd::Pending);
            attempts.push(Attempt { instance, reason, began, took: None, end });
            return attempts.len() - 1;
        }
        MAX_ATTEMPTS
    }

    /// The attempt at that position of a call that began at `start` ends now. A second end is ignored, except
    /// that a stream, which has begun, can still turn out to be refused.
    pub(crate) fn end(&self, position: usize, end: AttemptEnd, start: Instant) {
        let mut attempts = self.lock();
        let Some(attempt) = attempts.get_mut(position) else { return };
        if !matches!(attempt.end, AttemptEnd::Failed(_)) {
            attempt.took = Some(start.elapsed().saturating_sub(attempt.began));
            attempt.end = end;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, reason, took, end, .. } = self;
        write!(f, "{instance}: {reason}; ")?;
        match (end, took.map(Rounded)) {
            // The text of an error says what to do next, and times of its own.
            (AttemptEnd::Failed(error), Some(took)) => write!(f, "failed after {took}: {error}"),
            (end, Some(took)) => write!(f, "{end} after {took}"),
            (end, None) => end.fmt(f),
        }
    }
}

impl fmt::Display for AttemptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OnlyServer => "the only server",
            Self::Named => "named by the request",
            Self::Balanced(Balance::Random) => "chosen at random",
            Self::Balanced(Balance::RoundRobin) => "next in turn",
            Self::Balanced(Balance::WeightedRandom) => "chosen at random by weight",
            Self::Balanced(Balance::LeastInFlight) => "the less busy of two",
            Self::Guess => "perhaps has the method",
            Self::Retry => "retry on another instance",
            Self::NotOffered => "another instance, for the method",
            Self::Hedge => "beside the first, which had not replied",
        })
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.pad("pending"),
            Self::Replied => f.pad("replied"),
            Self::Sent => f.pad("sent"),
            Self::Cancelled => f.pad("cancelled, since another replied first"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_a_limited_number_of_attempts() {
        let (log, start) = (AttemptLog::new(), Instant::now());
        for _ in 0..1000 {
            let position = log.begin("a:1", AttemptReason::Retry, Duration::ZERO);
            log.end(position, AttemptEnd::Replied, start);
        }
        assert_eq!(log.attempts().len(), MAX_ATTEMPTS);
    }

    #[test]
    fn an_attempt_is_one_line() {
        let (log, start) = (AttemptLog::new(), Instant::now());
        log.begin("a:1", AttemptReason::Balanced(Balance::Random), Duration::ZERO);
        assert_eq!(log.attempts()[0].to_string(), "a:1: chosen at random; pending");
        log.end(0, AttemptEnd::Failed(CallError::Closed), start);
        log.end(0, AttemptEnd::Replied, start);
        let line = log.attempts()[0].to_string();
        assert!(line.starts_with("a:1: chosen at random; failed after "), "{line}");
        assert!(line.ends_with(": this client is closed; create a new one"), "{line}");
    }
}
