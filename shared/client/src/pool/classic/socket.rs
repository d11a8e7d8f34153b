//! One socket to an older server: a request, then its reply.

use std::io;
use std::time::Duration;

use rpc_socket::Socket;
use rpc_wire::call::{Reply, ReplyError};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::waiting::ClassicPool;
use crate::connection::{Frame, Inbox};
use crate::request::{CallReply, Outgoing};
use crate::{CallError, WireLog};

/// A connection this old counts as accepted by the server.
const ACCEPTED: Duration = Duration::from_millis(100);

/// A socket. Nothing is received on it between two calls. `O` is dropped once the server has accepted
/// it.
#[derive(Debug)]
pub(super) struct ClassicSocket<O> {
    socket: Socket,
    inbox: Inbox,
    opening: Option<(O, Instant)>,
}

/// How a call ended whose socket can be used again.
#[derive(Debug)]
pub(super) enum Exchange {
    Result(CallReply),
    /// The server returned an error, or a number that would have been rounded.
    Failed(CallError),
}

impl<O> ClassicSocket<O> {
    /// A connection on which the server has already replied.
    pub(super) fn known(socket: Socket, inbox: Inbox) -> Self {
        Self { socket, inbox, opening: None }
    }

    /// A new connection, which the pool counts as opening.
    pub(super) async fn open(pool: &ClassicPool, opening: O) -> Result<Self, CallError> {
        let socket = pool.route.connect(&pool.context).await?;
        let max_bytes = pool.context.options.max_reply_bytes;
        let inbox = Inbox::heard_by(max_bytes, pool.heard.clone());
        Ok(Self { socket, inbox, opening: Some((opening, Instant::now() + ACCEPTED)) })
    }

    /// Sends one request and reads its reply. After an error the socket cannot be used again.
    pub(super) async fn exchange(
        &mut self,
        pool: &ClassicPool,
        bytes: &[u8],
        request: &Outgoing,
    ) -> Result<Exchange, CallError> {
        let sent_at = Instant::now();
        // One write for the whole request: an older server reads it with one read.
        let count = match self.socket.write(bytes).await {
            Ok(count) => count,
            Err(error) => return Err(pool.lost(&error.to_string(), false)),
        };
        request.mark_sent();
        if let Some(wire) = &request.wire {
            wire.sent(bytes);
        }
        let lost = |error: io::Error| pool.lost(&error.to_string(), true);
        self.socket.write_all(bytes.get(count..).unwrap_or_default()).await.map_err(lost)?;
        self.socket.flush().await.map_err(lost)?;
        let exchange = self.receive(pool, request.wire.as_ref(), sent_at).await;
        if let (Err(_), Some(wire), false) =
            (&exchange, &request.wire, self.inbox.rest().is_empty())
        {
            wire.received(self.inbox.rest());
        }
        exchange
    }

    async fn receive(
        &mut self,
        pool: &ClassicPool,
        wire: Option<&WireLog>,
        sent_at: Instant,
    ) -> Result<Exchange, CallError> {
        let lost = |error: io::Error| pool.lost(&error.to_string(), true);
        loop {
            let next = self.inbox.next_reply().map_err(|e| CallError::bad_frame(&pool.peer, e))?;
            if let Some((frame, bytes, reply)) = next {
                if let Some(wire) = wire {
                    wire.received(bytes);
                }
                self.opening = None;
                let exchange = read(&pool.peer, reply, &frame, sent_at);
                self.inbox.release();
                return exchange;
            }
            match self.fill().await.map_err(lost)? {
                0 => return Err(pool.lost("the server closed it", true)),
                count => pool.context.received_bytes.add(count),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if let Some((_, accepted)) = &self.opening {
            let read = self.inbox.fill(&mut self.socket);
            if let Ok(result) = tokio::time::timeout_at(*accepted, read).await {
                return result;
            }
            self.opening = None;
        }
        self.inbox.fill(&mut self.socket).await
    }

    /// Whether the next reply will be the next call's.
    pub(super) fn is_clean(&mut self) -> bool {
        self.inbox.is_clean()
    }

    /// Waits for the end of the connection, or for unexpected bytes.
    pub(super) async fn readable(&self) {
        // An error ends the wait as well.
        let _ = self.socket.readable().await;
    }
}

fn read(
    peer: &str,
    reply: Result<Reply<'_>, ReplyError>,
    frame: &Frame,
    sent_at: Instant,
) -> Result<Exchange, CallError> {
    match reply {
        Ok(Reply::Done { id: None, outcome: Ok(value) }) => Ok(Exchange::Result(CallReply {
            value: value.to_owned(),
            sent_at,
            first_byte: frame.began,
            done: frame.done,
            reply_bytes: frame.len(),
        })),
        Ok(Reply::Done { id: None, outcome: Err(fault) }) => {
            Ok(Exchange::Failed(CallError::Remote { peer: peer.to_owned(), fault: fault.into() }))
        }
        Ok(_) => Err(CallError::bad_reply(peer, "it has no `res`, or it has an id")),
        Err(error @ (ReplyError::NotJson(_) | ReplyError::NoError(_))) => {
            Err(CallError::bad_reply(peer, error))
        }
        Err(error @ (ReplyError::NotFinite | ReplyError::Inexact(_))) => {
            let (peer, reason) = (peer.to_owned(), error.to_string());
            Ok(Exchange::Failed(CallError::NotExact { peer, reason }))
        }
    }
}
