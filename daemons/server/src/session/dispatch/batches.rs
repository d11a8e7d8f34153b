//! JSON-RPC batches: their requests are handled like any others, and their replies sent as one array.

use std::time::Instant;

use rpc_wire::call::{Batch, Call, Message, ReplyTo, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::json::Json;

use super::defaults::Defaults;
use super::documents::Documents;
use super::start::time_limit;
use super::{Dispatcher, with_short_id};
use crate::buffers::{FREE_BYTES, SMALL_BYTES};
use crate::failure::too_much_kept;
use crate::session::calls::{CallContext, Kept, deadline_exceeded};
use crate::state::ServerState;

/// A reply that is always kept, such as that of a call that did not start.
const SHORT_REPLY: usize = 1024;

impl Dispatcher {
    /// Begins with the requests in `array`, one after the other, before anything else is handled.
    pub(super) fn begin_batch(&mut self, state: &ServerState, array: Json<'_>) {
        match Batch::new(array, state.limits.max_batch_requests) {
            // Most of its replies may wait for one of them.
            Ok(batch) if batch.bytes() > SMALL_BYTES && state.buffers.are_full() => {
                self.state.metrics.calls_refused.inc();
                let advice = "send fewer requests in one batch, or call another instance";
                let fault = too_much_kept(state.limits.max_buffered_bytes, advice);
                reply::fault(&mut self.output, ReplyTo::JsonRpc(Json::NULL), &fault);
            }
            Ok(batch) => self.batches.begin(batch, self.arrived),
            Err(fault) => {
                self.state.metrics.malformed.inc();
                reply::fault(&mut self.output, ReplyTo::JsonRpc(Json::NULL), &fault);
            }
        }
    }

    /// Whether requests of a batch are still to be handled, before anything else is.
    pub(crate) fn has_batch(&self) -> bool {
        self.batches.has_begun()
    }

    /// Whether its next request waits until a call of the batch is done.
    pub(crate) fn batch_waits(&self) -> bool {
        self.batches.waiting().is_some_and(|serial| self.is_full_with(serial))
    }

    /// Whether the connection has as many calls as it may have, and some are of this batch: it is refused
    /// nothing for its own calls. Those of others may never end.
    fn is_full_with(&self, serial: u64) -> bool {
        let in_flight = self.calls.len() + self.classic_waiting.len();
        !self.draining
            && in_flight + self.calls_elsewhere >= self.state.limits.max_calls_per_connection
            && self.calls.has_any_of(serial)
    }

    /// Handles the next request of the batch that was begun.
    pub(crate) fn handle_next_of_batch(&mut self, state: &ServerState) {
        let Some((serial, mut begun)) = self.batches.take() else { return };
        let (received, has_waited) = (begun.received, begun.has_waited);
        let start = self.output.len();
        self.calls.set_batch(Some(serial));
        let is_full = self.batches.reply_bytes() >= most_reply_bytes(state);
        let request = begun.batch.next();
        let is_last = request.is_none();
        let mut reply_to = None;
        let refusal = begun.defaults.refusal();
        let message =
            request.map(|request| request.map(|call| Message::Call(begun.defaults.of(call))));
        match message.map(|message| with_short_id(message, state.limits.max_id_bytes)) {
            Some(Ok(Message::Call(call))) if begun.is_of_nobody && !call.meta.oneway => {}
            Some(Ok(Message::Call(call))) => {
                let admitted = match (refusal, is_full, has_waited) {
                    (Some(fault), ..) => Err(fault.clone()),
                    (None, true, _) => Err(too_much_for_a_batch(state)),
                    (None, false, true) => self.is_in_time(state, &call, received),
                    (None, false, false) => self.admit(state, &call),
                };
                match admitted {
                    Ok(()) => self.begin(state, &call, received),
                    Err(fault) => self.refuse(&call, &fault, received),
                }
                if self.has_no_room(start) {
                    reply_to = Some(Kept::of(call.reply_to));
                }
            }
            Some(message) => {
                let handled = self.handle(state, message, &[]);
                debug_assert!(handled.is_ok(), "the batch is JSON");
            }
            None => {}
        }
        self.calls.set_batch(None);
        if let Some(reply_to) = reply_to
            && (begun.batch.has_next() || self.calls.owes_any_of(serial))
        {
            self.lose_reply(reply_to.get(), start, &lost_for_others(state));
        }
        self.batches.collect(serial, (&mut self.output, &mut self.documents), start);
        if is_last {
            self.end_batch(serial);
            self.flush_final_error();
        } else {
            begun.has_waited |= self.is_full_with(serial);
            self.batches.go_on(begun);
        }
    }

    /// Lets a request start that has waited for others of its batch: that tells nothing about the server's load.
    fn is_in_time(
        &self,
        state: &ServerState,
        call: &Call<'_>,
        received: Instant,
    ) -> Result<(), Fault> {
        let within = time_limit(&state.limits, &call.meta);
        match self.now < received + within {
            true => Ok(()),
            false => Err(deadline_exceeded(within)),
        }
    }

    /// Sends the replies of a batch if they are all there.
    fn end_batch(&mut self, serial: u64) {
        if !self.calls.owes_any_of(serial) {
            self.batches.end(serial, (&mut self.output, &mut self.documents));
        }
    }

    /// A call of the batch has finished, and its reply was written to the output from `start` on. It is kept until the others
    /// have, if there is room.
    pub(super) fn finish_of_batch(&mut self, context: &CallContext, serial: u64, start: usize) {
        let most = most_reply_bytes(&self.state);
        if self.has_no_room(start)
            && (self.batches.is_begun(serial) || self.calls.owes_any_of(serial))
        {
            self.lose_reply(context.reply_to(), start, &lost_for_others(&self.state));
        } else if self.batches.reply_bytes() >= most {
            self.lose_reply(context.reply_to(), start, &lost_in_a_batch(most));
        }
        self.batches.collect(serial, (&mut self.output, &mut self.documents), start);
        if self.batches.reply_bytes() >= most {
            self.calls.stop_waiting(serial, &too_much_for_a_batch(&self.state));
        }
        if !self.batches.is_begun(serial) {
            self.end_batch(serial);
        }
    }

    /// Whether the reply in the output from `start` on is none to keep for a batch, since too much is kept for all peers.
    fn has_no_room(&self, start: usize) -> bool {
        let reply = self.output.len() - start;
        reply > SHORT_REPLY
            && self.batches.reply_bytes() + reply > FREE_BYTES
            && self.state.buffers.are_full()
    }

    /// Says so in place of the reply in the output from `start` on, unless that is shorter.
    fn lose_reply(&mut self, reply_to: ReplyTo<'_>, start: usize, fault: &Fault) {
        let mut lost = Vec::new();
        reply::fault(&mut lost, reply_to, fault);
        if self.output.len() - start > lost.len() {
            self.output.truncate(start);
            self.documents.split_off(start);
            self.output.append(&mut lost);
        }
    }
}

/// How much of a connection's replies may wait for others of their batches; one reply goes beyond it.
fn most_reply_bytes(state: &ServerState) -> usize {
    let most = state.limits.max_unwritten_bytes;
    if state.buffers.are_full() { most.min(FREE_BYTES) } else { most }
}

fn too_much_for_a_batch(state: &ServerState) -> Fault {
    let most = most_reply_bytes(state);
    let text = format!(
        "the replies of batches are over {most} bytes (max_unwritten_bytes); send fewer requests in one"
    );
    Fault::new(Code::TooLarge, text)
}

fn lost_in_a_batch(most: usize) -> Fault {
    let text = format!(
        "the call was executed, but its reply is lost: those of batches are over {most} bytes (max_unwritten_bytes); send fewer requests in one"
    );
    Fault::new(Code::TooLarge, text)
}

fn lost_for_others(state: &ServerState) -> Fault {
    let text = format!(
        "the call was executed, but its reply is lost: over {} bytes are kept for all connections (max_buffered_bytes); \
         send it outside a batch",
        state.limits.max_buffered_bytes
    );
    Fault::new(Code::TooLarge, text)
}

/// The batches of a connection that are not answered yet.
#[derive(Default)]
pub(crate) struct Batches {
    /// The one whose requests are being handled; nothing is read before its last one.
    begun: Option<Begun>,
    open: Vec<Open>,
    next_serial: u64,
    /// Of the batch that begins next.
    defaults: Option<Box<Defaults>>,
}

/// A batch of which not all requests have been handled.
pub(crate) struct Begun {
    batch: Batch,
    defaults: Box<Defaults>,
    /// When it arrived: deadlines count from then.
    received: Instant,
    /// A request has waited for others of it.
    has_waited: bool,
    /// Nobody waits for its replies any more: only its notifications begin.
    is_of_nobody: bool,
}

/// A batch with its replies until now.
struct Open {
    serial: u64,
    /// With a comma between them.
    replies: Vec<u8>,
    /// Among them.
    documents: Documents,
}

impl Open {
    /// Adds a reply, or nothing.
    fn add(&mut self, reply: &[u8], documents: Documents) {
        if reply.is_empty() {
            return;
        }
        if !self.replies.is_empty() {
            self.replies.push(b',');
        }
        self.documents.append(self.replies.len(), documents);
        self.replies.extend_from_slice(reply.trim_ascii_end());
    }

    /// Adds a reply that may be all there is.
    fn add_large(&mut self, mut reply: Vec<u8>, documents: Documents) {
        if !self.replies.is_empty() || reply.len() <= FREE_BYTES {
            return self.add(&reply, documents);
        }
        reply.truncate(reply.trim_ascii_end().len());
        reply.shrink_to_fit();
        self.replies = reply;
        self.documents = documents;
    }
}

impl Batches {
    /// Begins with a batch.
    pub(super) fn begin(&mut self, batch: Batch, received: Instant) {
        self.next_serial += 1;
        let defaults = self.defaults.take().unwrap_or_default();
        let (has_waited, is_of_nobody) = (false, false);
        self.begun = Some(Begun { batch, defaults, received, has_waited, is_of_nobody });
        let (serial, replies, documents) = (self.next_serial, Vec::new(), Documents::default());
        self.open.push(Open { serial, replies, documents });
    }

    #[cfg(feature = "http")]
    pub(super) fn set_defaults(&mut self, defaults: Defaults) {
        self.defaults = Some(Box::new(defaults));
    }

    /// Nobody waits for replies any more: only notifications begin.
    #[cfg(feature = "http")]
    pub(super) fn leave_notifications(&mut self) {
        self.open.clear();
        if let Some(begun) = &mut self.begun {
            begun.is_of_nobody = true;
        }
    }

    /// Whether the batch that was begun last has requests left.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether this is the batch that has requests left.
    pub(crate) fn is_begun(&self, serial: u64) -> bool {
        self.begun.is_some() && self.next_serial == serial
    }

    /// Takes the batch that was begun, and its number; to be given back with [`Self::go_on`].
    pub(crate) fn take(&mut self) -> Option<(u64, Begun)> {
        Some((self.next_serial, self.begun.take()?))
    }

    /// It has requests left.
    pub(crate) fn go_on(&mut self, begun: Begun) {
        self.begun = Some(begun);
    }

    /// The batch that was begun, if its requests have ever waited.
    fn waiting(&self) -> Option<u64> {
        self.begun.as_ref().filter(|begun| begun.has_waited).map(|_| self.next_serial)
    }

    /// Bytes of all replies until now.
    pub(crate) fn reply_bytes(&self) -> usize {
        self.open.iter().map(|open| open.replies.len() + open.documents.bytes()).sum()
    }

    /// Bytes of all that is kept.
    pub(crate) fn bytes(&self) -> usize {
        let replies: usize = self.open.iter().map(|open| open.replies.capacity()).sum();
        replies + self.begun.as_ref().map_or(0, |begun| begun.batch.bytes())
    }

    /// Adds what was written to `output` from `start` on, a reply or nothing, to those of the batch.
    pub(super) fn collect(
        &mut self,
        serial: u64,
        (output, documents): (&mut Vec<u8>, &mut Documents),
        start: usize,
    ) {
        let documents = documents.split_off(start);
        let open = self.open.iter_mut().find(|open| open.serial == serial);
        if start == 0 && output.capacity() > FREE_BYTES {
            // It is kept as it is, or freed: no memory is needed twice, or for what is lost.
            let reply = std::mem::take(output);
            if let Some(open) = open {
                open.add_large(reply, documents);
            }
        } else {
            if let (Some(open), Some(reply)) = (open, output.get(start..)) {
                open.add(reply, documents);
            }
            output.truncate(start);
        }
    }

    /// Every request of the batch has been handled: writes the replies, unless all were notifications.
    pub(super) fn end(&mut self, serial: u64, (output, documents): (&mut Vec<u8>, &mut Documents)) {
        let Some(at) = self.open.iter().position(|open| open.serial == serial) else { return };
        let Open { replies, documents: own, .. } = self.open.swap_remove(at);
        if !replies.is_empty() {
            output.push(b'[');
            documents.append(output.len(), own);
            output.extend_from_slice(&replies);
            output.extend_from_slice(b"]\n");
        }
    }

    /// Writes the replies of all that are open; their calls have ended.
    pub(super) fn end_all(&mut self, (output, documents): (&mut Vec<u8>, &mut Documents)) {
        self.begun = None;
        while let Some(open) = self.open.last() {
            self.end(open.serial, (output, documents));
        }
    }
}
