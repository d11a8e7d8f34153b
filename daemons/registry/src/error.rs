//! Why there is no registry.

use std::io;
use std::net::SocketAddr;

/// What ends a registry, or keeps it from starting. Sorted by who must act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Whoever configures it: choose another value.
    #[error("registry option {name} must be {expected}")]
    BadOption {
        /// The field of [`RegistryOptions`](crate::RegistryOptions).
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// Whoever starts it: the address is taken, not of this machine, or forbidden.
    #[error("cannot listen on {address}: {source}; choose another address or port")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody: the listening socket failed while serving. Requests in flight were replied to.
    #[error("the registry stopped listening: {0}")]
    Listener(#[source] io::Error),
}

/// Why one request is not done. The text goes into the reply's `error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The sender: what and where.
    #[error("{0}")]
    BadRequest(String),
    /// The sender: the body is over the limit, in bytes.
    #[error("body: larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The sender: the body did not come in time.
    #[error("body: did not arrive in time")]
    BodyTimeout,
    /// The sender: a body that is not JSON by its own account.
    #[error("content-type: must be application/json")]
    NotJson,
    /// Whoever made a web page: it may not use this registry.
    #[error("origin: not allowed to use this registry")]
    Origin,
    /// The sender: no such route.
    #[error("Not Found")]
    NotFound,
    /// The peer's owner: it registered as many instances as one address may.
    #[error(
        "instance: this address has registered {0} instances, the limit per address; unregister some, or raise max_instances_per_peer"
    )]
    PeerFull(usize),
    /// The operator: the registry holds as many instances as it may.
    #[error("instance: the registry is full with {0} instances; raise max_instances")]
    Full(usize),
    /// The operator: as many event streams are open as may be.
    #[error("stream: {0} event streams are open, the limit; try again later")]
    TooManyStreams(usize),
}
