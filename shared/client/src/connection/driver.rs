//! The task that owns one socket: writes calls together, reads replies and routes them by id.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rpc_wire::call::{Reply, request};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::inbox::Inbox;
use super::pending::{Job, Pending, Undelivered};
use super::{Shared, Word};
use crate::CallError;
use crate::context::after;
use crate::stream::StreamItem;

/// So many messages are handed out at a time; what their readers call next is written before more
/// are: the server works on that meanwhile. All at once, server and client would wait for each other
/// in turn (64 calls in flight: 0.44 of an echo's rate, and 0.83 so; 16 do as well, 8 do not).
const PORTION: usize = 32;
/// With so many bytes unwritten no further call is taken.
const MAX_UNWRITTEN: usize = 256 << 10;
/// A write buffer larger than this is given back once it is empty; so much that is written is thrown
/// away when no more is unwritten.
const KEPT: usize = 64 << 10;

/// The task's state; the socket itself is [`run`](Self::run)'s.
pub(super) struct Driver {
    shared: Arc<Shared>,
    words: mpsc::UnboundedReceiver<Word>,
    /// Calls there is no room for yet, oldest first.
    waiting: VecDeque<Job>,
    inbox: Inbox,
    pending: Pending,
    outbox: Outbox,
    /// A stream's event its reader has no room for: until it has, nothing is read.
    undelivered: Option<Undelivered>,
    /// Whether new calls are taken: not once the server drains or every caller is gone.
    accepting: bool,
    /// Every caller is gone.
    abandoned: bool,
    idle_since: Instant,
    /// Nothing has to be done by time alone before.
    wake_by: Instant,
}

/// Why a connection ends.
enum End {
    /// Nothing is in flight and nothing will be.
    Done,
    /// The peer closed, or the system reports an error.
    Lost(io::Error),
    /// The peer sends something that is no reply.
    Garbage(CallError),
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        words: mpsc::UnboundedReceiver<Word>,
        inbox: Inbox,
    ) -> Self {
        let now = Instant::now();
        Self {
            wake_by: after(now, shared.context.options.idle),
            shared,
            words,
            waiting: VecDeque::new(),
            inbox,
            pending: Pending::default(),
            outbox: Outbox::default(),
            undelivered: None,
            accepting: true,
            abandoned: false,
            idle_since: now,
        }
    }

    pub(super) async fn run(mut self, mut socket: TcpStream) {
        let end = match self.drive(&mut socket).await {
            Ok(()) => End::Done,
            Err(end) => end,
        };
        // The peer sees the end before any caller does.
        drop(socket);
        self.finish(&end);
    }

    async fn drive(&mut self, socket: &mut TcpStream) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let (mut reader, mut writer) = socket.split();
        let alarm = tokio::time::sleep_until(self.wake_by);
        tokio::pin!(alarm);
        self.read(&writer).await?;
        while self.accepting || self.is_busy() {
            if self.wake_by < alarm.deadline() {
                alarm.as_mut().reset(self.wake_by);
            }
            // Reading comes late: a peer that never stops sending keeps nothing else from its turn.
            tokio::select! {
                biased;
                written = writer.write(self.outbox.unwritten()), if !self.outbox.is_empty() => {
                    self.outbox.wrote(written.map_err(End::Lost)?);
                }
                () = deliver(&mut self.undelivered), if self.undelivered.is_some() => {
                    self.read(&writer).await?;
                }
                word = self.words.recv(), if !self.abandoned => match word {
                    Some(word) => self.hear(word).await,
                    None => (self.accepting, self.abandoned) = (false, true),
                },
                () = &mut alarm => {
                    let now = Instant::now();
                    self.expire(now);
                    if self.has_been_idle(now) {
                        return Ok(());
                    }
                    self.wake_by = self.next_alarm();
                    alarm.as_mut().reset(self.wake_by);
                }
                read = self.inbox.fill(&mut reader), if self.undelivered.is_none() => {
                    match read.map_err(End::Lost)? {
                        0 => return Err(End::Lost(io::ErrorKind::UnexpectedEof.into())),
                        count => {
                            shared.context.received_bytes.add(count);
                            self.read(&writer).await?;
                        }
                    }
                }
            }
            self.write(&writer)?;
        }
        Ok(())
    }

    /// Hands out every whole message received, and writes what is called meanwhile.
    async fn read(&mut self, writer: &WriteHalf<'_>) -> Result<(), End> {
        let mut written = Ok(());
        while self.read_portion()? {
            // Answers that have arrived are handed out even if nothing can be sent any more.
            if written.is_ok() {
                tokio::task::yield_now().await;
                self.hear_all();
                written = self.write(writer);
            }
        }
        written
    }

    /// Writes what there is room for, of waiting calls and their bytes.
    fn write(&mut self, writer: &WriteHalf<'_>) -> Result<(), End> {
        self.write_waiting();
        self.outbox.try_write(writer).map_err(End::Lost)
    }

    /// Whether anything is still to be sent, received or handed over.
    fn is_busy(&self) -> bool {
        !self.pending.is_empty()
            || !self.waiting.is_empty()
            || !self.outbox.is_empty()
            || self.undelivered.is_some()
    }

    fn has_been_idle(&self, now: Instant) -> bool {
        !self.is_busy() && now >= after(self.idle_since, self.shared.context.options.idle)
    }

    /// When a call's time is up, or that of the connection. A call that ended meanwhile, or a new
    /// one, does not move it; so there is one timer, and it is seldom set.
    fn next_alarm(&self) -> Instant {
        let now = Instant::now();
        let since = if self.is_busy() { now } else { self.idle_since };
        let waiting = self.waiting.iter().filter_map(Job::due).min();
        [self.pending.next_due(), waiting]
            .into_iter()
            .flatten()
            .fold(after(since, self.shared.context.options.idle), Instant::min)
    }

    /// Ends the calls whose time is up.
    fn expire(&mut self, now: Instant) {
        let over = self.pending.expire(now);
        if !over.is_empty() {
            over.into_iter().for_each(|id| self.outbox.append(|out| request::cancel(out, id)));
            self.note_idle();
        }
        let is_over = |job: &Job| job.due().is_some_and(|at| at <= now);
        while let Some(over) = self.waiting.iter().position(is_over) {
            if let Some(job) = self.waiting.remove(over) {
                job.reply.expire();
            }
        }
    }

    /// Hears a word, and all that come behind it: calls share one write.
    async fn hear(&mut self, word: Word) {
        self.obey(word);
        if !self.pending.is_empty() {
            // Callers who were woken together are about to come: let them.
            tokio::task::yield_now().await;
        }
        self.hear_all();
    }

    fn hear_all(&mut self) {
        while let Ok(word) = self.words.try_recv() {
            self.obey(word);
        }
    }

    fn obey(&mut self, word: Word) {
        match word {
            Word::Call(job) if self.accepting => self.hold(job),
            // It came just when the server began to drain.
            Word::Call(job) => job.reply.fail(self.shared.retired()),
            Word::Cancel(id) => self.cancel(id),
        }
    }

    fn hold(&mut self, job: Job) {
        if let Some(due) = job.due() {
            self.wake_by = self.wake_by.min(due);
        }
        self.waiting.push_back(job);
    }

    /// Writes waiting calls while there is room.
    fn write_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        let max_in_flight = self.shared.context.options.max_in_flight.max(1);
        while self.pending.len() < max_in_flight && self.outbox.len() < MAX_UNWRITTEN {
            let Some(job) = self.waiting.pop_front() else { break };
            self.append(job, now);
        }
    }

    fn append(&mut self, job: Job, now: Instant) {
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

    /// Stops a call whose caller is gone.
    fn cancel(&mut self, id: u64) {
        if self.pending.remove(id) {
            self.outbox.append(|out| request::cancel(out, id));
            self.note_idle();
        } else {
            self.waiting.retain(|job| job.id != id);
        }
    }

    /// Hands out a portion of the whole messages received; `true` if there may be more.
    fn read_portion(&mut self) -> Result<bool, End> {
        let mut room = PORTION;
        while room > 0 && self.undelivered.is_none() {
            let peer = &*self.shared.peer;
            let bad_frame = |error| End::Garbage(CallError::bad_frame(peer, error));
            let Some(frame) = self.inbox.next().map_err(bad_frame)? else { break };
            room -= 1;
            let reply = Reply::parse(self.inbox.bytes(&frame))
                .map_err(|error| End::Garbage(CallError::bad_reply(peer, error)))?;
            let matched = match reply {
                Reply::Done { id: Some(id), outcome } => {
                    delivered(self.pending.finish(id, outcome, &frame), &mut self.undelivered)
                }
                Reply::Done { id: None, outcome } => {
                    let reason = match outcome {
                        Ok(_) => "a reply without an id".to_owned(),
                        Err(fault) => fault.classic_text(),
                    };
                    return Err(End::Garbage(CallError::bad_reply(peer, reason)));
                }
                Reply::Item { id, item, dropped } => {
                    let item = StreamItem::new(item, dropped);
                    delivered(self.pending.item(id, item), &mut self.undelivered)
                }
                Reply::End { id } => delivered(self.pending.end(id), &mut self.undelivered),
                Reply::Draining => {
                    tracing::debug!(peer = %self.shared.peer, "peer is draining");
                    self.stop_accepting("the server is draining");
                    true
                }
                Reply::Unknown => false,
            };
            if !matched {
                self.shared.context.unmatched_replies.add_one();
            }
        }
        self.inbox.release();
        self.note_idle();
        Ok(room == 0 && self.undelivered.is_none() && !self.inbox.is_empty())
    }

    /// Gives back what was not sent; what is in flight is still answered.
    fn stop_accepting(&mut self, reason: &str) {
        self.accepting = false;
        self.shared.retired.store(true, Ordering::Release);
        for job in self.waiting.drain(..) {
            job.reply.fail(self.shared.lost(reason, false));
        }
        self.hear_all();
        self.shared.places.wake_all();
    }

    fn note_idle(&mut self) {
        if self.pending.is_empty() {
            self.idle_since = Instant::now();
        }
    }

    fn finish(&mut self, end: &End) {
        let reason = match end {
            End::Done => "it was idle and is closed".to_owned(),
            End::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the peer closed it".to_owned()
            }
            End::Lost(error) => error.to_string(),
            End::Garbage(error) => error.to_string(),
        };
        let in_flight = self.pending.len();
        tracing::debug!(peer = %self.shared.peer, in_flight, reason, "connection ended");
        // Before anybody in flight is woken, who might call again here.
        self.words.close();
        self.stop_accepting(&reason);
        self.pending.fail_all(self.outbox.written, |executed| match end {
            End::Garbage(error) if executed => error.clone(),
            _ => self.shared.lost(&reason, executed),
        });
    }
}

impl Drop for Driver {
    /// However the task ends, whoever waits for a place learns that there will be none.
    fn drop(&mut self) {
        self.words.close();
        self.shared.places.wake_all();
    }
}

/// Whether somebody waited for it; what must wait for room is kept.
fn delivered(
    result: Result<(), Option<Undelivered>>,
    undelivered: &mut Option<Undelivered>,
) -> bool {
    match result {
        Ok(()) => true,
        Err(kept) => {
            *undelivered = kept;
            undelivered.is_some()
        }
    }
}

/// Waits until the stream's reader has room. A reader that is gone needs nothing.
async fn deliver(undelivered: &mut Option<Undelivered>) {
    if let Some((events, _)) = undelivered.as_ref() {
        let place = events.clone().reserve_owned().await;
        if let (Ok(place), Some((_, event))) = (place, undelivered.take()) {
            place.send(event);
        }
    }
    *undelivered = None;
}

/// Rounded up: a call that still has time never says it has none.
fn milliseconds_until(deadline: Instant, now: Instant) -> u64 {
    let left = deadline.saturating_duration_since(now) + Duration::from_micros(999);
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Bytes to be written, and how many went before.
#[derive(Default)]
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
    fn try_write(&mut self, writer: &WriteHalf<'_>) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match writer.try_write(self.unwritten()) {
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
