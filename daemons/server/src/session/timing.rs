//! What a session does when time passes: unfinished requests, idleness, memory that is given back.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use rpc_wire::fault::{Code, Fault};

use super::{InputState, Phase, Session};
use crate::places::connections::Slot;

/// A connection that is quiet for this long frees its large buffers; not earlier, since one large
/// message is often followed by another.
const QUIET: Duration = Duration::from_secs(1);
/// How often a connection that is not read for lack of memory looks whether there is some.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);

/// Timers of a session, besides idleness and the drain.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// When the unfinished request started.
    pub(super) incomplete_since: Option<Instant>,
    /// Another connection may take the place of this one.
    pub(super) gives_way: bool,
    /// Large buffers are freed once the connection is quiet.
    pub(super) watches_buffers: bool,
    /// Streams end when their reader may no longer have them.
    pub(super) watches_streams: bool,
    /// When calls in flight are given up.
    pub(super) abandons_at: Option<Instant>,
    /// The timer must be set again before the next wait.
    pub(super) is_stale: bool,
}

impl Session {
    pub(super) fn check_time(&mut self, now: Instant) {
        if self.is_guarded {
            self.check_visitor(now);
        }
        if self.timers.abandons_at.is_some_and(|at| now >= at) {
            self.timers.abandons_at = None;
            self.dispatcher.abandon_all("its connection was closed before the call ended");
        }
        if self.timers.watches_buffers && now >= self.last_activity + QUIET {
            self.shrink_buffers();
            self.timers.watches_buffers = self.has_large_buffers();
        }
        if self.waits_for_memory() {
            self.state.buffers.make_room(now);
        } else if self.timers.incomplete_since.is_some() && !self.wants_input() {
            // The rest may have arrived: it is this side that does not read.
            self.timers.incomplete_since = Some(now);
        }
        let is_late = |since| now >= since + self.state.limits.request_timeout;
        if self.timers.incomplete_since.is_some_and(is_late)
            && !matches!(self.input_state, InputState::Refused { .. })
        {
            self.close_with(self.incomplete());
            self.input = BytesMut::new();
            self.input_bytes = 0;
        } else if self
            .idle_since()
            .is_some_and(|since| now >= since + self.state.limits.idle_timeout)
        {
            self.input_state = InputState::Gone;
        }
    }

    /// Why the rest of a request is waited for no longer.
    fn incomplete(&self) -> Fault {
        let limits = &self.state.limits;
        if self.waits_for_memory() {
            let text = format!(
                "busy: limit of {} bytes kept for all connections (max_buffered_bytes); call another \
                 instance",
                limits.max_buffered_bytes
            );
            return Fault::new(Code::Overloaded, text);
        }
        let text = format!(
            "request is not JSON: it was incomplete after {} s",
            limits.request_timeout.as_secs_f32()
        );
        Fault::new(Code::NotJson, text)
    }

    /// Since when no request came, or the peer has taken none of its output, whatever it waits for.
    fn idle_since(&self) -> Option<Instant> {
        self.stalled_since.or(self.is_quiet().then_some(self.last_activity))
    }

    /// A connection that has waited for a request for a while gives way to others.
    pub(super) fn give_way(&mut self, slot: &mut Slot) {
        let patience = Slot::patience(&self.state.limits);
        if !self.timers.gives_way
            && self.is_quiet()
            && self.unwritten() == 0
            && self.last_activity.elapsed() >= patience
        {
            slot.give_way(self.last_activity);
            self.timers.gives_way = true;
        }
    }

    /// Whether nothing is in flight, and no request has begun.
    fn is_quiet(&self) -> bool {
        self.dispatcher.is_idle() && !self.framer.is_inside()
    }

    /// When the next timer is due.
    pub(super) fn next_check(&self) -> Instant {
        let since = self.idle_since().unwrap_or(self.last_activity);
        let mut next = since + self.state.limits.idle_timeout;
        if next <= Instant::now() {
            next = Instant::now() + self.state.limits.idle_timeout;
        }
        if !self.timers.gives_way {
            let patience = Slot::patience(&self.state.limits);
            next = next.min((self.last_activity + patience).max(Instant::now() + patience / 10));
        }
        if self.timers.watches_buffers {
            next = next.min((self.last_activity + QUIET).max(Instant::now() + QUIET / 10));
        }
        if let Some(since) = self.timers.incomplete_since {
            next = next.min(since + self.state.limits.request_timeout);
        }
        if let Some(at) = self.timers.abandons_at {
            next = next.min(at);
        }
        if self.waits_for_memory() {
            next = next.min(Instant::now() + MEMORY_INTERVAL);
        }
        if let Some(look) = self.next_look(Instant::now()) {
            next = next.min(look);
        }
        if let Phase::Draining { until, .. } = self.phase
            && until > Instant::now()
        {
            next = next.min(until);
        }
        next
    }

    /// Starts or stops the timeout of an incomplete request.
    pub(super) fn watch_incomplete(&mut self) {
        if !self.framer.is_inside() {
            self.timers.incomplete_since = None;
        } else if self.timers.incomplete_since.is_none() {
            self.timers.incomplete_since = Some(Instant::now());
            self.timers.is_stale = true;
        }
    }
}
