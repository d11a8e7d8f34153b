//! A TCP socket, plain or inside TLS.
//!
//! In reading order:
//!
//! - [`Socket`]: the whole; an `AsyncRead` and `AsyncWrite`.
//! - [`ReadHalf`], [`WriteHalf`] and their owned kinds: its halves, of which the writing one writes
//!   [at once](WriteHalf::try_write).
//! - `Tls` (feature `tls`): one end of a connection of TLS.
//! - `accept`, `connect` (feature `tls`): the handshakes. Who may take part in them, `rpc-security` says.
//!
//! Without the feature, and for plain sockets, each operation is that of tokio's socket.
//!
//! Needs Rust 1.95 or later.

mod asynchronous;
mod halves;
#[cfg(feature = "tls")]
mod handshake;
mod socket;
#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
#[cfg(feature = "tls")]
pub use handshake::{HandshakeError, accept, connect};
pub use socket::Socket;
#[cfg(feature = "tls")]
pub use tls::Tls;
