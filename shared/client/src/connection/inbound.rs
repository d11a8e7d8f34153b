//! The inbound half of a connection: replies are read here, by the socket's task or by a caller who
//! has the connection to itself.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_wire::call::Reply;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::Shared;
use super::inbox::Inbox;
use super::pending::{Finished, ReplyTo};

/// After a caller has read its own answer, the socket may be watched by nobody for so long. Then the
/// task looks again, for the connection's end and other words that are no answers.
const UNWATCHED: Duration = Duration::from_millis(100);

/// So often a caller reads before it lets the task have a turn: its answer may be large.
const READS: usize = 8;

/// Bytes that arrive. Behind a lock, which only the socket's task ever waits for. Whoever polled last
/// is woken when there is something to read.
#[derive(Debug)]
pub(super) struct Inbound {
    /// `None` once the connection has ended.
    socket: Option<OwnedReadHalf>,
    pub(super) inbox: Inbox,
    /// What a caller has met that is the task's to deal with.
    left: Option<Left>,
}

#[derive(Debug)]
enum Left {
    /// The peer closed, or the system reports an error.
    End(io::Error),
    /// Messages in the inbox, or something that is none.
    Messages,
}

/// What a caller's own look for its answer finds.
pub(super) enum Own {
    /// Here it is.
    Answer {
        finished: Finished,
        /// Where the task would have sent it.
        reply: ReplyTo,
        /// The task has to look, too.
        look: bool,
    },
    /// The task has to look: the answer comes by it, or an error.
    Left,
}

impl Inbound {
    pub(super) fn new(socket: OwnedReadHalf, inbox: Inbox) -> Self {
        Self { socket: Some(socket), inbox, left: None }
    }

    /// Reads once; an error, too, if the peer is done. 0 if there may be messages already.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match (self.left.take(), &mut self.socket) {
            (Some(Left::End(error)), _) => Poll::Ready(Err(error)),
            (Some(Left::Messages), _) => Poll::Ready(Ok(0)),
            (None, None) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            (None, Some(socket)) => {
                pin!(self.inbox.fill(socket)).poll(context).map(|read| match read {
                    Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                    read => read,
                })
            }
        }
    }

    /// Whether nothing has arrived that is not read; then the caller is woken when something does.
    pub(super) fn poll_is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        let socket: Option<&TcpStream> = self.socket.as_ref().map(AsRef::as_ref);
        self.left.is_none() && socket.is_some_and(|it| it.poll_read_ready(context).is_pending())
    }

    /// Looks for the answer of call `id`, unless others wait for theirs: a caller may take its time,
    /// and the task does not. The task polls after it has heard of another call, so it is woken then.
    pub(super) fn poll_own(
        &mut self,
        context: &mut Context<'_>,
        shared: &Shared,
        id: u64,
    ) -> Poll<Own> {
        if self.left.is_some() || !shared.outbound().pending.is_only(id) {
            return Poll::Pending;
        }
        for _ in 0..READS {
            match ready!(self.poll_fill(context)) {
                Ok(count) => shared.context.received_bytes.add(count),
                Err(error) => return Poll::Ready(self.leave(Left::End(error))),
            }
            match self.inbox.next_reply() {
                Ok(None) => {}
                Ok(Some((frame, Ok(Reply::Done { id: Some(of), outcome })))) if of == id => {
                    let mut outbound = shared.outbound();
                    let Some((finished, reply)) = outbound.pending.take(id, outcome, &frame) else {
                        self.inbox.put_back(frame);
                        return Poll::Ready(self.leave(Left::Messages));
                    };
                    outbound.note_idle(self.inbox.latest());
                    let earlier = outbound.note_due(Some(self.inbox.latest() + UNWATCHED));
                    let look = self.has_more() || earlier || outbound.is_busy();
                    return Poll::Ready(Own::Answer { finished, reply, look });
                }
                Ok(Some((frame, _))) => {
                    self.inbox.put_back(frame);
                    return Poll::Ready(self.leave(Left::Messages));
                }
                // The task meets it, too.
                Err(_) => return Poll::Ready(self.leave(Left::Messages)),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether there is more than the answer, which is forgotten.
    fn has_more(&mut self) -> bool {
        self.inbox.release();
        match self.inbox.next_reply() {
            Ok(None) => self.inbox.release(),
            Ok(Some((frame, _))) => {
                self.inbox.put_back(frame);
                self.left = Some(Left::Messages);
            }
            Err(_) => self.left = Some(Left::Messages),
        }
        self.left.is_some()
    }

    /// Nothing is read any more.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    fn leave(&mut self, left: Left) -> Own {
        self.left = Some(left);
        Own::Left
    }
}
