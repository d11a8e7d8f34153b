//! Releases a call's slot and, unless it has finished, cancels the call.

use std::borrow::Borrow;

use super::command::Command;
use super::shared::Handle;

/// Holds a call's slot, and cancels the call unless it has finished.
#[derive(Debug)]
pub(super) struct CancelOnDrop<C: Borrow<Handle>> {
    handle: C,
    id: u64,
    finished: bool,
}

impl<C: Borrow<Handle>> CancelOnDrop<C> {
    pub(super) fn new(handle: C, id: u64) -> Self {
        Self { handle, id, finished: false }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.handle.borrow()
    }

    pub(super) fn disarm(&mut self) {
        self.finished = true;
    }
}

impl<C: Borrow<Handle>> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        let handle = self.handle.borrow();
        if !self.finished {
            // An error means that the driver has ended, and with it the call.
            let _ = handle.commands.send(Command::Cancel(self.id));
        }
        handle.shared.slots.release();
    }
}
