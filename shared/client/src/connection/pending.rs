//! Calls in flight on one connection, by id, and how each ends.

use std::collections::HashMap;
use std::sync::Arc;

use rpc_wire::fault::{Code, Fault};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::inbox::Frame;
use crate::deadline::Failed;
use crate::item::{StreamEvent, StreamItem};
use crate::request::{CallReply, Outgoing};
use crate::{CallError, WireLog};

/// A call that is not written yet.
#[derive(Debug)]
pub(crate) struct QueuedCall {
    pub(super) id: u64,
    pub(super) request: Arc<Outgoing>,
    pub(super) deadline: Option<Instant>,
    pub(super) reply: ReplyTo,
}

impl QueuedCall {
    /// When the driver has to end it, see [`ReplyTo::due`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.reply.due(self.deadline)
    }
}

/// Where a call's reply goes.
#[derive(Debug)]
pub(super) enum ReplyTo {
    Call(oneshot::Sender<Finished>),
    Stream(mpsc::Sender<StreamEvent>),
}

/// How a call ended.
pub(super) type Finished = Result<CallReply, Failed>;

impl ReplyTo {
    /// Whether the caller is gone.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Call(reply) => reply.is_closed(),
            Self::Stream(events) => events.is_closed(),
        }
    }

    /// The deadline, if it is the driver's to watch: a stream's reader watches its own.
    fn due(&self, deadline: Option<Instant>) -> Option<Instant> {
        deadline.filter(|_| matches!(self, Self::Call(_)))
    }

    /// Ends it because its deadline passed. A stream's reader watches its own deadline.
    pub(super) fn expire(self) {
        if let Self::Call(reply) = self {
            drop(reply.send(Err(Failed::Expired)));
        }
    }

    pub(super) fn fail(self, error: CallError) {
        // A caller that is gone needs no error; a stream that is full sees its channel closed instead.
        match self {
            Self::Call(reply) => drop(reply.send(Err(Failed::Error(error)))),
            Self::Stream(events) => drop(events.try_send(StreamEvent::Failed(error))),
        }
    }
}

/// Calls whose bytes are written, or in the outbox.
#[derive(Debug)]
pub(super) struct Pending {
    peer: Arc<str>,
    /// The client's token was not sent: a refusal is for want of it.
    withholds_token: bool,
    /// A fast hash is enough: the ids are our own, so that no peer can choose colliding ones.
    calls: HashMap<u64, Waiting, foldhash::fast::FixedState>,
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Waiting {
    reply: ReplyTo,
    pub(super) wire: Option<WireLog>,
    sent_at: Instant,
    deadline: Option<Instant>,
    /// Bytes appended to the outbox before this call's first.
    starts_at: u64,
}

impl Waiting {
    fn due(&self) -> Option<Instant> {
        self.reply.due(self.deadline)
    }

    /// Ends it because its deadline passed.
    pub(super) fn expire(self) {
        self.reply.expire();
    }

    fn received(&self, message: &[u8]) {
        if let Some(wire) = &self.wire {
            wire.received(message);
        }
    }
}

/// An event that waits for room in its reader's channel.
pub(super) type Undelivered = (mpsc::Sender<StreamEvent>, StreamEvent);

/// What became of a message for a call.
pub(super) enum Delivery {
    Delivered,
    /// No call waits for it: it is late, cancelled or was never sent for.
    NoReader,
    /// Its reader's channel is full.
    Full(Undelivered),
}

impl Pending {
    pub(super) fn new(peer: Arc<str>, withholds_token: bool) -> Self {
        Self { peer, withholds_token, calls: HashMap::default() }
    }

    pub(super) fn peer(&self) -> &Arc<str> {
        &self.peer
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Adds a call whose first byte is number `starts_at` of the connection.
    pub(super) fn insert(&mut self, call: QueuedCall, sent_at: Instant, starts_at: u64) {
        let QueuedCall { id, request, reply, deadline } = call;
        let wire = request.wire.clone();
        self.calls.insert(id, Waiting { reply, wire, sent_at, deadline, starts_at });
    }

    /// Removes the calls whose deadlines have passed, for the caller to end.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<(u64, Waiting)> {
        let is_over = |waiting: &Waiting| waiting.due().is_some_and(|at| at <= now);
        self.calls.extract_if(|_, waiting| is_over(waiting)).collect()
    }

    /// The earliest deadline.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.calls.values().filter_map(Waiting::due).min()
    }

    /// The number of the first byte of the oldest call in flight.
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.calls.values().map(|waiting| waiting.starts_at).min()
    }

    /// Removes a call; `None` if it is not in flight.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waiting> {
        self.calls.remove(&id)
    }

    /// Records bytes that are no reply, or the start of one: they may be meant for any call in flight.
    pub(super) fn note_unmatched(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.calls.values().for_each(|waiting| waiting.received(bytes));
        }
    }

    /// Ends a call whose caller has read the reply inline; `None` if it is not in flight.
    pub(super) fn take(
        &mut self,
        id: u64,
        outcome: Result<&RawValue, Fault>,
        frame: &Frame,
        bytes: &[u8],
    ) -> Option<(Finished, ReplyTo)> {
        let waiting = self.calls.remove(&id)?;
        waiting.received(bytes);
        let end = self.finished(waiting.sent_at, outcome, frame);
        Some((end, waiting.reply))
    }

    /// Ends a call with its reply.
    pub(super) fn finish(
        &mut self,
        id: u64,
        outcome: Result<&RawValue, Fault>,
        frame: &Frame,
        bytes: &[u8],
    ) -> Delivery {
        let Some(waiting) = self.calls.remove(&id) else { return Delivery::NoReader };
        waiting.received(bytes);
        match waiting.reply {
            ReplyTo::Call(reply) => {
                let end = self.finished(waiting.sent_at, outcome, frame);
                match reply.send(end) {
                    Ok(()) => Delivery::Delivered,
                    Err(_) => Delivery::NoReader,
                }
            }
            ReplyTo::Stream(events) => send(
                &events,
                match outcome {
                    // A plain result is a stream of one item.
                    Ok(value) => StreamEvent::End(Some(StreamItem::new(value, 0))),
                    Err(fault) => StreamEvent::Failed(self.remote(fault)),
                },
            ),
        }
    }

    /// Sends an item to its stream's reader.
    pub(super) fn item(&mut self, id: u64, item: StreamItem, bytes: &[u8]) -> Delivery {
        match self.calls.get(&id) {
            Some(waiting @ Waiting { reply: ReplyTo::Stream(events), .. }) => {
                waiting.received(bytes);
                send(events, StreamEvent::Item(item))
            }
            _ => Delivery::NoReader,
        }
    }

    /// Ends a stream.
    pub(super) fn end(&mut self, id: u64, bytes: &[u8]) -> Delivery {
        let ended = self.calls.remove(&id).inspect(|waiting| waiting.received(bytes));
        match ended {
            Some(Waiting { reply: ReplyTo::Stream(events), .. }) => {
                send(&events, StreamEvent::End(None))
            }
            Some(Waiting { reply, .. }) => {
                let fault =
                    Fault::method_failed("the method returned a stream instead of a result");
                reply.fail(self.remote(fault));
                Delivery::Delivered
            }
            None => Delivery::NoReader,
        }
    }

    /// Ends a call whose reply says nothing. What a stream's server says beside items may be of a later version.
    pub(super) fn fail_empty(&mut self, id: u64, bytes: &[u8]) -> Delivery {
        if !matches!(self.calls.get(&id), Some(Waiting { reply: ReplyTo::Call(_), .. })) {
            return Delivery::NoReader;
        }
        let Some(waiting) = self.calls.remove(&id) else { return Delivery::NoReader };
        waiting.received(bytes);
        waiting
            .reply
            .fail(CallError::bad_reply(&self.peer, "it has neither a result nor an error"));
        Delivery::Delivered
    }

    /// Fails every call; `error` gets whether a byte of the call was written.
    pub(super) fn fail_all(&mut self, written: u64, error: impl Fn(bool) -> CallError) {
        for (_, waiting) in self.calls.drain() {
            let error = error(waiting.starts_at < written);
            waiting.reply.fail(error);
        }
    }

    fn finished(
        &self,
        sent_at: Instant,
        outcome: Result<&RawValue, Fault>,
        frame: &Frame,
    ) -> Finished {
        match outcome {
            Ok(value) => Ok(CallReply {
                value: value.to_owned(),
                sent_at,
                first_byte: frame.began,
                done: frame.done,
                reply_bytes: frame.len(),
            }),
            Err(fault) => Err(Failed::Error(self.remote(fault))),
        }
    }

    #[cold]
    fn remote(&self, fault: Fault) -> CallError {
        let peer = self.peer.to_string();
        if self.withholds_token && fault.code == Code::Unauthorised {
            return CallError::TokenWithheld { peer };
        }
        CallError::Remote { peer, fault: fault.into() }
    }
}

/// Sends an event to its reader. Nothing more is read from the socket before one that finds the channel
/// full is delivered: a slow reader puts back-pressure on its server.
fn send(events: &mpsc::Sender<StreamEvent>, event: StreamEvent) -> Delivery {
    match events.try_send(event) {
        Ok(()) => Delivery::Delivered,
        Err(mpsc::error::TrySendError::Full(event)) => Delivery::Full((events.clone(), event)),
        Err(mpsc::error::TrySendError::Closed(_)) => Delivery::NoReader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::call::Args;
    use std::time::Duration;

    fn queued(id: u64, reply: ReplyTo, deadline: Instant) -> QueuedCall {
        let request = Arc::new(Outgoing::new("m".to_owned(), Args::none(), None));
        QueuedCall { id, request, deadline: Some(deadline), reply }
    }

    #[test]
    fn a_streams_deadline_is_its_readers_and_does_not_wake_the_driver() {
        let now = Instant::now();
        let (call, mut reply) = oneshot::channel();
        let (stream, mut events) = mpsc::channel(1);
        let mut pending = Pending::new("p".into(), false);
        pending.insert(queued(1, ReplyTo::Stream(stream), now), now, 0);
        assert_eq!(pending.next_due(), None);
        let later = now + Duration::from_secs(1);
        pending.insert(queued(2, ReplyTo::Call(call), later), now, 0);
        assert_eq!(pending.next_due(), Some(later));
        assert!(pending.take_expired(now).is_empty());
        let expired = pending.take_expired(later);
        assert_eq!(expired.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2]);
        expired.into_iter().for_each(|(_, call)| call.expire());
        assert!(matches!(reply.try_recv(), Ok(Err(Failed::Expired))));
        assert!(events.try_recv().is_err() && pending.len() == 1, "the stream is still pending");
    }
}
