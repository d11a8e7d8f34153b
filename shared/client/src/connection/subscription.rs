//! The reader's end of a stream.

use tokio::sync::mpsc;

use super::cancel_on_drop::CancelOnDrop;
use super::shared::Handle;
use crate::CallError;
use crate::item::StreamEvent;

/// The reader's end of a stream. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<StreamEvent>,
    /// Keeps the connection open as well.
    pub(super) guard: CancelOnDrop<Handle>,
}

impl Subscription {
    /// The stream is over: nothing is left to cancel.
    pub(crate) fn finished(&mut self) {
        self.guard.disarm();
    }

    /// Why the events stopped without an end or an error.
    pub(crate) fn driver_gone(&self) -> CallError {
        self.guard.handle().shared.driver_gone(true)
    }
}
