//! Calls in flight on one connection, by id, and what becomes of each.

use std::collections::HashMap;
use std::sync::Arc;

use rpc_wire::fault::Fault;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::inbox::Frame;
use crate::CallError;
use crate::deadline::Failed;
use crate::item::{StreamEvent, StreamItem};
use crate::request::{Answer, Outgoing};

/// A call on its way to the socket.
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) id: u64,
    pub(super) request: Arc<Outgoing>,
    pub(super) deadline: Option<Instant>,
    pub(super) reply: ReplyTo,
}

impl Job {
    /// When its time is up, see [`ReplyTo::due`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.reply.due(self.deadline)
    }
}

/// Where a call's answer goes.
#[derive(Debug)]
pub(super) enum ReplyTo {
    Call(oneshot::Sender<Finished>),
    Stream(mpsc::Sender<StreamEvent>),
}

/// How a call ended.
pub(super) type Finished = Result<Answer, Failed>;

impl ReplyTo {
    /// Whether the caller is gone.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Call(reply) => reply.is_closed(),
            Self::Stream(events) => events.is_closed(),
        }
    }

    /// The deadline that is kept here: a stream's reader keeps its own.
    fn due(&self, deadline: Option<Instant>) -> Option<Instant> {
        deadline.filter(|_| matches!(self, Self::Call(_)))
    }

    /// Its deadline passed. A stream's reader knows by itself.
    pub(super) fn expire(self) {
        if let Self::Call(reply) = self {
            drop(reply.send(Err(Failed::Expired)));
        }
    }

    pub(super) fn fail(self, error: CallError) {
        // A caller that is gone needs no answer; a stream that is full sees its end instead.
        match self {
            Self::Call(reply) => drop(reply.send(Err(Failed::Error(error)))),
            Self::Stream(events) => drop(events.try_send(StreamEvent::Failed(error))),
        }
    }
}

/// Calls whose bytes are written, or about to be.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The ids are ours: nobody can choose them to collide.
    calls: HashMap<u64, Waiting, foldhash::fast::FixedState>,
}

#[derive(Debug)]
struct Waiting {
    reply: ReplyTo,
    sent: Vec<u8>,
    sent_at: Instant,
    deadline: Option<Instant>,
    /// Bytes that went to the connection before this call's first.
    starts_at: u64,
}

impl Waiting {
    fn due(&self) -> Option<Instant> {
        self.reply.due(self.deadline)
    }
}

/// An event that must wait for its reader to make room.
pub(super) type Undelivered = (mpsc::Sender<StreamEvent>, StreamEvent);

/// What became of a message that was routed to its call.
pub(super) enum Delivery {
    Delivered,
    /// Nobody waits for it.
    NoReader,
    /// Its stream has no room for it.
    Full(Undelivered),
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// A call was written: with these bytes, if they are to be told, after `starts_at` others.
    pub(super) fn insert(&mut self, job: Job, sent: Vec<u8>, sent_at: Instant, starts_at: u64) {
        let Job { id, reply, deadline, .. } = job;
        self.calls.insert(id, Waiting { reply, sent, sent_at, deadline, starts_at });
    }

    /// Ends the calls whose time is up, and answers their ids.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<u64> {
        let over = self.calls.extract_if(|_, waiting| waiting.due().is_some_and(|at| at <= now));
        over.map(|(id, waiting)| {
            waiting.reply.expire();
            id
        })
        .collect()
    }

    /// When the next call's time is up.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.calls.values().filter_map(Waiting::due).min()
    }

    /// Forgets a call; `true` if it was in flight.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        self.calls.remove(&id).is_some()
    }

    /// Ends a call whose caller has read the answer itself; `None` if there is no such call.
    pub(super) fn take(
        &mut self,
        id: u64,
        outcome: Result<&RawValue, Fault>,
        frame: &Frame,
    ) -> Option<(Finished, ReplyTo)> {
        let waiting = self.calls.remove(&id)?;
        Some((answer(waiting.sent, waiting.sent_at, outcome, frame), waiting.reply))
    }

    /// Ends a call.
    pub(super) fn finish(
        &mut self,
        id: u64,
        outcome: Result<&RawValue, Fault>,
        frame: &Frame,
    ) -> Delivery {
        let Some(waiting) = self.calls.remove(&id) else { return Delivery::NoReader };
        match waiting.reply {
            ReplyTo::Call(reply) => {
                let finished = answer(waiting.sent, waiting.sent_at, outcome, frame);
                match reply.send(finished) {
                    Ok(()) => Delivery::Delivered,
                    Err(_) => Delivery::NoReader,
                }
            }
            ReplyTo::Stream(events) => send(
                &events,
                match outcome {
                    // A plain result is a stream of one item.
                    Ok(value) => StreamEvent::End(Some(StreamItem::new(value, 0))),
                    Err(fault) => StreamEvent::Failed(CallError::Remote(fault)),
                },
            ),
        }
    }

    /// Hands an item to its stream.
    pub(super) fn item(&mut self, id: u64, item: StreamItem) -> Delivery {
        match self.calls.get(&id) {
            Some(Waiting { reply: ReplyTo::Stream(events), .. }) => {
                send(events, StreamEvent::Item(item))
            }
            _ => Delivery::NoReader,
        }
    }

    /// Ends a stream.
    pub(super) fn end(&mut self, id: u64) -> Delivery {
        match self.calls.remove(&id) {
            Some(Waiting { reply: ReplyTo::Stream(events), .. }) => {
                send(&events, StreamEvent::End(None))
            }
            Some(Waiting { reply, .. }) => {
                reply.fail(CallError::Remote(Fault::method_failed(
                    "it answered a stream, not a result",
                )));
                Delivery::Delivered
            }
            None => Delivery::NoReader,
        }
    }

    /// Fails every call: `error` is told whether a byte of the call was written.
    pub(super) fn fail_all(&mut self, written: u64, error: impl Fn(bool) -> CallError) {
        for (_, waiting) in self.calls.drain() {
            let error = error(waiting.starts_at < written);
            waiting.reply.fail(error);
        }
    }
}

fn answer(
    sent: Vec<u8>,
    sent_at: Instant,
    outcome: Result<&RawValue, Fault>,
    frame: &Frame,
) -> Finished {
    match outcome {
        Ok(value) => Ok(Answer {
            value: value.to_owned(),
            sent,
            sent_at,
            first_byte: frame.began,
            done: frame.done,
            reply_bytes: frame.len(),
        }),
        Err(fault) => Err(Failed::Error(CallError::Remote(fault))),
    }
}

/// What finds no room is given back, and nothing more is to be read before it is delivered: that
/// is how a slow reader slows its server.
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

    fn job(id: u64, reply: ReplyTo, deadline: Instant) -> Job {
        let request = Arc::new(Outgoing::new("m".to_owned(), Args::none()));
        Job { id, request, deadline: Some(deadline), reply }
    }

    #[test]
    fn a_streams_deadline_is_its_readers_and_wakes_nobody_here() {
        let now = Instant::now();
        let (call, mut answer) = oneshot::channel();
        let (stream, mut events) = mpsc::channel(1);
        let mut pending = Pending::default();
        pending.insert(job(1, ReplyTo::Stream(stream), now), Vec::new(), now, 0);
        assert_eq!(pending.next_due(), None);
        let later = now + Duration::from_secs(1);
        pending.insert(job(2, ReplyTo::Call(call), later), Vec::new(), now, 0);
        assert_eq!(pending.next_due(), Some(later));
        assert!(pending.expire(now).is_empty());
        assert_eq!(pending.expire(later), [2]);
        assert!(matches!(answer.try_recv(), Ok(Err(Failed::Expired))));
        assert!(events.try_recv().is_err() && pending.len() == 1, "the stream goes on");
    }
}
