//! Why there is no registry.

use std::io;
use std::net::SocketAddr;

/// What ends a registry, or keeps it from starting. Sorted by who must act.
#[derive(Debug, thiserror::Error)]
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
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
