//! Notifications of an HTTP request, which go on when nobody waits for its replies any more.

use super::{Dispatcher, Documents};

impl Dispatcher {
    /// Notes how many calls of the connection are in flight that came with other requests.
    pub(crate) fn set_calls_elsewhere(&mut self, calls: usize) {
        self.calls_elsewhere = calls;
    }

    /// Calls in flight, which started here.
    pub(crate) fn running(&self) -> usize {
        self.calls.len()
    }

    /// Whether a reply is still to come.
    pub(crate) fn owes_reply(&self) -> bool {
        self.calls.owes_any()
    }

    /// Whether a notification is in flight, or may be among the requests that a batch has left.
    pub(crate) fn may_have_notifications(&self) -> bool {
        self.calls.has_notifications() || self.has_batch()
    }

    /// Nobody waits for a reply any more: cancels all but notifications, and begins nothing else.
    pub(crate) fn leave_notifications(&mut self) {
        self.calls.cancel_owed();
        self.batches.leave_notifications();
        self.output = Vec::new();
        self.documents = Documents::default();
    }
}
