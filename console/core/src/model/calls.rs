//! The calls sent from this console: the history, and the response on screen.

mod attempt;
mod filtered;
mod items;
mod latency;
mod outcome;
mod past;
mod request;
mod summary;
mod wire;

pub use attempt::{Attempt, AttemptEnd};
pub use filtered::Filtered;
pub use items::{Items, MAX_ITEM_BYTES, MAX_ITEMS};
pub use latency::Quantiles;
pub use outcome::{Failure, Outcome, Phases};
pub use past::{PastCall, PastOutcome};

pub use request::CallRequest;
pub use wire::{MAX_MESSAGE_BYTES, Wire, WireMessage};

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;
use tui_input::Input;

use super::diff::Diff;
use super::json::{Document, Folding, Matches};

/// Default number of calls in the history.
pub const DEFAULT_CALLS: usize = 1_000;
/// Maximum bytes of results in the history; the oldest calls are dropped.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Identifies a call.
pub type CallId = u64;

/// A tab of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    /// The result.
    #[default]
    Body,
    /// The request and the reply on the wire.
    Wire,
    /// The time of each phase.
    Timing,
    /// Differences from the previous result of this method.
    Diff,
}

impl Tab {
    /// Every tab, from left to right.
    pub const ALL: [Self; 4] = [Self::Body, Self::Wire, Self::Timing, Self::Diff];

    /// The label.
    pub fn title(self) -> &'static str {
        match self {
            Self::Body => "Body",
            Self::Wire => "Wire",
            Self::Timing => "Timing",
            Self::Diff => "Diff",
        }
    }
}

/// A call of the history.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: CallRequest,
    /// When it started.
    pub started: Instant,
    /// When it started, for display: milliseconds in local time.
    pub wall_ms: u64,
    /// The outcome, once it ended.
    pub outcome: Option<Outcome>,
    /// The outcome of a call of an earlier session; its result is not stored.
    pub past: Option<PastOutcome>,
    /// The items of a stream so far.
    pub items: Items,
    /// What was sent and received so far.
    pub wire: Wire,
    /// The selected tab of the response.
    pub tab: Tab,
    /// The first visible row of an error.
    pub failure_top: usize,
    /// The part of the result that a JSONPath selects.
    pub filtered: Option<Filtered>,
    /// Folded lines and the cursor of the result, or of the selected part.
    pub folding: Folding,
    /// Bytes received so far of a large reply.
    pub received_bytes: Option<usize>,
    /// Size of a received reply that is being parsed.
    pub parsing_bytes: Option<usize>,
    /// Differences from the previous result, once requested.
    pub diff: Option<Diff>,
    /// The first visible row of the differences.
    pub diff_top: usize,
    /// The first visible row of the times and attempts.
    pub timing_top: usize,
}

impl Call {
    /// The result, if it succeeded.
    pub fn document(&self) -> Option<&Arc<Document>> {
        self.outcome.as_ref()?.result.as_ref().ok()
    }

    /// Whether it ended with an error.
    pub fn has_failed(&self) -> bool {
        let past = self.past.as_ref().is_some_and(|past| past.failure.is_some());
        past || self.outcome.as_ref().is_some_and(|outcome| outcome.result.is_err())
    }

    /// Whether its body is the items of a stream: not an error without any.
    pub fn shows_items(&self) -> bool {
        self.request.stream && (!self.has_failed() || !self.items.is_empty())
    }

    /// The instance it was sent to, if it was only one.
    pub fn target(&self) -> Option<&InstanceKey> {
        match &self.request.candidates[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// How long it took, once it ended.
    pub fn took(&self) -> Option<Duration> {
        let past = self.past.as_ref().map(|past| past.elapsed);
        self.outcome.as_ref().map(|outcome| outcome.elapsed).or(past)
    }

    /// The address of the instance that replied.
    pub fn peer(&self) -> Option<&str> {
        let past = self.past.as_ref().and_then(|past| past.peer.as_deref());
        self.outcome.as_ref().and_then(|outcome| outcome.peer.as_deref()).or(past)
    }

    /// Whether it took more than one attempt; not known of earlier sessions.
    pub fn was_retried(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.attempts.len() > 1)
    }

    /// Whether it is in flight.
    pub fn is_running(&self) -> bool {
        self.outcome.is_none() && self.past.is_none()
    }

    fn body_bytes(&self) -> usize {
        self.document().map_or(0, |document| document.text().len()) + self.wire.bytes()
    }
}

/// The calls, oldest first.
#[derive(Debug)]
pub struct Calls {
    list: VecDeque<Call>,
    /// Maximum number of calls kept; the oldest are dropped.
    pub limit: usize,
    next: CallId,
    body_bytes: usize,
    /// The call whose response is on screen.
    pub shown: Option<CallId>,
    /// The selected call of the history.
    pub selected: Option<CallId>,
    /// The filter of the history.
    pub filter: Input,
    /// The first visible row of the history.
    pub top: usize,
    /// The text searched in the response.
    pub search: Input,
    /// The JSONPath that filters the response.
    pub path: Input,
    /// Whether the JSONPath is the one of both that is typed.
    pub is_typing_path: bool,
    /// Whether long lines of a result are wrapped.
    pub wrap: bool,
    /// The matches of that search.
    pub found: Option<Found>,
}

/// The matches of a search in a result.
#[derive(Debug)]
pub struct Found {
    /// The call.
    pub id: CallId,
    /// The text searched for.
    pub needle: String,
    /// The matching lines; `None` while a large result is being searched.
    pub matches: Option<Matches>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            list: VecDeque::new(),
            limit: DEFAULT_CALLS,
            next: 0,
            body_bytes: 0,
            shown: None,
            selected: None,
            filter: Input::default(),
            top: 0,
            search: Input::default(),
            path: Input::default(),
            is_typing_path: false,
            wrap: false,
            found: None,
        }
    }
}

impl Calls {
    /// The id of the next call.
    pub fn next_id(&mut self) -> CallId {
        self.next += 1;
        self.next
    }

    /// Adds a started call and shows its response. Search and filter were meant for the last one.
    pub fn start(&mut self, request: CallRequest, started: Instant, wall_ms: u64) {
        self.search.reset();
        self.path.reset();
        self.shown = Some(request.id);
        self.list.push_back(Call {
            request,
            started,
            wall_ms,
            outcome: None,
            past: None,
            items: Items::default(),
            wire: Wire::default(),
            tab: Tab::default(),
            failure_top: 0,
            filtered: None,
            folding: Folding::default(),
            received_bytes: None,
            parsing_bytes: None,
            diff: None,
            diff_top: 0,
            timing_top: 0,
        });
        self.trim();
    }

    /// Adds calls of earlier sessions, oldest first, before all others, as far as the limit allows.
    /// `shift_ms` makes their time local.
    pub fn restore(&mut self, past: Vec<PastCall>, now: Instant, shift_ms: i64) {
        let room = self.limit.max(1).saturating_sub(self.list.len());
        for past in past.into_iter().rev().take(room) {
            let id = self.next_id();
            self.list.push_front(past.into_call(id, now, shift_ms));
        }
    }

    /// Sets the outcome of a call; does nothing if the call was dropped or has one.
    pub fn finish(&mut self, id: CallId, outcome: Outcome) {
        let Some(call) = self.get_mut(id) else { return };
        if !call.is_running() {
            return;
        }
        let before = call.body_bytes();
        call.outcome = Some(outcome);
        let added = call.body_bytes() - before;
        self.body_bytes += added;
        self.trim();
    }

    /// Adds what a call sent and received since the last time, also after its end: the cancellation of
    /// a call is sent after it.
    pub fn push_wire(&mut self, id: CallId, messages: Vec<WireMessage>) {
        let Some(call) = self.get_mut(id) else { return };
        let before = call.wire.bytes();
        messages.into_iter().for_each(|message| call.wire.push(message));
        let after = call.wire.bytes();
        self.body_bytes = (self.body_bytes + after).saturating_sub(before);
        self.trim();
    }

    /// Adds an item of a stream.
    pub fn push_item(&mut self, id: CallId, item: String, dropped: u64) {
        if let Some(call) = self.get_mut(id) {
            call.items.push(item, dropped);
        }
    }

    fn trim(&mut self) {
        while self.list.len() > self.limit.max(1)
            || self.body_bytes > MAX_BODY_BYTES && self.list.len() > 1
        {
            let Some(gone) = self.list.pop_front() else { return };
            self.body_bytes = self.body_bytes.saturating_sub(gone.body_bytes());
            for id in [&mut self.shown, &mut self.selected] {
                if *id == Some(gone.request.id) {
                    *id = None;
                }
            }
        }
    }

    /// The call with this id.
    pub fn get(&self, id: CallId) -> Option<&Call> {
        self.list.iter().rev().find(|call| call.request.id == id)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.list.iter_mut().rev().find(|call| call.request.id == id)
    }

    /// The call whose response is on screen.
    pub fn shown_call(&self) -> Option<&Call> {
        self.get(self.shown?)
    }

    /// The same, mutable.
    pub fn shown_call_mut(&mut self) -> Option<&mut Call> {
        self.get_mut(self.shown?)
    }

    /// The call on screen, if it is in flight.
    pub fn running(&self) -> Option<&Call> {
        self.shown_call().filter(|call| call.is_running())
    }

    /// The previous call of the same method that has a result.
    pub fn previous_result(&self, id: CallId) -> Option<&Call> {
        let method = &self.get(id)?.request.method;
        self.list.iter().rev().find(|call| {
            call.request.id < id && call.request.method == *method && call.document().is_some()
        })
    }

    /// The matches of the search in the result on screen.
    pub fn matches(&self) -> Option<&Matches> {
        let found = self.found.as_ref().filter(|found| Some(found.id) == self.shown)?;
        found.matches.as_ref()
    }

    /// Number of calls.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no calls.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The calls that match the filter, newest first.
    pub fn visible(&self) -> Vec<&Call> {
        let filter = self.filter.value().trim().to_lowercase();
        let passes = |call: &&Call| {
            filter.is_empty()
                || call.request.method.to_lowercase().contains(&filter)
                || call.arguments().to_lowercase().contains(&filter)
                || call.summary().0.to_lowercase().contains(&filter)
        };
        self.list.iter().rev().filter(passes).collect()
    }

    /// Shows the call before (`-1`) or after (`1`) the one on screen.
    pub fn step_shown(&mut self, by: isize) -> bool {
        let at = self.list.iter().position(|call| Some(call.request.id) == self.shown);
        let to = match at {
            Some(at) => at.checked_add_signed(by).filter(|to| *to < self.list.len()),
            None => self.list.len().checked_sub(1),
        };
        let found = to.and_then(|to| self.list.get(to)).map(|call| call.request.id);
        self.shown = found.or(self.shown);
        found.is_some()
    }
}

#[cfg(test)]
mod tests;
