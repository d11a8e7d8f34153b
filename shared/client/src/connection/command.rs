//! The commands that callers send to the driver of their connection.

use super::outbound::Notification;
use super::pending::QueuedCall;

/// What callers send to the driver.
#[derive(Debug)]
pub(super) enum Command {
    Send(QueuedCall),
    Notify(Notification),
    /// The caller is gone.
    Cancel(u64),
    /// It takes no new calls any more: those that are not sent fail.
    Retire,
    /// An inline caller left unread bytes or an unsent tail, or needs an earlier timer.
    Wake,
}
