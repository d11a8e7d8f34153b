//! Waiting until a deadline, and why a call ended without a result.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::CallError;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Its deadline passed.
    Expired,
    Error(CallError),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self::Error(error)
    }
}

/// `duration` after `moment`; a duration that means "for ever" does not overflow.
pub(crate) fn after(moment: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    moment + duration.min(FAR)
}

/// Waits for `future` until `deadline`. A future that is ready at once needs no timer.
pub(crate) async fn until<T>(
    deadline: Instant,
    future: impl Future<Output = Result<T, CallError>>,
) -> Result<T, Failed> {
    let mut future = pin!(future);
    let at_once = poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    });
    let output = match at_once.await {
        Some(output) => output,
        None => {
            // In a box: it is rare, and every call would have to carry the timer.
            let waited = Box::pin(tokio::time::timeout_at(deadline, future)).await;
            waited.map_err(|_| Failed::Expired)?
        }
    };
    output.map_err(Failed::Error)
}
