//! Runs the main loop of a daemon.

use std::future::Future;
use std::panic::resume_unwind;

use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// Runs `future` as a task of the runtime, in the current span, and waits for it. Dropping it
/// aborts the task.
///
/// `block_on` runs its future on a thread that is not a worker: every connection accepted there
/// would be handed to another thread, which has to be woken. A task hands it to the worker it runs
/// on.
///
/// # Panics
/// Outside a tokio runtime, and with the panic of `future`.
pub async fn on_a_worker<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    match AbortOnDropHandle::new(tokio::spawn(future.in_current_span())).await {
        Ok(output) => output,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_panics_and_stops_as_if_it_were_not_a_task() {
        assert_eq!(on_a_worker(async { 1 }).await, 1);
        let panics = tokio::spawn(on_a_worker(async { panic!("on purpose") }));
        assert!(panics.await.unwrap_err().is_panic());
        let (alive, mut ended) = tokio::sync::oneshot::channel::<()>();
        let forever = on_a_worker(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        let task = tokio::spawn(forever);
        tokio::task::yield_now().await;
        assert!(ended.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty));
        task.abort();
        assert!(ended.await.is_err(), "it was dropped with what waited for it");
    }
}
