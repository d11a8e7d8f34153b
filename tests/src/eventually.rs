//! Waiting for a condition, with a deadline, instead of sleeping.

use std::time::{Duration, Instant};

/// Timeout of anything that should happen at once; generous, for a loaded machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Interval between checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// It did not within `limit`; the message has `what`.
pub async fn eventually_within(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until `condition` holds, at most [`SOON`].
///
/// # Panics
/// It did not.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(SOON, what, condition).await;
}

/// The future's output, waiting at most [`SOON`].
///
/// # Panics
/// It took longer; the message has `what`.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {SOON:?}: {what}"),
    }
}
