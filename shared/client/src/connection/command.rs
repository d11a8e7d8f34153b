//! The commands that callers send to the driver of their connection.

use super::pending::QueuedCall;

/// What callers send to the driver.
#[derive(Debug)]
pub(super) enum Command {
    Send(QueuedCall),
    /// The caller is gone.
    Cancel(u64),
    /// An inline caller left unread bytes or an unsent tail, or needs an earlier timer.
    Wake,
}
