//! Why a server could not start, or stopped by itself.

use std::io;
use std::net::SocketAddr;

/// Why a server as a whole failed. A failed call is a reply, never one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The service's name cannot be used.
    #[error("a service cannot be named {0:?}; use 1 to 64 of letters, digits, '.', '_' and '-'")]
    ServiceName(String),
    /// A method of the embedding program cannot be served.
    #[error("method {method:?} cannot be served: {problem}")]
    Method {
        /// The method's name.
        method: String,
        /// What is wrong, and how to fix it.
        problem: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; {}", way_out(source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The files for TLS cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rpc_security::tls::TlsError),
    /// TLS is asked for, and the crate is built without that.
    #[error(
        "cannot serve TLS: this program is built without it; build rpc-server with its feature `tls`"
    )]
    NoTls,
    /// The thread for heartbeats and health could not be started.
    #[error("cannot start the thread for heartbeats and health: {0}; allow more threads or files")]
    Control(#[source] io::Error),
    /// The listening socket failed while serving. Calls in flight were replied to.
    #[error("the server stopped listening: {0}")]
    Listener(#[source] io::Error),
    /// [`ServerHandle::fail`](crate::ServerHandle::fail) was called. Calls in flight were replied to.
    #[error("the server failed: {0}")]
    Failed(String),
}

fn way_out(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "stop the program that uses the port, or choose another",
        io::ErrorKind::AddrNotAvailable => "choose an address of this machine",
        io::ErrorKind::PermissionDenied => "choose a port above 1023",
        _ => "choose another address or port",
    }
}
