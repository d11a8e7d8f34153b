//! The task that owns one socket: writes calls together, reads replies and routes them by id.

use std::io;
use std::sync::Arc;

use rpc_wire::call::Reply;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::time::Instant;

use super::command::Command;
use super::outbound::Outbound;
use super::pending::{Delivery, Undelivered};
use super::shared::Shared;
use crate::CallError;
use crate::deadline::after;
use crate::item::StreamItem;

/// So many messages are handed out at a time; what their readers call next is written before more
/// are: the server works on that meanwhile. All at once, server and client would wait for each other
/// in turn (64 calls in flight: 0.44 of an echo's rate, and 0.83 so; 16 do as well, 8 do not).
const PORTION: usize = 32;

/// The driver's own state; what is on its way is in [`Shared::halves`], which an inline caller works on,
/// too.
pub(super) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// A stream's event its reader has no room for: until it has, nothing is read.
    undelivered: Option<Undelivered>,
    /// Every caller is gone.
    abandoned: bool,
}

/// What the task is to wait for, beside words and replies.
struct Wait {
    until: Instant,
    /// There are bytes that the socket has no room for.
    for_room: bool,
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
    pub(super) fn new(shared: Arc<Shared>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { shared, commands, undelivered: None, abandoned: false }
    }

    pub(super) async fn run(mut self, writer: Arc<OwnedWriteHalf>) {
        let end = match self.drive(writer).await {
            Ok(()) => End::Done,
            Err(end) => end,
        };
        self.finish(&end);
    }

    async fn drive(&mut self, writer: Arc<OwnedWriteHalf>) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let alarm = tokio::time::sleep_until(shared.halves.outbound().wake_by);
        tokio::pin!(alarm);
        while let Some(wait) = self.write()? {
            if wait.until < alarm.deadline() {
                alarm.as_mut().reset(wait.until);
            }
            // What is read most often is looked at first: everything else has its turn after it.
            tokio::select! {
                biased;
                read = shared.halves.read(), if self.undelivered.is_none() => {
                    shared.context.received_bytes.add(read.map_err(End::Lost)?);
                    self.read().await?;
                    // A peer that never stops sending keeps nobody from being heard, or from time.
                    self.drain_commands();
                    if shared.halves.reading().inbound.inbox.latest() >= wait.until {
                        self.keep_time();
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
                () = &mut alarm => {
                    self.keep_time();
                    alarm.as_mut().reset(shared.halves.outbound().wake_by);
                }
            }
        }
        Ok(())
    }

    /// Hands out every whole message received, and writes what is called meanwhile.
    async fn read(&mut self) -> Result<(), End> {
        let mut written = Ok(());
        while self.read_portion()? {
            // Answers that have arrived are handed out even if nothing can be sent any more.
            if written.is_ok() {
                tokio::task::yield_now().await;
                self.drain_commands();
                written = self.write().map(drop);
            }
        }
        written
    }

    /// Hands out a portion of the whole messages received; `true` if there may be more.
    fn read_portion(&mut self) -> Result<bool, End> {
        let mut room = PORTION;
        let mut draining = false;
        let peer = &*self.shared.peer;
        let mut reading = self.shared.halves.reading();
        let inbox = &mut reading.inbound.inbox;
        let mut outbound = self.shared.halves.outbound();
        while room > 0 && self.undelivered.is_none() {
            let bad_frame = |error| End::Garbage(CallError::bad_frame(peer, error));
            let Some((frame, reply)) = inbox.next_reply().map_err(bad_frame)? else { break };
            room -= 1;
            let reply = reply.map_err(|error| End::Garbage(CallError::bad_reply(peer, error)))?;
            let pending = &mut outbound.pending;
            let matched = match reply {
                Reply::Done { id: Some(id), outcome } => {
                    delivered(pending.finish(id, outcome, &frame), &mut self.undelivered)
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
                    delivered(pending.item(id, item), &mut self.undelivered)
                }
                Reply::End { id } => delivered(pending.end(id), &mut self.undelivered),
                Reply::Draining => {
                    draining = true;
                    true
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
            self.stop_accepting("the server is draining");
        }
        Ok(more)
    }

    /// Writes what there is room for. `None` if nothing is under way and nothing will be.
    fn write(&self) -> Result<Option<Wait>, End> {
        let max_in_flight = self.shared.context.options.max_in_flight.max(1);
        let mut outbound = self.shared.halves.outbound();
        outbound.write(max_in_flight).map_err(End::Lost)?;
        let open = !self.abandoned && !self.shared.halves.is_retired();
        let wait = Wait { until: outbound.wake_by, for_room: outbound.has_unwritten() };
        Ok((open || self.is_busy(&outbound)).then_some(wait))
    }

    /// Whether anything is still to be sent, received or handed over.
    fn is_busy(&self, outbound: &Outbound) -> bool {
        self.undelivered.is_some() || outbound.is_busy()
    }

    /// Ends the calls whose time is up, and the connection if it was idle for long. When that is to be
    /// looked at again is not moved by a call that ends meanwhile, nor by a later one: there is one
    /// timer, and it is seldom set.
    fn keep_time(&mut self) {
        let now = Instant::now();
        let mut outbound = self.shared.halves.outbound();
        outbound.expire(now);
        let busy = self.is_busy(&outbound);
        let since = if busy { now } else { outbound.idle_since };
        let idle_end = after(since, self.shared.context.options.idle_timeout);
        outbound.wake_by = outbound.next_due().map_or(idle_end, |due| due.min(idle_end));
        if !busy && idle_end <= now {
            // Before a caller finds the connection free.
            self.shared.halves.retire(&outbound);
        }
    }

    /// Applies a command, and all that come behind it: calls share one write.
    async fn handle_command(&mut self, command: Command) {
        let others = {
            let mut outbound = self.shared.halves.outbound();
            self.shared.apply(command, &mut outbound);
            !outbound.pending.is_empty()
        };
        if others {
            // Callers who were woken together are about to come: let them.
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

    /// Gives back what was not sent; what is in flight is still answered.
    fn stop_accepting(&mut self, reason: &str) {
        let mut outbound = self.shared.halves.outbound();
        self.shared.halves.retire(&outbound);
        outbound.give_back(|| self.shared.lost(reason, false));
        drop(outbound);
        self.drain_commands();
        self.shared.places.wake_all();
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
        // The peer sees the end before any caller does.
        self.shared.halves.reading().inbound.close();
        let mut ended = self.shared.halves.outbound().close();
        let in_flight = ended.pending.len();
        tracing::debug!(peer = %self.shared.peer, in_flight, reason, "connection ended");
        // Before anybody in flight is woken, who might call again here.
        self.commands.close();
        self.stop_accepting(&reason);
        ended.give_back(|| self.shared.lost(&reason, false));
        ended.fail_all(|executed| match end {
            End::Garbage(error) if executed => error.clone(),
            _ => self.shared.lost(&reason, executed),
        });
    }
}

impl Drop for Driver {
    /// However the task ends, so does the socket, and whoever waits for a place or an answer learns
    /// that there will be none.
    fn drop(&mut self) {
        self.shared.halves.reading().inbound.close();
        let ended = self.shared.halves.outbound().close();
        self.commands.close();
        self.shared.places.wake_all();
        drop(ended);
    }
}

/// Whether somebody waited for it; what must wait for room is kept.
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
        let place = events.clone().reserve_owned().await;
        if let (Ok(place), Some((_, event))) = (place, undelivered.take()) {
            place.send(event);
        }
    }
    *undelivered = None;
}
