//! A thread of its own for what must go on under any load: heartbeats, and health on new connections.

mod early;

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

pub(crate) use early::{First, accept_early, first_look};

/// A runtime on a thread of its own. It ends when this is dropped.
pub(crate) struct Control {
    runtime: Handle,
    _until_dropped: DropGuard,
}

impl Control {
    /// # Errors
    /// The system gives no thread or no descriptors.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let until_dropped = stop.clone().drop_guard();
        thread::Builder::new().name("rpc-control".to_owned()).spawn(move || {
            runtime.block_on(stop.cancelled());
            // The system may still be looking up a name.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _until_dropped: until_dropped })
    }

    /// Runs a task on the thread, in the current span and with the current subscriber.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task.in_current_span().with_current_subscriber())
    }
}
