//! A connection of JSON messages: reads, passes frames to the dispatcher, writes its replies.
//!
//! Everything runs on the connection's own task: after each read all calls in it run, and their
//! replies are written together, a few at a time.

mod arrival;
mod calls;
mod dispatch;
mod guarded;
mod layered;
mod memory;
mod timing;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use rpc_host::net;
use rpc_socket::{Socket, WriteHalf};
use rpc_wire::call::Messages;
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameLimits, Framer};
use rpc_wire::mutants::mutant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::buffers::{Account, FREE_BYTES, SMALL_BYTES};
use crate::places::connections::Slot;
use crate::state::ServerState;
use crate::visitor::Peer;
use arrival::Arrival;
pub(crate) use dispatch::Dispatcher;
#[cfg(feature = "http")]
pub(crate) use dispatch::{Defaults, Documents};
pub use memory::InMemory;
use timing::Timers;

/// Size of a read on a quiet connection; one that fills it gets more.
const READ_SMALL: usize = 4 * 1024;
const READ_LARGE: usize = 64 * 1024;
/// A larger input buffer is freed on a quiet connection.
const LARGE_INPUT: usize = FREE_BYTES;
/// Finished calls handled before the next write.
const FINISH_AT_ONCE: usize = 64;
/// Compact the write buffer once 64 KiB and at least half of it are written: the move is amortised
/// O(1).
const COMPACT_FROM: usize = 64 * 1024;
/// Replies of one read per write. A client with many calls in flight processes the first replies
/// while the next calls run; with one write for all, client and server would wait for each other in
/// turn (64 in flight: 0.8 of an echo's rate). A read has at most 58 calls; 32 per write gain
/// little, 16 cost more processor time than they gain. Fewer if the calls take long.
const REPLIES_PER_WRITE: usize = 20;
/// After so much work a connection lets others have their turn, so that no peer keeps a worker.
const TURN: Duration = Duration::from_millis(1);

/// Writes as many bytes as it can at once.
trait Writer {
    /// # Errors
    /// `WouldBlock` if it cannot write any now.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Writer for WriteHalf<'_> {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        WriteHalf::try_write(self, bytes)
    }
}

/// Why a call has no end, though it may have begun.
pub(crate) const ENDED: &str = "the server ended before the call did";

/// One JSON connection.
pub(crate) struct Session {
    state: Arc<ServerState>,
    peer: SocketAddr,
    input: BytesMut,
    framer: Framer,
    dispatcher: Dispatcher,
    /// How much of the dispatcher's output has been written.
    written: usize,
    input_state: InputState,
    phase: Phase,
    read_size: ReadSize,
    /// The input may have unhandled messages: there was no room for their replies, or the turn was
    /// over.
    behind: bool,
    /// Messages handled between two readings of the clock, each with a write.
    stretch: usize,
    arrival: Arrival,
    /// When the last whole message came, a call finished or the peer took some of its output.
    last_activity: Instant,
    /// Since when the peer has taken none of its output.
    stalled_since: Option<Instant>,
    /// What this connection keeps, among all of the server's.
    account: Account,
    /// The largest capacity of the input since it was new: consumed bytes hide some of it.
    input_bytes: usize,
    /// Not everyone may do everything.
    is_guarded: bool,
    /// The peer may do nothing, since it has not said who it is.
    is_stranger: bool,
    opened: Instant,
    timers: Timers,
}

/// Whether the connection is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputState {
    /// Requests are read.
    Open,
    /// The peer closed its half, or counts as gone: calls received before still get their replies.
    Ended,
    /// Nothing more is read, since it could not be trusted: a final error is sent, then the
    /// connection is closed.
    Refused {
        /// The peer may still be sending (see `linger`).
        is_sending: bool,
    },
    /// The peer counts as gone: the connection is closed, whatever it waits for.
    Gone,
}

/// Whether the server takes calls.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It does.
    Serving,
    /// It drains: calls are refused, those in flight get their replies.
    Draining {
        /// When the connection is closed, unless a call is in flight then.
        until: Instant,
        /// A message was received since: there may be others on their way.
        has_received: bool,
    },
}

/// The size of the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadSize {
    /// The last read did not fill its room.
    Small,
    /// It did.
    Large,
}

impl Session {
    /// A session that begins with the `first` bytes, on a connection that was `opened` then, and that
    /// `closing` ends.
    pub(crate) fn new(
        state: Arc<ServerState>,
        peer: &Peer,
        first: BytesMut,
        (opened, closing): (Instant, &CancellationToken),
    ) -> Self {
        let limits = FrameLimits {
            max_bytes: state.limits.max_request_bytes,
            max_depth: state.limits.max_nesting,
        };
        let account = state.buffers.account(closing.clone());
        let now = Instant::now();
        let arrival = Arrival::new(now, state.lag.at(now));
        let mut dispatcher = Dispatcher::new(state.clone(), peer, Instant::now());
        Self {
            is_guarded: !state.guard.is_open(),
            is_stranger: dispatcher.serves_stranger(),
            dispatcher,
            state,
            peer: peer.address,
            input: first,
            framer: Framer::new(limits),
            written: 0,
            input_state: InputState::Open,
            phase: Phase::Serving,
            read_size: ReadSize::Small,
            behind: false,
            stretch: 1,
            arrival,
            last_activity: now,
            stalled_since: None,
            account,
            input_bytes: 0,
            opened,
            timers: Timers::default(),
        }
    }

    /// Serves until the connection closes, at the latest when the server has drained or another
    /// needs its place; returns whether the peer may still be sending (see `linger`).
    pub(crate) async fn run(mut self, stream: &mut Socket, slot: &mut Slot) -> io::Result<bool> {
        tracing::debug!(peer = %self.peer, "connection opened");
        if !self.is_stranger {
            // By its certificate, or since everyone may.
            slot.become_known();
        }
        let closing = slot.closing().clone().cancelled_owned();
        let state = self.state.clone();
        let (mut reader, writer) = stream.split();
        let timer = sleep_until(self.next_check().into());
        tokio::pin!(closing, timer);
        self.take_frames(&writer, Instant::now());
        loop {
            self.write_some(&writer)?;
            if self.is_guarded {
                self.watch(slot);
            }
            if self.behind && self.unwritten_is_low() {
                self.update_account();
                // A peer that reads as fast as it gets replies must not starve other tasks.
                tokio::task::yield_now().await;
                self.take_frames(&writer, Instant::now());
                continue;
            }
            if self.is_finished() {
                break;
            }
            self.count_memory();
            if self.wants_input() {
                self.make_room();
            }
            if !self.timers.watches_buffers && self.has_large_buffers() {
                (self.timers.watches_buffers, self.timers.is_stale) = (true, true);
            }
            if std::mem::take(&mut self.timers.is_stale) {
                timer.as_mut().reset(self.next_check().into());
            }
            tokio::select! {
                biased;
                read = reader.read_buf(&mut self.input), if self.wants_input() => {
                    let now = Instant::now();
                    match read? {
                        0 => self.peer_ended(),
                        count => self.note_read(count, reader.as_ref(), now),
                    }
                    if std::mem::take(&mut self.timers.gives_way) && !slot.resume() {
                        // It came too late.
                        break;
                    }
                    self.take_frames(&writer, now);
                    self.finish_ready();
                }
                finished = self.dispatcher.finish_next(), if self.may_finish() => {
                    if finished {
                        self.finish_ready();
                    }
                    let now = Instant::now();
                    self.last_activity = now;
                    self.take_frames(&writer, now);
                }
                ready = writer.writable(), if self.unwritten() > 0 => {
                    ready?;
                    self.last_activity = Instant::now();
                }
                () = &mut closing, if self.may_be_closed() => {
                    if let Some(why) = slot.expelled() {
                        self.expel(why);
                        continue;
                    }
                    if !state.draining.is_cancelled() {
                        tracing::debug!(peer = %self.peer, "closing the connection to make room for others");
                        break;
                    }
                    self.begin_drain();
                    timer.as_mut().reset(self.next_check().into());
                }
                () = state.aborted.cancelled(), if self.is_draining() => {
                    self.dispatcher.abandon_all(ENDED);
                    self.write_some(&writer)?;
                    return Ok(true);
                }
                () = &mut timer => {
                    self.check_time(Instant::now());
                    self.give_way(slot);
                    timer.as_mut().reset(self.next_check().into());
                }
            }
        }
        tracing::debug!(peer = %self.peer, "connection closed");
        Ok(self.may_be_sending())
    }

    /// Whether messages may be on their way that closing at once would answer with a reset, by which the
    /// peer loses what was written last.
    fn may_be_sending(&self) -> bool {
        match (self.input_state, self.phase) {
            (InputState::Refused { is_sending }, _) => is_sending,
            (InputState::Open, Phase::Draining { has_received, .. }) => has_received,
            _ => false,
        }
    }

    /// `count` bytes were read.
    fn note_read(&mut self, count: usize, stream: &TcpStream, now: Instant) {
        let fills_its_room = self.input.len() == self.input.capacity();
        self.read_size = if fills_its_room { ReadSize::Large } else { ReadSize::Small };
        let unread = if fills_its_room { net::unread(stream) } else { 0 };
        self.arrival.note(now, self.state.lag.at(now), count, unread);
    }

    /// Passes whole messages to the dispatcher: all, unless it takes longer than a turn.
    fn take_frames(&mut self, writer: &impl Writer, now: Instant) {
        self.state.lag.matters(now);
        self.dispatcher.begin_turn(now, self.arrival.at());
        if let Err(fault) = self.handle_messages(writer) {
            self.close_with(fault);
        }
        let done = self.framer.unfinished_from();
        self.input.advance(done);
        self.framer.consumed(done);
        self.watch_incomplete();
        if self.input_state == InputState::Ended && self.framer.is_inside() {
            let text = "request is not JSON: the connection ended inside it";
            self.close_with(Fault::new(Code::NotJson, text));
        }
    }

    /// # Errors
    /// Nothing after the last message can be trusted.
    fn handle_messages(&mut self, writer: &impl Writer) -> Result<(), Fault> {
        self.behind = false;
        let is_refused = matches!(self.input_state, InputState::Refused { .. });
        if self.input_state == InputState::Gone || is_refused && !self.dispatcher.has_batch() {
            return Ok(());
        }
        let most = self.max_unwritten();
        let mut messages = Messages::new(&mut self.framer, &self.input);
        let mut until_write = self.stretch;
        while self.dispatcher.accepts() {
            self.behind = self.dispatcher.output_bytes() - self.written >= most;
            if self.behind {
                break;
            }
            if until_write == 0 {
                let took = self.dispatcher.read_clock();
                // The next write reports the error, too; the calls that were read still run.
                if let Ok(1..) = write_out(&mut self.dispatcher, &mut self.written, writer) {
                    self.stalled_since = None;
                }
                self.behind = self.dispatcher.turn() >= TURN;
                if self.behind {
                    break;
                }
                self.stretch = match took < TURN / 4 {
                    true => (self.stretch * 2).min(REPLIES_PER_WRITE),
                    false => 1,
                };
                until_write = self.stretch;
            }
            until_write -= 1;
            if self.dispatcher.has_batch() {
                self.dispatcher.handle_next_of_batch(&self.state);
                continue;
            }
            if is_refused {
                break;
            }
            let Some((message, frame)) = messages.next().map_err(Fault::unreadable)? else { break };
            self.phase.receive();
            self.last_activity = self.dispatcher.turn_began();
            self.dispatcher.handle(&self.state, message, frame)?;
        }
        Ok(())
    }

    fn finish_ready(&mut self) {
        for _ in 0..FINISH_AT_ONCE {
            if !self.may_finish() || self.dispatcher.finish_next().now_or_never() != Some(true) {
                break;
            }
        }
        // Nothing else may be in flight that its rest would wait for.
        self.behind |= self.dispatcher.has_batch() && self.dispatcher.accepts();
    }

    /// The final error: sent after everything received before it; nothing follows it.
    fn close_with(&mut self, fault: Fault) {
        tracing::debug!(peer = %self.peer, %fault, "closing the connection after an error");
        self.input_state = InputState::Refused { is_sending: self.input_state == InputState::Open };
        if !matches!(fault.code, Code::Overloaded | Code::Unauthorised) {
            self.state.metrics.malformed.inc();
        }
        self.dispatcher.set_final_error(fault, self.framer.unfinished(&self.input));
    }

    /// The peer sends no more requests. Extended calls are cancelled; classic ones get their
    /// replies, for a peer that half-closed.
    fn peer_ended(&mut self) {
        self.input_state = InputState::Ended;
        self.dispatcher.cancel_extended();
    }

    /// From now on calls are refused. They are read until the peer closes, which it does when it is told:
    /// what it sent before it heard of it must not meet a closed socket, or nobody would know whether it
    /// was executed.
    fn begin_drain(&mut self) {
        let reads_on = !mutant("drain-without-reading");
        let until = Instant::now() + self.state.limits.close_timeout * u32::from(reads_on);
        self.phase = Phase::Draining { until, has_received: false };
        self.dispatcher.begin_drain();
    }

    /// Counts what this connection keeps.
    fn count_memory(&mut self) {
        self.update_account();
        if self.waits_for_memory() {
            self.shrink_buffers();
            self.update_account();
            self.timers.is_stale = true;
        }
    }

    fn update_account(&mut self) {
        self.input_bytes = self.input_bytes.max(self.input.capacity());
        let bytes = self.input_bytes + self.dispatcher.kept_bytes();
        self.account.set(bytes, self.stalled_since);
    }

    fn has_large_buffers(&self) -> bool {
        self.input.capacity() > LARGE_INPUT || self.dispatcher.has_large_output()
    }

    fn shrink_buffers(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.input_bytes = 0;
        }
        if self.unwritten() == 0 {
            self.dispatcher.shrink_output();
            self.written = 0;
        }
    }

    fn is_finished(&self) -> bool {
        let finished = self.dispatcher.is_idle() && self.unwritten() == 0;
        let leaving = match self.input_state {
            InputState::Gone => return true,
            InputState::Ended | InputState::Refused { .. } => true,
            InputState::Open => self.phase.is_over() && !self.framer.is_inside(),
        };
        finished && leaving
    }

    fn wants_input(&self) -> bool {
        self.input_state == InputState::Open
            && self.dispatcher.accepts()
            && self.unwritten_is_low()
            && !self.waits_for_memory()
    }

    /// Whether nothing more is read for now: too much is kept for all, and here more than a small request.
    fn waits_for_memory(&self) -> bool {
        self.account.is_over() || self.input.len() >= SMALL_BYTES && self.state.buffers.are_full()
    }

    /// Whether it has not begun to close.
    fn may_be_closed(&self) -> bool {
        !self.is_draining() && !matches!(self.input_state, InputState::Refused { .. })
    }

    fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. })
    }

    fn may_finish(&self) -> bool {
        self.dispatcher.has_running() && self.unwritten_is_low()
    }

    fn unwritten(&self) -> usize {
        self.dispatcher.output_bytes() - self.written
    }

    fn unwritten_is_low(&self) -> bool {
        self.unwritten() < self.max_unwritten()
    }

    fn max_unwritten(&self) -> usize {
        let most = self.state.limits.max_unwritten_bytes;
        if self.state.buffers.are_full() { most.min(FREE_BYTES) } else { most }
    }

    fn make_room(&mut self) {
        // A long request is read in large reads, even if its last read was small.
        let large = self.read_size == ReadSize::Large || self.input.len() >= READ_SMALL;
        let large = large && !self.state.buffers.are_full();
        self.input.reserve(if large { READ_LARGE } else { READ_SMALL });
    }

    fn write_some(&mut self, writer: &impl Writer) -> io::Result<()> {
        self.dispatcher.end_turn();
        let count = write_out(&mut self.dispatcher, &mut self.written, writer)?;
        if self.unwritten() == 0 {
            self.stalled_since = None;
        } else if count > 0 || self.stalled_since.is_none() {
            self.stalled_since = Some(Instant::now());
            self.timers.is_stale = true;
        }
        Ok(())
    }
}

impl Phase {
    /// A message was received.
    fn receive(&mut self) {
        if let Self::Draining { has_received, .. } = self {
            *has_received = true;
        }
    }

    /// Whether the peer has had its time to close.
    fn is_over(self) -> bool {
        matches!(self, Self::Draining { until, .. } if Instant::now() >= until)
    }
}

/// Writes as much of the dispatcher's output as the socket takes, and returns how much that was;
/// `written` bytes of it are out.
fn write_out(
    dispatcher: &mut Dispatcher,
    written: &mut usize,
    writer: &impl Writer,
) -> io::Result<usize> {
    let mut count = 0;
    while *written < dispatcher.output_bytes() {
        let (part, is_document) = dispatcher.next_part(*written);
        match writer.try_write(part) {
            Ok(bytes) if is_document => {
                dispatcher.documents().wrote(bytes);
                count += bytes;
            }
            Ok(bytes) => {
                *written += bytes;
                count += bytes;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let unwritten = dispatcher.output().len() - *written;
    if unwritten == 0 {
        dispatcher.discard_output();
        *written = 0;
    } else if *written >= COMPACT_FROM.max(unwritten) {
        // A peer that reads slowly but never stops must not keep the buffer from shrinking.
        dispatcher.compact_output(*written);
        *written = 0;
    }
    Ok(count)
}
