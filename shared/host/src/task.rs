//! Runs the main loop of a daemon, and work of it that blocks.

use std::future::Future;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, Span};

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

/// Runs `task` until it ends or `token` is cancelled.
///
/// Boxed: whatever an `async fn` gets and awaits is in it twice, as its argument and as what it polls, and the
/// task of a connection is large.
pub fn until_cancelled(
    token: CancellationToken,
    task: impl Future<Output = ()> + Send,
) -> impl Future<Output = ()> + Send {
    let task = Box::pin(task);
    async move {
        token.run_until_cancelled(task).await;
    }
}

/// Runs `work`, which may block, every `period` on a thread for that, in the current span, until it is
/// dropped. A run that takes longer delays the next one.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn repeat_blocking(period: Duration, work: impl Fn() + Clone + Send + 'static) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (work, span) = (work.clone(), Span::current());
        // One that panicked has said so, and the next one is due all the same.
        let _ = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_blocks_is_repeated_also_after_a_panic_and_until_it_is_dropped() {
        use std::sync::mpsc;
        let (run, runs) = mpsc::sync_channel(0);
        let work = move || {
            if run.send(()).is_ok() {
                panic!("on purpose");
            }
        };
        let repeating =
            AbortOnDropHandle::new(tokio::spawn(repeat_blocking(Duration::from_millis(1), work)));
        let (again, runs) = tokio::task::spawn_blocking(move || {
            let wait = Duration::from_secs(5);
            ((runs.recv_timeout(wait), runs.recv_timeout(wait)), runs)
        })
        .await
        .unwrap();
        assert_eq!(again, (Ok(()), Ok(())));
        drop((repeating, runs));
    }

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
