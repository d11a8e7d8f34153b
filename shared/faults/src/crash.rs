//! A daemon within this process that can crash alone, as a program does that is killed.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A runtime of one worker, for one daemon. A crash, or dropping it, ends its tasks wherever they are: nothing is
/// unregistered, drained or answered, and its sockets are closed.
#[derive(Debug)]
pub struct Crashable(Option<Runtime>);

impl Crashable {
    /// Runs `daemon` on a runtime of its own.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(daemon: impl Future<Output = ()> + Send + 'static) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.spawn(daemon);
        Ok(Self(Some(runtime)))
    }

    /// Whether it has not crashed.
    pub fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Ends it without a last word.
    pub fn crash(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping a runtime would wait for it, which asynchronous callers must not.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Crashable {
    fn drop(&mut self) {
        self.crash();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests say what they expect")]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_crash_ends_a_daemon_without_a_last_word() {
        let (word, mut heard) = oneshot::channel::<()>();
        let mut daemon = Crashable::start(async move {
            std::future::pending::<()>().await;
            let _ = word.send(());
        })
        .unwrap();
        assert!(daemon.is_running() && heard.try_recv().is_err());
        daemon.crash();
        assert!(!daemon.is_running());
        let ended = tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
        assert!(ended.is_err(), "dropped, not sent");
    }
}
