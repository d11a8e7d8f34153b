//! Waiting for a condition, with a deadline, instead of sleeping.

use std::time::{Duration, Instant};

/// How long anything may take that should happen at once; generous, for a loaded machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// It did not hold within `limit`; the message says `what` was waited for.
pub async fn eventually_within(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < limit, "after {limit:?} still not: {what}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// Waits until `condition` holds, [`SOON`] at most.
///
/// # Panics
/// It did not.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(SOON, what, condition).await;
}

/// The future's output, [`SOON`] at the latest.
///
/// # Panics
/// It took longer; the message says `what` was waited for.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(output) => output,
        Err(_) => panic!("after {SOON:?} still not: {what}"),
    }
}
