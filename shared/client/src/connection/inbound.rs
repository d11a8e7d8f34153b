//! The inbound half of a connection: bytes from the socket, cut into messages.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use rpc_socket::OwnedReadHalf;

use super::inbox::Inbox;
use super::socket::ReadHalf;

/// The bytes received.
#[derive(Debug)]
pub(super) struct Inbound<R = OwnedReadHalf> {
    /// `None` once the connection has ended.
    socket: Option<R>,
    pub(super) inbox: Inbox,
}

impl<R: ReadHalf> Inbound<R> {
    pub(super) fn new(socket: R, inbox: Inbox) -> Self {
        Self { socket: Some(socket), inbox }
    }

    /// Reads once. An error, too, if the peer is done.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        pin!(self.inbox.fill(socket)).poll(context).map(|read| match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        })
    }

    /// Whether the connection is open and nothing has arrived, see [`ReadHalf::is_quiet`].
    pub(super) fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.is_quiet(context))
    }

    /// Nothing is read any more.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }
}
