//! What callers tell the driver of their connection.

use super::pending::Job;

/// What callers tell the driver.
#[derive(Debug)]
pub(super) enum Command {
    Send(Job),
    /// The caller is gone.
    Cancel(u64),
    /// An inline caller left unread bytes or an unsent tail, or needs the timer set earlier.
    Wake,
}
