//! Inline calls: a caller that is alone on its connection writes its call and reads the reply by
//! itself. Waking the driver for both would cost as much as the rest of the call.
//!
//! One party reads at a time. The states of [`Reader`], and where each event leads:
//!
//! | state | a lone caller starts a call, nothing has arrived | its caller reads the reply | its caller reads anything else, the end, or too much | the driver polls |
//! |---|---|---|---|---|
//! | `Driver` | `Caller` | (it waits for the driver) | (it waits for the driver) | `Driver` |
//! | `Caller` | `Caller`: the previous call is over | `Caller`; `Deferred` if more arrived with it | `Deferred` | `Driver` |
//! | `Deferred` | refused: it goes through the driver | (it waits for the driver) | (it waits for the driver) | `Driver`, which handles what was deferred |
//!
//! No wake-up is lost, because
//!
//! - the state and the task that the socket wakes change together, under one lock;
//! - a caller that sets `Deferred` sends [`Command::Wake`];
//! - a caller that no longer reads, because its call is over or its future is not polled, keeps the
//!   state `Caller` for at most [`INLINE_READ_LEASE`]: the driver's timer is set to no later than the
//!   lease's end, by a [`Command::Wake`] if it was set to later;
//! - a caller that finds the lock taken waits for the driver: no other caller locks it meanwhile, and the
//!   driver polls before it sleeps.
//!
//! `model` checks this in many schedules.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rpc_socket::{OwnedReadHalf, OwnedWriteHalf};
use rpc_wire::call::Reply;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::command::Command;
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::pending::{Finished, QueuedCall, ReplyTo};
use super::socket::{ReadHalf, WriteHalf};
use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use crate::context::Count;

#[cfg(test)]
mod model;

/// An inline caller reads at most this long; then the driver polls, so that the connection's end and
/// draining are noticed.
const INLINE_READ_LEASE: Duration = Duration::from_millis(100);

/// Reads by an inline caller for one reply; the driver reads the rest of a longer one.
const MAX_INLINE_READS: usize = 8;

/// What the driver and an inline caller share. The locks are held briefly; code that needs both
/// takes `reading` first.
#[derive(Debug)]
pub(super) struct Halves<R = OwnedReadHalf, W = Arc<OwnedWriteHalf>> {
    reading: Mutex<Reading<R>>,
    outbound: Mutex<Outbound<W>>,
    /// No new calls are taken; those in flight still get replies. Set with `outbound` locked.
    retired: AtomicBool,
}

/// The inbound half, and who reads it.
#[derive(Debug)]
pub(super) struct Reading<R = OwnedReadHalf> {
    pub(super) inbound: Inbound<R>,
    reader: Reader,
}

/// Who reads; see the table at the top.
#[derive(Debug)]
enum Reader {
    /// The driver: it is woken by what arrives, or about to poll.
    Driver,
    /// The caller of this call: it is woken by what arrives.
    Caller(u64),
    /// The driver, once it has handled this.
    Deferred(Deferred),
}

#[derive(Debug)]
enum Deferred {
    /// The peer closed, or the system reports an error.
    End(io::Error),
    /// Bytes in the inbox.
    Messages,
}

/// Whether a call is inline.
pub(super) enum InlineStart {
    /// It is written, or the driver writes the rest; its caller is the reader.
    Inline,
    /// The connection is busy, has unread bytes or takes no calls; the driver gets it.
    Refused(QueuedCall),
}

/// What an inline caller finds when it reads.
enum InlineRead {
    Reply {
        finished: Finished,
        /// Where the driver would have sent it.
        reply_to: ReplyTo,
        /// Whether the driver has something to do.
        wake: bool,
    },
    /// The driver reads, and sends the reply.
    NotReader,
    /// The same, once it is woken.
    Deferred,
}

/// Whether a call was written inline.
enum InlineWrite {
    Written {
        /// Whether the driver has to write the rest, handle an error of the socket, or set its timer
        /// earlier.
        wake: bool,
    },
    Refused(QueuedCall),
}

impl<R: ReadHalf, W: WriteHalf> Halves<R, W> {
    pub(super) fn new(inbound: Inbound<R>, outbound: Outbound<W>) -> Self {
        Self {
            reading: Mutex::new(Reading::new(inbound)),
            outbound: Mutex::new(outbound),
            retired: AtomicBool::new(false),
        }
    }

    pub(super) fn reading(&self) -> MutexGuard<'_, Reading<R>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outbound(&self) -> MutexGuard<'_, Outbound<W>> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no new calls. With `outbound` locked, so that no caller is writing one.
    pub(super) fn retire(&self, _outbound: &Outbound<W>) {
        self.retired.store(true, Ordering::Release);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// The driver's reading: at least one byte, or 0 if there are messages already.
    pub(super) async fn read(&self) -> io::Result<usize> {
        poll_fn(|context| self.reading().poll_driver(context)).await
    }

    /// Writes the call of a lone caller and makes it the reader, which then has to
    /// [`receive`](Self::receive).
    ///
    /// Never waits; `async` to have the waker of the caller's task.
    pub(super) async fn begin(
        &self,
        call: QueuedCall,
        commands: &mpsc::UnboundedSender<Command>,
    ) -> InlineStart {
        let id = call.id;
        let lent = poll_fn(|context| {
            let reading = self.reading.try_lock();
            Poll::Ready(reading.is_ok_and(|mut reading| reading.lend(context, id)))
        });
        if !lent.await {
            return InlineStart::Refused(call);
        }
        let written = match self.outbound.try_lock() {
            Ok(mut outbound) if !self.is_retired() => outbound.write_inline(call),
            _ => InlineWrite::Refused(call),
        };
        match written {
            InlineWrite::Written { wake: true } => wake_driver(commands),
            InlineWrite::Written { wake: false } => {}
            InlineWrite::Refused(call) => return InlineStart::Refused(call),
        }
        InlineStart::Inline
    }

    /// Waits for the end of call `id`. Its caller reads the reply as long as it is the reader; otherwise the
    /// driver sends it.
    pub(super) async fn receive(
        &self,
        id: u64,
        mut inline: bool,
        mut reply: oneshot::Receiver<Finished>,
        received_bytes: &Count,
        commands: &mpsc::UnboundedSender<Command>,
    ) -> Result<Finished, oneshot::error::RecvError> {
        poll_fn(|context| {
            if inline {
                match self.poll_inline(context, id, received_bytes) {
                    Poll::Ready(InlineRead::Reply { finished, reply_to, wake }) => {
                        // Before the sender is dropped, which would wake this task.
                        reply.close();
                        drop(reply_to);
                        if wake {
                            wake_driver(commands);
                        }
                        return Poll::Ready(Ok(finished));
                    }
                    Poll::Ready(InlineRead::NotReader) => inline = false,
                    Poll::Ready(InlineRead::Deferred) => {
                        wake_driver(commands);
                        inline = false;
                    }
                    Poll::Pending => {}
                }
            }
            pin!(&mut reply).poll(context)
        })
        .await
    }

    fn poll_inline(
        &self,
        context: &mut Context<'_>,
        id: u64,
        received_bytes: &Count,
    ) -> Poll<InlineRead> {
        match self.reading.try_lock() {
            Ok(mut reading) => reading.poll_inline(context, id, &self.outbound, received_bytes),
            // The driver has locked it, and reads from then on.
            Err(_) => Poll::Ready(InlineRead::NotReader),
        }
    }
}

impl<R: ReadHalf> Reading<R> {
    fn new(inbound: Inbound<R>) -> Self {
        // Messages after the probe's reply are handled before any call is made.
        let reader = match inbound.inbox.is_empty() {
            true => Reader::Driver,
            false => Reader::Deferred(Deferred::Messages),
        };
        Self { inbound, reader }
    }

    /// Makes the driver the reader, and reads once or returns what was deferred.
    fn poll_driver(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match std::mem::replace(&mut self.reader, Reader::Driver) {
            Reader::Deferred(Deferred::End(error)) => Poll::Ready(Err(error)),
            Reader::Deferred(Deferred::Messages) => Poll::Ready(Ok(0)),
            Reader::Driver | Reader::Caller(_) => self.inbound.poll_read(context),
        }
    }

    /// Leaves messages in the inbox for the driver; no call is inline before they are handled.
    pub(super) fn defer_messages(&mut self) {
        self.reader = Reader::Deferred(Deferred::Messages);
    }

    /// Makes the caller of call `id` the reader, unless something has arrived and is not read: that, for
    /// example the end of the connection, is the driver's to handle.
    fn lend(&mut self, context: &mut Context<'_>, id: u64) -> bool {
        let lends = !matches!(self.reader, Reader::Deferred(_)) && self.inbound.is_quiet(context);
        if lends {
            self.reader = Reader::Caller(id);
        }
        lends
    }

    /// Reads the reply of call `id`, if its caller is the reader.
    fn poll_inline<W: WriteHalf>(
        &mut self,
        context: &mut Context<'_>,
        id: u64,
        outbound: &Mutex<Outbound<W>>,
        received_bytes: &Count,
    ) -> Poll<InlineRead> {
        if !matches!(self.reader, Reader::Caller(reader) if reader == id) {
            return Poll::Ready(InlineRead::NotReader);
        }
        for _ in 0..MAX_INLINE_READS {
            match ready!(self.inbound.poll_read(context)) {
                Ok(count) => received_bytes.add(count),
                Err(error) => return Poll::Ready(self.defer(Deferred::End(error))),
            }
            let frame = match self.inbound.inbox.next_reply() {
                Ok(None) => continue,
                Ok(Some((frame, bytes, Ok(Reply::Done { id: Some(of), outcome })))) if of == id => {
                    let outbound = outbound.try_lock().ok();
                    let taken = outbound.and_then(|mut outbound| {
                        let (finished, reply_to) =
                            outbound.pending.take(id, outcome, &frame, bytes)?;
                        outbound.note_idle(frame.done);
                        Some((finished, reply_to, outbound.is_busy()))
                    });
                    if let Some((finished, reply_to, busy)) = taken {
                        let wake = self.defer_rest() || busy;
                        return Poll::Ready(InlineRead::Reply { finished, reply_to, wake });
                    }
                    frame
                }
                Ok(Some((frame, _, _))) => frame,
                // The driver finds the same error.
                Err(_) => break,
            };
            self.inbound.inbox.put_back(frame);
            break;
        }
        Poll::Ready(self.defer(Deferred::Messages))
    }

    /// Releases the reply; `true` if more arrived with it, which is deferred.
    fn defer_rest(&mut self) -> bool {
        let inbox = &mut self.inbound.inbox;
        inbox.release();
        match inbox.next_reply() {
            Ok(None) => {
                inbox.release();
                return false;
            }
            Ok(Some((frame, _, _))) => inbox.put_back(frame),
            Err(_) => {}
        }
        self.defer_messages();
        true
    }

    fn defer(&mut self, what: Deferred) -> InlineRead {
        self.reader = Reader::Deferred(what);
        InlineRead::Deferred
    }
}

impl<W: WriteHalf> Outbound<W> {
    /// Writes a call at once if nothing else is waiting or in flight.
    fn write_inline(&mut self, call: QueuedCall) -> InlineWrite {
        if self.is_busy() || self.is_closed() {
            return InlineWrite::Refused(call);
        }
        let now = Instant::now();
        let lease_end = now + INLINE_READ_LEASE;
        let earlier = self.note_due(Some(call.due().map_or(lease_end, |due| due.min(lease_end))));
        self.append(call, now);
        // The driver finds the same error.
        let whole = self.try_write().is_ok() && !self.has_unwritten();
        InlineWrite::Written { wake: earlier || !whole }
    }
}

fn wake_driver(commands: &mpsc::UnboundedSender<Command>) {
    // An error means that it has ended.
    let _ = commands.send(Command::Wake);
}
