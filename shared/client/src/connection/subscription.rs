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
    /// Keeps the connection open, too.
    pub(super) guard: CancelOnDrop<Handle>,
}

impl Subscription {
    /// The stream is over: nothing is left to cancel.
    pub(crate) fn finished(&mut self) {
        self.guard.disarm();
    }

    /// What it means that the events ended without a last word.
    pub(crate) fn vanished(&self) -> CallError {
        self.guard.handle().shared.vanished(true)
    }
}
