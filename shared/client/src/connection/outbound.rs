//! The outbound half of a connection: calls that wait to be written, bytes that wait for the socket,
//! calls in flight.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_socket::OwnedWriteHalf;
use rpc_wire::call::request;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::pending::{Pending, QueuedCall, Waiting};
use super::socket::WriteHalf;
use crate::CallError;
use crate::request::{Expects, Outgoing};
use crate::token::Shown;
use crate::unwritten::{Unwritten, Written};

/// With this many unwritten bytes no further call is appended.
const MAX_UNWRITTEN: usize = 256 << 10;
/// An empty buffer is shrunk to this. One with at least as many written bytes, and at least half of it
/// written, is compacted: the move is amortised O(1).
const KEPT: usize = 64 << 10;

/// A notification that is not written yet.
#[derive(Debug)]
pub(super) struct Notification {
    /// No reply has it, but all messages of the dialect have one.
    pub(super) id: u64,
    pub(super) request: Arc<Outgoing>,
    pub(super) deadline: Instant,
    pub(super) written: Written,
}

impl Notification {
    pub(super) fn fail(self, error: CallError) {
        // A caller that is gone needs no error.
        drop(self.written.send(Err(error)));
    }
}

/// The bytes to write, and the calls in flight.
#[derive(Debug)]
pub(super) struct Outbound<W = Arc<OwnedWriteHalf>> {
    /// `None` once the connection has ended.
    socket: Option<W>,
    /// Calls that wait for room below `max_in_flight`, oldest first.
    waiting: VecDeque<QueuedCall>,
    /// Notifications that wait for room in the outbox, oldest first. The slots of their callers bound them.
    notifications: VecDeque<Notification>,
    /// Those that are in the outbox.
    unwritten: Unwritten,
    outbox: Outbox,
    /// Calls whose bytes are in the outbox or written.
    pub(super) pending: Pending,
    /// The driver's timer is set to this or earlier.
    pub(super) wake_by: Instant,
    /// When the last call ended.
    pub(super) idle_since: Instant,
}

impl<W: WriteHalf> Outbound<W> {
    /// The first message shows a secret, if there is one to show.
    pub(super) fn new(peer: Arc<str>, socket: W, wake_by: Instant, shown: &Shown) -> Self {
        let mut outbox = Outbox::default();
        if let Shown::Secret(secret) = shown {
            outbox.append(|out| request::introduction(out, secret.expose_secret()));
        }
        Self {
            socket: Some(socket),
            waiting: VecDeque::new(),
            notifications: VecDeque::new(),
            unwritten: Unwritten::default(),
            outbox,
            pending: Pending::new(peer, shown.is_withheld()),
            wake_by,
            idle_since: Instant::now(),
        }
    }

    /// Whether a call is waiting or in flight, or bytes are unwritten.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty() || !self.waiting.is_empty() || self.has_unwritten()
    }

    /// Whether there are bytes that the socket has not taken.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Bytes that may not have arrived: those from the oldest call in flight on.
    pub(super) fn on_the_way(&self) -> u64 {
        self.pending.first_byte().map_or(0, |first| self.outbox.total - first)
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.socket.is_none()
    }

    /// Has a call written when there is room.
    pub(super) fn enqueue(&mut self, call: QueuedCall) {
        self.note_due(call.due());
        self.waiting.push_back(call);
    }

    /// Has a notification written when there is room.
    pub(super) fn enqueue_notification(&mut self, notification: Notification) {
        self.notifications.push_back(notification);
    }

    /// Appends waiting calls up to the limits, and writes what the socket takes.
    pub(super) fn write(&mut self, max_in_flight: usize) -> io::Result<()> {
        while self.outbox.len() < MAX_UNWRITTEN
            && let Some(notification) = self.notifications.pop_front()
        {
            self.append_notification(notification);
        }
        if !self.waiting.is_empty() {
            let now = Instant::now();
            while self.pending.len() < max_in_flight && self.outbox.len() < MAX_UNWRITTEN {
                let Some(call) = self.waiting.pop_front() else { break };
                self.append(call, now);
            }
        }
        self.try_write()
    }

    /// Ends a call whose caller is gone, and cancels it at the peer if it was sent.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(call) = self.pending.remove(id) {
            self.append_cancel(id, &call);
            self.note_idle(Instant::now());
        } else {
            self.waiting.retain(|call| call.id != id);
            self.notifications.retain(|notification| notification.id != id);
        }
    }

    /// Ends the calls whose deadlines have passed, and cancels those at the peer that were sent.
    pub(super) fn expire(&mut self, now: Instant) {
        let over = self.pending.take_expired(now);
        if !over.is_empty() {
            for (id, call) in over {
                self.append_cancel(id, &call);
                call.expire();
            }
            self.note_idle(now);
        }
        for call in std::mem::take(&mut self.waiting) {
            match call.due() {
                Some(at) if at <= now => call.reply.expire(),
                _ => self.waiting.push_back(call),
            }
        }
    }

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(QueuedCall::due).min();
        self.pending.next_due().into_iter().chain(waiting).min()
    }

    /// Notes that a call ended at that time, in case it was the last.
    pub(super) fn note_idle(&mut self, at: Instant) {
        if self.pending.is_empty() {
            self.idle_since = at;
        }
    }

    /// Fails the calls that were not written.
    pub(super) fn fail_waiting(&mut self, error: impl Fn() -> CallError) {
        self.waiting.drain(..).for_each(|call| call.reply.fail(error()));
        self.notifications.drain(..).for_each(|notification| notification.fail(error()));
    }

    /// Closes the socket's half. The calls are moved out, for the driver to fail.
    pub(super) fn close(&mut self) -> Self {
        if let Some(socket) = self.socket.take() {
            socket.release();
        }
        let closed = Self {
            socket: None,
            waiting: VecDeque::new(),
            notifications: VecDeque::new(),
            unwritten: Unwritten::default(),
            outbox: Outbox::default(),
            pending: Pending::new(Arc::clone(self.pending.peer()), false),
            wake_by: self.wake_by,
            idle_since: self.idle_since,
        };
        std::mem::replace(self, closed)
    }

    /// Fails the calls in flight; `error` gets whether a byte of the call was written.
    pub(super) fn fail_all(&mut self, error: impl Fn(bool) -> CallError) {
        self.pending.fail_all(self.outbox.written, &error);
        self.unwritten.fail_all(self.outbox.written, error);
    }

    /// Has the driver wake up by then; `true` if its timer was set later.
    pub(super) fn note_due(&mut self, due: Option<Instant>) -> bool {
        let earlier = due.filter(|at| *at < self.wake_by);
        self.wake_by = earlier.unwrap_or(self.wake_by);
        earlier.is_some()
    }

    /// Appends a call's bytes to the outbox, unless its caller is gone.
    pub(super) fn append(&mut self, call: QueuedCall, now: Instant) {
        if call.reply.is_closed() {
            return;
        }
        let starts_at = self.outbox.total;
        self.append_message(call.id, &call.request, call.deadline, now);
        self.pending.insert(call, now, starts_at);
    }

    /// The same of a notification. It keeps the connection from being idle for a while.
    fn append_notification(&mut self, notification: Notification) {
        let Notification { id, request, deadline, written } = notification;
        if written.is_closed() {
            return;
        }
        let (starts_at, now) = (self.outbox.total, Instant::now());
        self.append_message(id, &request, Some(deadline), now);
        self.unwritten.push(starts_at..self.outbox.total, written);
        self.note_idle(now);
    }

    fn append_message(
        &mut self,
        id: u64,
        outgoing: &Outgoing,
        deadline: Option<Instant>,
        now: Instant,
    ) {
        let start = self.outbox.buffer.len();
        let meta = request::RequestMeta {
            deadline_ms: deadline.map(|deadline| milliseconds_until(deadline, now)),
            stream: outgoing.expects == Expects::Items,
            traceparent: outgoing.traceparent.clone(),
            oneway: outgoing.is_notification(),
        };
        self.outbox.append(|out| {
            request::extended(out, id, &outgoing.method, &outgoing.args, &meta);
        });
        outgoing.mark_sent();
        if let Some(wire) = &outgoing.wire {
            wire.sent(self.outbox.buffer.get(start..).unwrap_or_default());
        }
    }

    fn append_cancel(&mut self, id: u64, call: &Waiting) {
        let start = self.outbox.buffer.len();
        self.outbox.append(|out| request::cancel(out, id));
        if let Some(wire) = &call.wire {
            wire.sent(self.outbox.buffer.get(start..).unwrap_or_default());
        }
    }

    /// Writes what the socket takes at once.
    pub(super) fn try_write(&mut self) -> io::Result<()> {
        match &self.socket {
            Some(socket) => self.outbox.try_write(socket)?,
            None => return Ok(()),
        }
        self.unwritten.wrote(self.outbox.written);
        Ok(())
    }
}

/// Rounded up: a call that still has time never sends 0.
fn milliseconds_until(deadline: Instant, now: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now) + Duration::from_micros(999);
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Bytes to be written.
#[derive(Debug, Default)]
struct Outbox {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that are written.
    done: usize,
    /// Bytes ever written, and ever appended.
    written: u64,
    total: u64,
}

impl Outbox {
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.buffer.len();
        write(&mut self.buffer);
        self.total += (self.buffer.len() - before) as u64;
    }

    fn unwritten(&self) -> &[u8] {
        self.buffer.get(self.done..).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.buffer.len() - self.done
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what the socket takes at once.
    fn try_write(&mut self, socket: &impl WriteHalf) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match socket.try_write(self.unwritten()) {
            Ok(count) => self.wrote(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn wrote(&mut self, count: usize) {
        self.done += count;
        self.written += count as u64;
        if self.is_empty() {
            self.done = 0;
            self.buffer.clear();
            self.buffer.shrink_to(KEPT);
        } else if self.done >= KEPT.max(self.len()) {
            // A peer that reads slowly but never stops must not keep the buffer from shrinking.
            self.buffer.drain(..self.done);
            self.done = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_a_slow_reader_has_read_is_freed() {
        let mut outbox = Outbox::default();
        outbox.append(|out| out.resize(10_000, 0));
        for _ in 0..1000 {
            outbox.append(|out| out.extend([0; 1000]));
            outbox.wrote(1000);
            assert_eq!(outbox.len(), 10_000);
        }
        assert!(outbox.written == 1_000_000 && outbox.buffer.len() < 3 * KEPT);
    }
}
