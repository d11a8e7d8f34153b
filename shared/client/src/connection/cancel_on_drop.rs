//! A call's place on its connection, and its end when its caller goes.

use std::borrow::Borrow;

use super::command::Command;
use super::shared::Handle;

/// Holds a call's place, and tells the socket's task when a caller goes before its answer came.
#[derive(Debug)]
pub(super) struct CancelOnDrop<C: Borrow<Handle>> {
    handle: C,
    id: u64,
    answered: bool,
}

impl<C: Borrow<Handle>> CancelOnDrop<C> {
    pub(super) fn new(handle: C, id: u64) -> Self {
        Self { handle, id, answered: false }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.handle.borrow()
    }

    pub(super) fn disarm(&mut self) {
        self.answered = true;
    }
}

impl<C: Borrow<Handle>> Drop for CancelOnDrop<C> {
    fn drop(&mut self) {
        let handle = self.handle.borrow();
        if !self.answered {
            // Where nobody is left to be told, nothing is left to cancel.
            let _ = handle.commands.send(Command::Cancel(self.id));
        }
        handle.shared.places.give_back();
    }
}
