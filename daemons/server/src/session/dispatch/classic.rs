//! Classic calls, which wait for one another: an older client takes the replies in the order of its calls.

use std::time::Instant;

use rpc_host::shares::Place;
use rpc_wire::call::{Call, Message, ReplyTo, reply};
use rpc_wire::fault::Fault;

use super::Dispatcher;

/// A classic message that waits for the one before it.
pub(super) enum Waiting {
    Call { frame: Box<[u8]>, received: Instant, place: Place },
    Refused(Fault),
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Call { frame, .. } => frame.len(),
            Self::Refused(_) => 0,
        }
    }
}

impl Dispatcher {
    pub(super) fn classic_must_wait(&self) -> bool {
        self.classic_is_running || !self.classic_waiting.is_empty()
    }

    /// Keeps a call until those before it have their replies.
    pub(super) fn let_classic_wait(&mut self, call: &Call<'_>, frame: &[u8], received: Instant) {
        let waiting = match self.places().call() {
            Ok(place) => Waiting::Call { frame: frame.into(), received, place },
            Err(fault) => {
                self.count_refused(call, &fault, received);
                Waiting::Refused(fault)
            }
        };
        self.waiting_bytes += waiting.bytes();
        self.classic_waiting.push_back(waiting);
    }

    /// Runs waiting classic calls until one of them is in flight.
    pub(super) fn next_classic(&mut self) {
        let state = self.state.clone();
        while !self.classic_is_running
            && let Some(waiting) = self.classic_waiting.pop_front()
        {
            self.waiting_bytes -= waiting.bytes();
            match waiting {
                Waiting::Refused(fault) => reply::fault(&mut self.output, ReplyTo::Classic, &fault),
                Waiting::Call { frame, received, place } => {
                    // It was parsed once already, so it parses again.
                    if let Ok(Message::Call(call)) = Message::parse(&frame) {
                        self.place = Some(place);
                        self.begin(&state, &call, received);
                        self.place = None;
                    }
                }
            }
        }
    }
}
