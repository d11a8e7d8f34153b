//! The outbound half of a connection: calls that wait to be written, bytes that wait for the socket,
//! calls in flight.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::request;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::pending::{Job, Pending};
use super::socket::WriteHalf;
use crate::CallError;

/// With so many bytes unwritten no further call is taken.
const MAX_UNWRITTEN: usize = 256 << 10;
/// A write buffer larger than this is given back once it is empty; so much that is written is thrown
/// away when no more is unwritten.
const KEPT: usize = 64 << 10;

/// Calls on their way. Behind a lock, which is held for moments.
#[derive(Debug)]
pub(super) struct Outbound<W = Arc<OwnedWriteHalf>> {
    /// `None` once the connection has ended.
    socket: Option<W>,
    /// Calls there is no room for yet, oldest first.
    waiting: VecDeque<Job>,
    outbox: Outbox,
    /// Calls whose bytes are in the outbox or further.
    pub(super) pending: Pending,
    /// Nothing has to be done by time alone before.
    pub(super) wake_by: Instant,
    /// When the latest call ended.
    pub(super) idle_since: Instant,
}

impl<W: WriteHalf> Outbound<W> {
    pub(super) fn new(socket: W, wake_by: Instant) -> Self {
        Self {
            socket: Some(socket),
            waiting: VecDeque::new(),
            outbox: Outbox::default(),
            pending: Pending::default(),
            wake_by,
            idle_since: Instant::now(),
        }
    }

    /// Whether a call is waiting or in flight, or a byte unwritten.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty() || !self.waiting.is_empty() || self.has_unwritten()
    }

    /// Whether there are bytes that the socket has not taken yet.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.socket.is_none()
    }

    /// A call is to be written when there is room.
    pub(super) fn hold(&mut self, job: Job) {
        self.note_due(job.due());
        self.waiting.push_back(job);
    }

    /// Writes what there is room for, of waiting calls and their bytes.
    pub(super) fn write(&mut self, max_in_flight: usize) -> io::Result<()> {
        if !self.waiting.is_empty() {
            let now = Instant::now();
            while self.pending.len() < max_in_flight && self.outbox.len() < MAX_UNWRITTEN {
                let Some(job) = self.waiting.pop_front() else { break };
                self.append(job, now);
            }
        }
        self.try_write()
    }

    /// Stops a call whose caller is gone.
    pub(super) fn cancel(&mut self, id: u64) {
        if self.pending.remove(id) {
            self.outbox.append(|out| request::cancel(out, id));
            self.note_idle(Instant::now());
        } else {
            self.waiting.retain(|job| job.id != id);
        }
    }

    /// Ends the calls whose time is up.
    pub(super) fn expire(&mut self, now: Instant) {
        let over = self.pending.expire(now);
        if !over.is_empty() {
            over.into_iter().for_each(|id| self.outbox.append(|out| request::cancel(out, id)));
            self.note_idle(now);
        }
        for job in std::mem::take(&mut self.waiting) {
            match job.due() {
                Some(at) if at <= now => job.reply.expire(),
                _ => self.waiting.push_back(job),
            }
        }
    }

    /// When the next call's time is up.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(Job::due).min();
        self.pending.next_due().into_iter().chain(waiting).min()
    }

    /// Calls may have ended at that time.
    pub(super) fn note_idle(&mut self, at: Instant) {
        if self.pending.is_empty() {
            self.idle_since = at;
        }
    }

    /// Fails the calls that were not written.
    pub(super) fn give_back(&mut self, error: impl Fn() -> CallError) {
        self.waiting.drain(..).for_each(|job| job.reply.fail(error()));
    }

    /// Closes the socket's half; what was on its way is the caller's to end.
    pub(super) fn close(&mut self) -> Self {
        if let Some(socket) = self.socket.take() {
            socket.release();
        }
        let closed = Self {
            socket: None,
            waiting: VecDeque::new(),
            outbox: Outbox::default(),
            pending: Pending::default(),
            wake_by: self.wake_by,
            idle_since: self.idle_since,
        };
        std::mem::replace(self, closed)
    }

    /// Fails the calls in flight: `error` is told whether a byte of the call was written.
    pub(super) fn fail_all(&mut self, error: impl Fn(bool) -> CallError) {
        self.pending.fail_all(self.outbox.written, error);
    }

    /// Something has to be done by then; `true` if nothing had to be so soon.
    pub(super) fn note_due(&mut self, due: Option<Instant>) -> bool {
        let earlier = due.filter(|at| *at < self.wake_by);
        self.wake_by = earlier.unwrap_or(self.wake_by);
        earlier.is_some()
    }

    /// Puts a call behind what is to be written, unless its caller is gone.
    pub(super) fn append(&mut self, job: Job, now: Instant) {
        if job.reply.is_closed() {
            return;
        }
        let starts_at = self.outbox.total;
        let start = self.outbox.buffer.len();
        let meta = request::RequestMeta {
            deadline_ms: job.deadline.map(|deadline| milliseconds_until(deadline, now)),
            stream: job.request.stream,
            ..Default::default()
        };
        let outgoing = &job.request;
        self.outbox.append(|out| {
            request::extended(out, job.id, &outgoing.method, &outgoing.args, &meta);
        });
        outgoing.mark_sent();
        let sent = match self.outbox.buffer.get(start..) {
            Some(bytes) if outgoing.keep_sent => bytes.to_vec(),
            _ => Vec::new(),
        };
        self.pending.insert(job, sent, now, starts_at);
    }

    /// Writes what the socket takes at once.
    pub(super) fn try_write(&mut self) -> io::Result<()> {
        match &self.socket {
            Some(socket) => self.outbox.try_write(socket),
            None => Ok(()),
        }
    }
}

/// Rounded up: a call that still has time never says it has none.
fn milliseconds_until(deadline: Instant, now: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now) + Duration::from_micros(999);
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Bytes to be written, and how many went before.
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
            // A peer that reads slowly but never stops must not make us keep all it has read.
            self.buffer.drain(..self.done);
            self.done = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slow_reader_has_read_is_forgotten_although_there_is_always_more() {
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
