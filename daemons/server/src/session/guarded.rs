//! A session where not everyone may do everything: its peer is watched, and small while it is a stranger.

use std::time::{Duration, Instant};

use rpc_wire::fault::{Code, Fault};

use super::{InputState, Session};
use crate::places::connections::Slot;

/// How long calls in flight may go on whose peer has lost the right to its connection.
const GRACE: Duration = Duration::from_secs(1);
/// How often streams are looked at whose readers could lose the right to them. Tokens are read again every
/// second: what is taken away is so within two.
const STREAM_INTERVAL: Duration = Duration::from_millis(500);

impl Session {
    /// To be called after messages were handled.
    pub(super) fn watch(&mut self, slot: &mut Slot) {
        if self.is_stranger {
            self.watch_stranger(slot);
        }
        if !self.timers.watches_streams && self.dispatcher.has_guarded_streams() {
            (self.timers.watches_streams, self.timers.is_stale) = (true, true);
        }
    }

    fn watch_stranger(&mut self, slot: &mut Slot) {
        if !self.dispatcher.serves_stranger() {
            self.is_stranger = false;
            self.timers.is_stale = true;
            slot.become_known();
            return;
        }
        let most = self.state.limits.max_unidentified_bytes;
        if self.input.len() > most && self.input_state == InputState::Open {
            let text = format!(
                "request is larger than {most} bytes, and nobody is known to have sent it; send rpc.whoami \
                 with a token before it"
            );
            self.close_with(Fault::new(Code::TooLarge, text));
        }
    }

    /// The peer's certificate is refused from now on: nothing more is read, streams end, calls in flight have a
    /// little time, and the last message says why.
    pub(super) fn expel(&mut self, why: &str) {
        let text = format!(
            "this client's certificate is refused from now on: {why}; connect again with one that is good"
        );
        let fault = Fault::new(Code::Unauthorised, text);
        self.dispatcher.stop_streams(&fault);
        self.close_with(fault);
        self.timers.abandons_at = Some(Instant::now() + GRACE);
        self.timers.is_stale = true;
    }

    /// What is due for the peer at this time.
    pub(super) fn check_visitor(&mut self, now: Instant) {
        if self.timers.watches_streams {
            self.dispatcher.recheck_streams();
            self.timers.watches_streams = self.dispatcher.has_guarded_streams();
        }
        let patience = self.state.limits.unidentified_timeout;
        let is_due = |patience| self.is_stranger && now >= self.opened + patience;
        if is_due(patience) && self.dispatcher.is_idle() || is_due(2 * patience) {
            self.input_state = InputState::Gone;
        }
    }

    /// When that is due next.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let streams = self.timers.watches_streams.then(|| now + STREAM_INTERVAL);
        let patience = self.state.limits.unidentified_timeout;
        let stranger = self.is_stranger.then(|| {
            let due = self.opened + patience;
            if due > now { due } else { now + patience }
        });
        streams.into_iter().chain(stranger).min()
    }
}
