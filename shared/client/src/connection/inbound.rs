//! The inbound half of a connection: replies are read here, by the socket's task or by a caller who
//! has the connection to itself.

use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use rpc_wire::call::Reply;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::coop;

use super::inbox::Inbox;
use super::outbound::Outbound;
use super::pending::{Finished, ReplyTo};
use crate::context::Count;

/// So often a caller reads; a longer answer is the task's to read.
const READS: usize = 8;

/// Bytes that arrive. Behind a lock, which is held for moments.
#[derive(Debug)]
pub(super) struct Inbound {
    /// `None` once the connection has ended.
    socket: Option<OwnedReadHalf>,
    pub(super) inbox: Inbox,
    /// The call whose caller is woken when something arrives; `None`: the task is.
    reader: Option<u64>,
    /// What is the task's to deal with before it waits for more.
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
        /// Whether the task has to look.
        look: bool,
    },
    /// The task reads: the answer comes by it, or an error.
    Tasks,
    /// Likewise, once it has been told to look.
    Left,
}

impl Inbound {
    pub(super) fn new(socket: OwnedReadHalf, inbox: Inbox) -> Self {
        // What the probe was not meant for is heard before any call is made.
        let left = (!inbox.is_empty()).then_some(Left::Messages);
        Self { socket: Some(socket), inbox, reader: None, left }
    }

    /// The task's reading, which takes it over from any caller: reads once. An error, too, if the peer
    /// is done; 0 if there may be messages already.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.reader = None;
        match self.left.take() {
            Some(Left::End(error)) => Poll::Ready(Err(error)),
            Some(Left::Messages) => Poll::Ready(Ok(0)),
            None => self.poll_socket(context),
        }
    }

    /// Whether there may be more messages in the inbox: nobody calls alone before they are heard.
    pub(super) fn leave_messages(&mut self, more: bool) {
        self.left = more.then_some(Left::Messages);
    }

    /// Makes the caller of call `id` the reader, unless something has arrived that is not read.
    pub(super) fn lend(&mut self, context: &mut Context<'_>, id: u64) -> bool {
        let socket: Option<&TcpStream> = self.socket.as_ref().map(AsRef::as_ref);
        let quiet = self.left.is_none()
            // Without it nothing is asked of the socket.
            && coop::has_budget_remaining()
            && socket.is_some_and(|socket| socket.poll_read_ready(context).is_pending());
        if quiet {
            self.reader = Some(id);
        }
        quiet
    }

    /// Looks for the answer of call `id`, if its caller is the reader.
    pub(super) fn poll_own(
        &mut self,
        context: &mut Context<'_>,
        outbound: &Mutex<Outbound>,
        received: &Count,
        id: u64,
    ) -> Poll<Own> {
        if self.reader != Some(id) {
            return Poll::Ready(Own::Tasks);
        }
        for _ in 0..READS {
            match ready!(self.poll_socket(context)) {
                Ok(count) => received.add(count),
                Err(error) => return Poll::Ready(self.leave(Left::End(error))),
            }
            let frame = match self.inbox.next_reply() {
                Ok(None) => continue,
                Ok(Some((frame, Ok(Reply::Done { id: Some(of), outcome })))) if of == id => {
                    let outbound = outbound.try_lock().ok();
                    let taken = outbound.and_then(|mut outbound| {
                        let (finished, reply) = outbound.pending.take(id, outcome, &frame)?;
                        outbound.note_idle(frame.done);
                        Some((finished, reply, outbound.is_busy()))
                    });
                    if let Some((finished, reply, busy)) = taken {
                        let look = self.leave_the_rest() || busy;
                        return Poll::Ready(Own::Answer { finished, reply, look });
                    }
                    frame
                }
                Ok(Some((frame, _))) => frame,
                // The task meets it, too.
                Err(_) => break,
            };
            self.inbox.put_back(frame);
            break;
        }
        Poll::Ready(self.leave(Left::Messages))
    }

    /// Forgets the answer. Whether something is left to the task behind it.
    fn leave_the_rest(&mut self) -> bool {
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

    fn poll_socket(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        pin!(self.inbox.fill(socket)).poll(context).map(|read| match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        })
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
