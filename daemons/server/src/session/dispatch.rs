//! Frame → call → reply, without a socket: output is bytes, time is an argument.

mod batches;
mod classic;
mod counting;
mod defaults;
mod documents;
mod finish;
#[cfg(feature = "http")]
mod notifications;
mod start;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_host::shares::Place;
#[cfg(feature = "http")]
use rpc_security::secret::SecretString;
use rpc_wire::call::{Call, Message, Rejected, ReplyTo, is_meant_as_json_rpc, reply};
use rpc_wire::fault::{Code, Fault};

use self::batches::Batches;
use self::classic::Waiting;
#[cfg(feature = "http")]
pub(crate) use self::defaults::Defaults;
pub(crate) use self::documents::Documents;
use self::start::UNKNOWN;
use super::calls::Calls;
use crate::buffers::FREE_BYTES;
use crate::failure::panicked;
use crate::method::{Given, RunNow};
use crate::metrics::{Outcome, Shard};
use crate::older_clients::Noted;
use crate::places::calls::PlacesOfPeer;
use crate::reserved::Reserved;
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};

/// Calls that arrived within this time are neither late nor beyond a deadline, which is in whole
/// milliseconds.
const FRESH: Duration = Duration::from_millis(1);
/// A larger output buffer is freed on a quiet connection.
const LARGE_OUTPUT: usize = FREE_BYTES;
/// Arguments of a call in flight are kept as what they were read into, or as text that is passed on in turn.
const ARGUMENT_COPIES: usize = 3;

/// The calls and replies of one connection.
pub(crate) struct Dispatcher {
    state: Arc<ServerState>,
    peer: SocketAddr,
    /// Who the peer is, if not everyone may do everything.
    visitor: Option<Box<Visitor>>,
    /// It is a stranger whose address was refused too often: nothing more that it shows is looked at.
    is_heard_no_more: bool,
    /// The peer's places for calls, looked up with the first that needs one.
    places: Option<PlacesOfPeer>,
    shard: Shard,
    output: Vec<u8>,
    /// Among the output.
    documents: Documents,
    calls: Calls,
    /// Calls in flight of the same connection that another dispatcher has.
    calls_elsewhere: usize,
    batches: Batches,
    /// A classic call is in flight: the next ones wait for it.
    classic_is_running: bool,
    classic_waiting: VecDeque<Waiting>,
    /// The bytes of these.
    waiting_bytes: usize,
    /// The place that the next call has waited with.
    place: Option<Place>,
    /// The peer understands control messages.
    is_extended: bool,
    draining: bool,
    /// The peer was told so.
    is_told: bool,
    older_clients: Noted,
    /// Written once every previous call has its reply; in which dialect.
    final_error: Option<(ReplyTo<'static>, Fault)>,
    /// The last message was JSON-RPC.
    is_json_rpc: bool,
    /// When the current messages arrived.
    arrived: Instant,
    /// When the turn in which they are handled began.
    turn_began: Instant,
    /// The clock, read now and then.
    now: Instant,
    /// The messages have just arrived, before any deadline could pass.
    is_fresh: bool,
    /// Calls of synchronous methods whose replies are not written yet: the method's position, how they
    /// ended, and their number. They are written together, so one reading of the clock serves all.
    unwritten_calls: Vec<(usize, Outcome, u64)>,
    /// The position of the method called last.
    last_method: usize,
}

impl Dispatcher {
    pub(crate) fn new(state: Arc<ServerState>, peer: &Peer, now: Instant) -> Self {
        Self {
            shard: state.metrics.shard(),
            visitor: Visitor::new(&state.guard, peer).map(Box::new),
            is_heard_no_more: false,
            places: None,
            state,
            peer: peer.address,
            output: Vec::new(),
            documents: Documents::default(),
            calls: Calls::default(),
            calls_elsewhere: 0,
            batches: Batches::default(),
            classic_is_running: false,
            classic_waiting: VecDeque::new(),
            waiting_bytes: 0,
            place: None,
            is_extended: false,
            draining: false,
            is_told: false,
            older_clients: Noted::default(),
            final_error: None,
            is_json_rpc: false,
            arrived: now,
            turn_began: now,
            now,
            is_fresh: true,
            unwritten_calls: Vec::new(),
            last_method: 0,
        }
    }

    /// What all connections of its server share.
    #[cfg(feature = "http")]
    pub(crate) fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Begins to handle messages that have arrived.
    pub(crate) fn begin_turn(&mut self, now: Instant, arrived: Instant) {
        (self.turn_began, self.now) = (now, now);
        self.arrived = arrived;
        self.is_fresh = now - arrived < FRESH;
    }

    pub(crate) fn turn_began(&self) -> Instant {
        self.turn_began
    }

    /// How long the turn has lasted when the clock was read last.
    pub(crate) fn turn(&self) -> Duration {
        self.now - self.turn_began
    }

    /// Handles one message and its frame. `state` is the dispatcher's own, passed as a reference:
    /// cloning the `Arc` for every call would contend on a counter that all connections share.
    ///
    /// # Errors
    /// It is not JSON: nothing after it can be trusted.
    pub(crate) fn handle(
        &mut self,
        state: &ServerState,
        message: Result<Message<'_>, Rejected<'_>>,
        frame: &[u8],
    ) -> Result<(), Fault> {
        let received = self.arrived;
        match with_short_id(message, state.limits.max_id_bytes) {
            Ok(Message::Call(call)) if call.reply_to.is_classic() && self.classic_must_wait() => {
                self.let_classic_wait(&call, frame, received);
            }
            Ok(Message::Call(call)) => match self.admit(state, &call) {
                Ok(()) => self.begin(state, &call, received),
                Err(fault) => self.refuse(&call, &fault, received),
            },
            Ok(Message::Batch(array)) => {
                self.is_json_rpc = true;
                self.begin_batch(state, array);
            }
            Ok(Message::Cancel(id)) => {
                self.is_extended = true;
                self.calls.cancel(id);
            }
            Err(Rejected { fatal: true, fault, .. }) => {
                self.is_json_rpc |= is_meant_as_json_rpc(frame);
                return Err(fault);
            }
            Err(Rejected { reply_to, fault, .. }) => {
                self.state.metrics.malformed.inc();
                self.is_json_rpc = reply_to.is_json_rpc();
                if reply_to.is_classic() && self.classic_must_wait() {
                    self.classic_waiting.push_back(Waiting::Refused(fault));
                } else {
                    reply::fault(&mut self.output, reply_to, &fault);
                }
            }
        }
        Ok(())
    }

    /// Whether another message may be handled: not behind a full queue of classic calls, or a batch whose
    /// calls are all that may be in flight.
    pub(crate) fn accepts(&self) -> bool {
        let limits = &self.state.limits;
        (self.classic_waiting.is_empty()
            || self.in_flight() < limits.max_calls_per_connection
                && self.waiting_bytes < limits.max_request_bytes)
            && !self.batch_waits()
    }

    pub(crate) fn has_running(&self) -> bool {
        self.calls.len() > 0
    }

    /// Whether nothing is in flight, waiting or still to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight() == 0 && self.final_error.is_none()
    }

    /// What is to be written, without the documents among it.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    pub(crate) fn documents(&mut self) -> &mut Documents {
        &mut self.documents
    }

    /// How much is to be written.
    pub(crate) fn output_bytes(&self) -> usize {
        self.output.len() + self.documents.bytes()
    }

    /// What is to be written next, if so much of the output is written, and whether that is of a document.
    pub(crate) fn next_part(&self, written: usize) -> (&[u8], bool) {
        let end = match self.documents.first() {
            Some((at, document)) if at <= written => return (document, true),
            Some((at, _)) => at,
            None => self.output.len(),
        };
        (self.output.get(written..end).unwrap_or_default(), false)
    }

    /// Copies the documents into the output.
    pub(crate) fn copy_documents(&mut self) {
        if self.documents.bytes() > 0 {
            let documents = std::mem::take(&mut self.documents);
            let pieces = documents.among(std::mem::take(&mut self.output));
            self.output.extend(pieces.into_iter().flatten());
        }
    }

    /// Makes room for a reply of this length, so that it is not made again and again.
    #[cfg(feature = "http")]
    pub(crate) fn reserve_output(&mut self, length: usize) {
        self.output.reserve(length);
    }

    /// Of documents among it nothing is left: something is written behind each.
    pub(crate) fn discard_output(&mut self) {
        self.output.clear();
    }

    /// Removes the first `count` bytes of the output.
    pub(crate) fn compact_output(&mut self, count: usize) {
        self.output.drain(..count);
        self.documents.moved(count);
    }

    /// What is kept for the peer: output, calls that wait, and the arguments of those in flight.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.output.capacity()
            + self.waiting_bytes
            + ARGUMENT_COPIES * self.calls.argument_bytes()
            + self.calls.kept_bytes()
            + self.batches.bytes()
    }

    pub(crate) fn has_large_output(&self) -> bool {
        self.output.capacity() > LARGE_OUTPUT
    }

    /// Frees the output's memory.
    pub(crate) fn shrink_output(&mut self) {
        self.output = Vec::new();
    }

    /// Ends all streams, for this reason.
    pub(crate) fn stop_streams(&mut self, fault: &Fault) {
        self.calls.stop_streams(|_| Some(fault.clone()));
    }

    pub(crate) fn cancel_extended(&self) {
        self.calls.cancel_extended();
    }

    /// Notes the secret of a request that is not among its messages.
    ///
    /// # Errors
    /// As of a message.
    #[cfg(feature = "http")]
    pub(crate) fn show(&mut self, secret: SecretString) -> Result<(), Fault> {
        self.visitor.as_mut().map_or(Ok(()), |visitor| visitor.show(secret))
    }

    /// Whether the peer has shown who it is.
    #[cfg(feature = "http")]
    pub(crate) fn is_known(&mut self) -> bool {
        self.visitor.as_mut().is_some_and(|visitor| matches!(visitor.identity(), Ok(Some(_))))
    }

    /// What the requests of the next batch have that say nothing else.
    #[cfg(feature = "http")]
    pub(crate) fn set_defaults(&mut self, defaults: Defaults) {
        self.batches.set_defaults(defaults);
    }

    /// Takes the output, and the documents among it.
    #[cfg(feature = "http")]
    pub(crate) fn take_output(&mut self) -> (Vec<u8>, Documents) {
        (std::mem::take(&mut self.output), std::mem::take(&mut self.documents))
    }

    /// Whether the peer may do nothing at all, as far as it has said who it is.
    pub(crate) fn serves_stranger(&mut self) -> bool {
        self.visitor.as_mut().is_some_and(|visitor| visitor.is_stranger())
    }

    /// Whether the peer has streams that it could lose the right to.
    pub(crate) fn has_guarded_streams(&self) -> bool {
        self.visitor.is_some() && self.calls.has_streams()
    }

    /// Ends the streams that the peer may no longer have: its token has expired, or is gone.
    pub(crate) fn recheck_streams(&mut self) {
        let Some(visitor) = &mut self.visitor else { return };
        let state = &self.state;
        self.calls.stop_streams(|method| {
            let permission = match state.permission(method) {
                Some(permission) => permission,
                // None of the methods streams the log.
                None if method == usize::MAX => Reserved::Logs.permission(),
                None => UNKNOWN,
            };
            visitor.may(permission, state.object()).err().map(Fault::from)
        });
    }

    pub(crate) fn begin_drain(&mut self) {
        self.draining = true;
        self.calls.drain_streams();
        self.tell_draining();
    }

    /// Tells it once to a peer that is known to understand it.
    pub(super) fn tell_draining(&mut self) {
        if self.is_extended && !self.is_told && self.calls.batch().is_none() {
            self.is_told = true;
            reply::draining(&mut self.output);
        }
    }

    fn in_flight(&self) -> usize {
        self.calls.len() + self.classic_waiting.len() + usize::from(self.batches.has_begun())
    }

    /// Runs a call at once, or starts it.
    fn begin(&mut self, state: &ServerState, call: &Call<'_>, received: Instant) {
        self.is_extended |= call.reply_to.is_extended();
        self.is_json_rpc = call.reply_to.is_json_rpc();
        if let Err(fault) = self.try_begin(state, call, received) {
            self.refuse(call, &fault, received);
        }
    }

    /// The reply to a call that does not start.
    #[cold]
    pub(crate) fn refuse(&mut self, call: &Call<'_>, fault: &Fault, received: Instant) {
        self.count_refused(call, fault, received);
        if fault.code == Code::Unauthorised && self.visitor.is_some() {
            return self.refuse_unauthorised(call, fault, received);
        }
        self.reply_fault(call, fault);
    }

    /// Says so, unless no reply is wanted.
    pub(super) fn reply_fault(&mut self, call: &Call<'_>, fault: &Fault) {
        if !call.meta.oneway {
            reply::fault(&mut self.output, call.reply_to, fault);
        }
    }

    /// Runs a synchronous method at once.
    #[inline]
    fn run_now(
        &mut self,
        call: &Call<'_>,
        position: usize,
        body: &RunNow,
        given: Given<'_>,
        received: Instant,
    ) {
        let start = self.output.len();
        let as_stream = call.reads_stream();
        if !as_stream {
            reply::begin_result(&mut self.output, call.reply_to);
        }
        let result_start = self.output.len();
        let outcome = catch_unwind(AssertUnwindSafe(|| body(given, &mut self.output)))
            .unwrap_or_else(|panic| Err(panicked(&*panic)));
        let ended = match &outcome {
            Ok(()) => Outcome::Result,
            Err(fault) => fault.code.into(),
        };
        match outcome {
            Ok(()) if as_stream => {
                let item = self.output.split_off(result_start);
                self.write_single_item(call.reply_to, &item);
            }
            Ok(()) => reply::end_result(&mut self.output),
            Err(fault) => {
                self.output.truncate(start);
                reply::fault(&mut self.output, call.reply_to, &fault);
            }
        }
        if call.meta.oneway {
            self.output.truncate(start);
        }
        if call.reply_to.is_classic() {
            self.note_size(position, self.output.len() - start);
        }
        if received != self.arrived || tracing::enabled!(tracing::Level::DEBUG) {
            return self.note(position, received.elapsed(), ended);
        }
        match self.unwritten_calls.last_mut() {
            Some((method, outcome, calls)) if *method == position && *outcome == ended => {
                *calls += 1;
            }
            _ => self.unwritten_calls.push((position, ended, 1)),
        }
    }
}

/// The message, refused if its id is longer than `most` bytes: an id is kept while its call is in flight.
// As a function of its own it would copy the message of every call twice.
#[inline(always)]
fn with_short_id<'a>(
    message: Result<Message<'a>, Rejected<'a>>,
    most: usize,
) -> Result<Message<'a>, Rejected<'a>> {
    let id = match &message {
        Ok(Message::Call(call)) => call.reply_to.id(),
        Ok(Message::Cancel(id)) => Some(*id),
        Ok(Message::Batch(_)) => None,
        Err(rejected) => rejected.reply_to.id(),
    };
    match id {
        Some(id) if id.text().len() > most => {
            let text = format!("id is longer than {most} bytes (max_id_bytes)");
            let fault = Fault::new(Code::Malformed, text);
            let reply_to = match &message {
                Ok(Message::Call(call)) => call.reply_to.without_id(),
                Err(rejected) => rejected.reply_to.without_id(),
                Ok(_) => ReplyTo::Classic,
            };
            Err(Rejected { reply_to, fault, fatal: false })
        }
        _ => message,
    }
}
