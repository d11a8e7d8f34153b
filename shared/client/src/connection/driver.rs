//! The driver: the task that owns one socket, writes calls together, reads replies and routes them by
//! id.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rpc_socket::OwnedWriteHalf;
use rpc_wire::call::Reply;
use rpc_wire::fault::{Code, Fault};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::Instant;

use super::command::Command;
use super::outbound::Outbound;
use super::pending::{Delivery, Undelivered};
use super::shared::Shared;
use crate::CallError;
use crate::deadline::after;
use crate::item::StreamItem;

/// Messages delivered at a time. The calls that their callers make next are written before more are
/// delivered, so that the server works on them meanwhile; with all at once, server and client would
/// wait for each other in turn (64 calls in flight: 0.44 of an echo's rate; in batches of 16 or 32: 0.83;
/// 8 are too few).
const BATCH: usize = 32;

/// How long bytes are waited for that had arrived before the connection was lost: the system has them.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What only the driver has; the rest is in [`Shared::halves`], for inline calls.
pub(super) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// An event whose reader has no room: until it has, nothing is read from the socket.
    undelivered: Option<Undelivered>,
    /// Every handle is dropped.
    abandoned: bool,
}

/// What to wait for, beside commands and replies.
struct Wait {
    until: Instant,
    /// There are unwritten bytes.
    for_room: bool,
}

/// Why a connection ends.
enum End {
    /// Nothing is in flight and nothing will be.
    Idle,
    /// The peer closed, or the system reports an error.
    Lost(io::Error),
    /// The peer closes the connection because of an error of its own, or sent something that is not a
    /// reply.
    Failed(CallError),
    /// The peer refused the connection instead of serving it: no call was executed.
    Refused(Fault),
    /// The registry lists it as a newer server, and it is an older one: it takes one call at a time, on
    /// connections that are made for that.
    Older,
}

const DRAINING: &str = "the server is draining";

const OLDER: &str = "it is an older server, listed as a newer one, and took one of several calls";

impl End {
    /// The server said that it takes no calls, in a reply without an id.
    ///
    /// As the first message of a connection this proves that none of its calls was executed: a server that
    /// executes calls replies to them or says `draining` before it ends, and a refusal is all that a full one
    /// ever writes. Behind another message it proves nothing.
    ///
    /// A connection that ends without a message proves nothing either: a server that is killed while it
    /// executes a call looks just like one that closes unread, and what its system has acknowledged says
    /// nothing of what the server has read.
    fn refused(fault: Fault, is_first: bool) -> Self {
        if is_first {
            Self::Refused(fault)
        } else {
            Self::Lost(io::Error::other(fault.to_string()))
        }
    }
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { shared, commands, undelivered: None, abandoned: false }
    }

    pub(super) async fn run(mut self, writer: Arc<OwnedWriteHalf>) {
        let end = match self.drive(writer).await {
            Ok(()) => End::Idle,
            Err(end) => end,
        };
        self.finish(&end);
    }

    /// Until the connection ends. A peer that has closed may have said why before: that counts, though
    /// nothing can be written any more.
    async fn drive(&mut self, writer: Arc<OwnedWriteHalf>) -> Result<(), End> {
        match self.exchange(writer).await {
            Err(End::Lost(error)) => Err(self.last_words().await.unwrap_or(End::Lost(error))),
            end => end,
        }
    }

    async fn exchange(&mut self, writer: Arc<OwnedWriteHalf>) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let timer = tokio::time::sleep_until(shared.halves.outbound().wake_by);
        tokio::pin!(timer);
        while let Some(wait) = self.write()? {
            if wait.until < timer.deadline() {
                timer.as_mut().reset(wait.until);
            }
            // The most frequent event is polled first; the others get their turn after each read.
            tokio::select! {
                biased;
                read = shared.halves.read(), if self.undelivered.is_none() => {
                    shared.context.received_bytes.add(read.map_err(End::Lost)?);
                    self.read().await?;
                    // A peer that never stops sending must starve neither commands nor deadlines.
                    self.drain_commands();
                    if shared.halves.reading().inbound.inbox.latest() >= wait.until {
                        self.check_times();
                    }
                }
                command = self.commands.recv(), if !self.abandoned => match command {
                    Some(command) => self.handle_command(command).await,
                    None => self.abandoned = true,
                },
                writable = writer.writable(), if wait.for_room => writable.map_err(End::Lost)?,
                () = deliver(&mut self.undelivered), if self.undelivered.is_some() => {
                    self.read().await?;
                }
                () = &mut timer => {
                    self.check_times();
                    timer.as_mut().reset(shared.halves.outbound().wake_by);
                }
            }
        }
        Ok(())
    }

    /// Delivers what had arrived before the connection was lost. How it ended, if those bytes say more.
    async fn last_words(&mut self) -> Option<End> {
        let shared = Arc::clone(&self.shared);
        let read_all = async {
            while let Ok(count) = shared.halves.read().await {
                shared.context.received_bytes.add(count);
                loop {
                    deliver(&mut self.undelivered).await;
                    match self.read_batch() {
                        Ok(true) => {}
                        Ok(false) if self.undelivered.is_some() => {}
                        Ok(false) => break,
                        Err(end) => return Some(end),
                    }
                }
            }
            None
        };
        // The system ends the reading of a socket that is lost.
        tokio::time::timeout(LAST_WORDS, read_all).await.ok().flatten()
    }

    /// Delivers every whole message received, and writes the calls made meanwhile.
    async fn read(&mut self) -> Result<(), End> {
        let mut written = Ok(());
        while self.read_batch()? {
            // Replies that have arrived are delivered even if nothing can be written any more.
            if written.is_ok() {
                tokio::task::yield_now().await;
                self.drain_commands();
                written = self.write().map(drop);
            }
        }
        written
    }

    /// Delivers at most [`BATCH`] of the messages received; `true` if there may be more.
    fn read_batch(&mut self) -> Result<bool, End> {
        let mut room = BATCH;
        let mut draining = false;
        let peer = &*self.shared.peer;
        let mut reading = self.shared.halves.reading();
        let inbox = &mut reading.inbound.inbox;
        let mut outbound = self.shared.halves.outbound();
        while room > 0 && self.undelivered.is_none() {
            let bad_frame = |error| End::Failed(CallError::bad_frame(peer, error));
            let Some((frame, bytes, reply)) = inbox.next_reply().map_err(bad_frame)? else { break };
            room -= 1;
            let pending = &mut outbound.pending;
            let reply = reply.map_err(|error| {
                pending.note_unmatched(bytes);
                End::Failed(CallError::bad_reply(peer, error))
            })?;
            let matched = match reply {
                Reply::Done { id: Some(id), outcome } => {
                    delivered(pending.finish(id, outcome, &frame, bytes), &mut self.undelivered)
                }
                Reply::Done { id: None, outcome } => {
                    pending.note_unmatched(bytes);
                    let outcome = outcome.map_err(Fault::of_connection);
                    // It refuses the connection; or, later on, its client: by then its certificate has expired.
                    if let Err(fault) = &outcome
                        && (fault.code.is_retryable()
                            || fault.code == Code::Unauthorised && !frame.is_first)
                    {
                        return Err(End::refused(fault.clone(), frame.is_first));
                    }
                    if self.shared.is_older(&outcome) {
                        if let Some(id) = self.shared.only_id() {
                            delivered(
                                pending.finish(id, outcome, &frame, bytes),
                                &mut self.undelivered,
                            );
                        }
                        return Err(End::Older);
                    }
                    // It is about a request that the server could not read, whose id nobody knows.
                    return Err(End::Failed(match outcome {
                        Ok(_) => CallError::bad_reply(peer, "a reply without an id"),
                        Err(fault) => {
                            CallError::Remote { peer: peer.to_owned(), fault: Box::new(fault) }
                        }
                    }));
                }
                Reply::Item { id, item, dropped } => {
                    let item = StreamItem::new(item, dropped);
                    delivered(pending.item(id, item, bytes), &mut self.undelivered)
                }
                Reply::End { id } => delivered(pending.end(id, bytes), &mut self.undelivered),
                Reply::Draining => {
                    draining = true;
                    true
                }
                Reply::Empty { id } => {
                    delivered(pending.fail_empty(id, bytes), &mut self.undelivered)
                }
                Reply::Unknown => false,
            };
            if !matched {
                self.shared.context.unmatched_replies.add_one();
            }
        }
        inbox.release();
        outbound.note_idle(inbox.latest());
        let more = room == 0 && self.undelivered.is_none() && !inbox.is_empty();
        if more {
            reading.defer_messages();
        }
        drop((outbound, reading));
        if draining {
            tracing::debug!(peer, "peer is draining");
            // Calls that are not sent go elsewhere; when those in flight have their replies, this side
            // closes, for which the server waits.
            self.shared.note_refusal(Fault::new(Code::Draining, DRAINING));
            self.stop_accepting(DRAINING);
        }
        Ok(more)
    }

    /// Writes what there is room for. `None` if nothing is in flight and nothing will be.
    fn write(&self) -> Result<Option<Wait>, End> {
        let max_in_flight = self.shared.context.options.max_in_flight.max(1);
        let mut outbound = self.shared.halves.outbound();
        outbound.write(max_in_flight).map_err(End::Lost)?;
        let open = !self.abandoned && !self.shared.halves.is_retired();
        let wait = Wait { until: outbound.wake_by, for_room: outbound.has_unwritten() };
        Ok((open || self.is_busy(&outbound)).then_some(wait))
    }

    /// Whether anything is still to be sent, received or delivered.
    fn is_busy(&self, outbound: &Outbound) -> bool {
        self.undelivered.is_some() || outbound.is_busy()
    }

    /// Ends the calls whose deadlines have passed, and the connection if it was idle for too long. The
    /// timer is set here and to earlier times only: calls that end before it fires do not move it.
    fn check_times(&mut self) {
        let now = Instant::now();
        let mut outbound = self.shared.halves.outbound();
        outbound.expire(now);
        let busy = self.is_busy(&outbound);
        let since = if busy { now } else { outbound.idle_since };
        let idle_end = after(since, self.shared.context.options.idle_timeout);
        outbound.wake_by = outbound.next_due().map_or(idle_end, |due| due.min(idle_end));
        if !busy && idle_end <= now {
            // With the lock held, so that no caller starts an inline call before.
            self.shared.halves.retire(&outbound);
        }
    }

    /// Applies a command, and all that are queued: calls share one write.
    async fn handle_command(&mut self, command: Command) {
        let others = {
            let mut outbound = self.shared.halves.outbound();
            self.shared.apply(command, &mut outbound);
            !outbound.pending.is_empty()
        };
        if others {
            // Callers who were woken together are about to send theirs; one write for all.
            tokio::task::yield_now().await;
        }
        self.drain_commands();
    }

    fn drain_commands(&mut self) {
        let mut outbound = self.shared.halves.outbound();
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.shared.apply(command, &mut outbound),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.abandoned = true;
                    break;
                }
            }
        }
    }

    /// Fails the calls that were not sent; those in flight still get their replies.
    fn stop_accepting(&mut self, reason: &str) {
        let mut outbound = self.shared.halves.outbound();
        self.shared.halves.retire(&outbound);
        outbound.fail_waiting(|| self.shared.not_executed(reason));
        drop(outbound);
        self.drain_commands();
        self.shared.slots.wake_all();
    }

    fn finish(&mut self, end: &End) {
        let reason = match end {
            End::Idle => "it was closed because it was idle".to_owned(),
            End::Lost(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the server closed it".to_owned()
            }
            End::Lost(error) => error.to_string(),
            End::Failed(error) => error.to_string(),
            End::Refused(fault) => {
                self.shared.note_refusal(fault.clone());
                fault.to_string()
            }
            End::Older => OLDER.to_owned(),
        };
        let mut reading = self.shared.halves.reading();
        // The peer sees the end before any caller does.
        reading.inbound.close();
        let mut ended = self.shared.halves.outbound().close();
        ended.pending.note_unmatched(reading.inbound.inbox.rest());
        drop(reading);
        let in_flight = ended.pending.len();
        tracing::debug!(peer = %self.shared.peer, in_flight, reason, "connection ended");
        // Before any caller is woken, who might call here again.
        self.commands.close();
        self.stop_accepting(&reason);
        ended.fail_waiting(|| self.shared.not_executed(&reason));
        ended.fail_all(|is_written| match end {
            End::Failed(error) if is_written => error.clone(),
            End::Refused(_) => self.shared.not_executed(&reason),
            _ if is_written => self.shared.lost(&reason, true),
            _ => self.shared.not_executed(&reason),
        });
    }
}

impl Drop for Driver {
    /// However the driver ends, the socket is closed, and callers waiting for a slot or a reply get
    /// an error.
    fn drop(&mut self) {
        self.shared.halves.reading().inbound.close();
        let ended = self.shared.halves.outbound().close();
        self.commands.close();
        self.shared.slots.wake_all();
        drop(ended);
    }
}

/// Whether a call waited for it. An event that waits for room is kept in `undelivered`.
fn delivered(delivery: Delivery, undelivered: &mut Option<Undelivered>) -> bool {
    match delivery {
        Delivery::Delivered => true,
        Delivery::NoReader => false,
        Delivery::Full(event) => {
            *undelivered = Some(event);
            true
        }
    }
}

/// Waits until the stream's reader has room. A reader that is gone needs nothing.
async fn deliver(undelivered: &mut Option<Undelivered>) {
    if let Some((events, _)) = undelivered.as_ref() {
        let permit = events.clone().reserve_owned().await;
        if let (Ok(permit), Some((_, event))) = (permit, undelivered.take()) {
            permit.send(event);
        }
    }
    *undelivered = None;
}
