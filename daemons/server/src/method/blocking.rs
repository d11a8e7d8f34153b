//! Work on the blocking pool.

use rpc_wire::fault::Fault;

use super::{Unary, Work};
use crate::failure::panicked;

/// Runs `work` on the blocking pool. `held` moves to the thread: a thread that is still busy after
/// its caller has gone still counts.
pub(crate) fn blocking(work: Work, held: impl Send + 'static) -> Unary {
    let span = tracing::Span::current();
    let thread = tokio::task::spawn_blocking(move || {
        let _held = held;
        span.in_scope(work)
    });
    Box::pin(async move {
        thread.await.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => Err(panicked(&*panic)),
            Err(error) => Err(Fault::method_failed(error.to_string())),
        })
    })
}
