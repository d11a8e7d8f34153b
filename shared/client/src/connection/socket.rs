//! What a connection needs of the halves of its socket; the model test of inline calls has its own.

use std::io;
use std::sync::Arc;
use std::task::Context;

use rpc_socket::{OwnedReadHalf, OwnedWriteHalf};
use tokio::io::AsyncRead;
use tokio::task::coop;

/// The half that replies are read from.
pub(super) trait ReadHalf: AsyncRead + Unpin {
    /// Whether nothing has arrived. Then the task of `context`, and only that, is woken by what does.
    fn is_quiet(&self, context: &mut Context<'_>) -> bool;
}

/// The half that calls are written to.
pub(super) trait WriteHalf {
    /// Writes what is taken at once.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Drops it without a shutdown: the socket is closed with the reading half.
    fn release(self);
}

impl ReadHalf for OwnedReadHalf {
    fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        // Without budget the socket is not polled, and would look quiet.
        coop::has_budget_remaining() && Self::is_quiet(self, context)
    }
}

impl WriteHalf for Arc<OwnedWriteHalf> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        OwnedWriteHalf::try_write(self, bytes)
    }

    fn release(self) {
        if let Some(socket) = Self::into_inner(self) {
            socket.forget();
        }
    }
}
