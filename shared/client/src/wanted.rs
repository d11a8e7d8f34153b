//! What a call asks of discovery, and what it gets.

use std::sync::Arc;

use tokio::time::Instant;

use crate::pool::Peer;

/// What an instance is wanted for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) method: &'a str,
    /// Only an instance of this service.
    pub(crate) service: Option<&'a str>,
    /// Those that were called already.
    pub(crate) tried: &'a [Arc<Peer>],
    /// Some of them said that they do not have the method.
    pub(crate) is_unoffered: bool,
    /// When the call began: what instances have said since is not doubted.
    pub(crate) began: Instant,
    /// From then on it waits no longer for what instances offer: one whose methods are unknown is called.
    pub(crate) guess_at: Instant,
}

/// The instance to call.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(crate) peer: Arc<Peer>,
    /// There is another one for the call.
    pub(crate) has_other: bool,
    /// It could not be asked whether it offers the method.
    pub(crate) is_guess: bool,
}
