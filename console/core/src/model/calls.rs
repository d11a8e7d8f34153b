//! Calls made: under way, answered, failed; the history and the response on the screen.

mod items;
mod past;
mod request;

pub use items::{Items, MAX_ITEM_BYTES, MAX_ITEMS};
pub use past::{Ended, PastCall};

pub use request::CallRequest;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;
use tui_input::Input;

use super::diff::Diff;
use super::json::{Document, Folding, Matches};
use crate::text;

/// How many calls the history holds unless the settings say otherwise.
pub const DEFAULT_CALLS: usize = 1_000;
/// How many bytes of responses the history holds; the oldest calls go first.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How many of the last calls quantiles are taken from.
const QUANTILE_CALLS: usize = 200;
/// How much of a result its summary tells.
const SUMMARY_BYTES: usize = 1_000;

/// The number of a call, its identity.
pub type CallId = u64;

/// A tab of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    /// The result.
    #[default]
    Body,
    /// The bytes that went and came.
    Wire,
    /// Where the time went.
    Timing,
    /// What is different from the result before.
    Diff,
}

impl Tab {
    /// Every tab, from left to right.
    pub const ALL: [Self; 4] = [Self::Body, Self::Wire, Self::Timing, Self::Diff];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Body => "Body",
            Self::Wire => "Wire",
            Self::Timing => "Timing",
            Self::Diff => "Diff",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The result, laid out; or what went wrong.
    pub result: Result<Arc<Document>, Failure>,
    /// Who answered, `host:port`.
    pub peer: Option<String>,
    /// The request as it was sent.
    pub sent: String,
    /// How many bytes came back.
    pub reply_bytes: usize,
    /// Where the time went.
    pub timing: Option<Phases>,
    /// The whole time, as the caller felt it.
    pub elapsed: Duration,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether the peer spoke the classic dialect.
    pub classic: bool,
}

/// Where the time of a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Waiting for a free connection.
    pub queue: Duration,
    /// Connecting.
    pub connect: Duration,
    /// From the last byte sent to the first received.
    pub server: Duration,
    /// Receiving.
    pub transfer: Duration,
}

/// How long calls took: half of them less than the first, 99 of 100 less than the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "names of quantiles say all there is to say")]
pub struct Quantiles {
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A word or two: `remote error -32602`, `timeout`.
    pub kind: String,
    /// One line.
    pub text: String,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// What was asked.
    pub request: CallRequest,
    /// When it began.
    pub started: Instant,
    /// When it began, for people: local wall milliseconds.
    pub wall_ms: u64,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// How it ended, if that was before the console was started: without its result.
    pub past: Option<Ended>,
    /// Items of a stream so far.
    pub items: Items,
    /// The tab of the response.
    pub tab: Tab,
    /// What is folded of the response, and the cursor in it.
    pub folding: Folding,
    /// How much of a large answer has received_bytes while it is on its way.
    pub received_bytes: Option<usize>,
    /// How large the answer is, once it is here and being laid out.
    pub parsing_bytes: Option<usize>,
    /// What is different from the result before, once that was asked for.
    pub diff: Option<Diff>,
    /// First visible row of the differences.
    pub diff_top: usize,
}

impl Call {
    /// The arguments on one line, as the palette takes them.
    pub fn arguments(&self) -> String {
        let inner = |text: &str| text[1..text.len().saturating_sub(1)].to_owned();
        let positional = inner(self.request.args.positional());
        let keyword = inner(self.request.args.keyword());
        match (positional.is_empty(), keyword.is_empty()) {
            (_, true) => positional,
            (true, false) => format!("{{{keyword}}}"),
            (false, false) => format!("{positional} {{{keyword}}}"),
        }
    }

    /// The result, laid out, once there is one.
    pub fn document(&self) -> Option<&Arc<Document>> {
        self.outcome.as_ref()?.result.as_ref().ok()
    }

    /// A short word on how it went, and whether well.
    pub fn summary(&self) -> (String, Option<bool>) {
        if let Some(past) = &self.past {
            return match &past.failure {
                Some(failure) => (failure.text.clone(), Some(false)),
                None => ("result not stored".to_owned(), Some(true)),
            };
        }
        match &self.outcome {
            None => ("running".to_owned(), None),
            Some(Outcome { result: Ok(document), .. }) => {
                (text::prefix(document.text(), SUMMARY_BYTES).to_owned(), Some(true))
            }
            Some(Outcome { result: Err(failure), .. }) => (failure.text.clone(), Some(false)),
        }
    }

    /// The one instance it was for, if it was for one.
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

    /// Who answered, `host:port`.
    pub fn peer(&self) -> Option<&str> {
        let past = self.past.as_ref().and_then(|past| past.peer.as_deref());
        self.outcome.as_ref().and_then(|outcome| outcome.peer.as_deref()).or(past)
    }

    /// Whether it is under way.
    pub fn is_running(&self) -> bool {
        self.outcome.is_none() && self.past.is_none()
    }

    fn body_bytes(&self) -> usize {
        self.document().map_or(0, |document| document.text().len())
    }
}

/// Calls made, oldest first.
#[derive(Debug)]
pub struct Calls {
    list: VecDeque<Call>,
    /// How many calls are kept; the oldest go first.
    pub limit: usize,
    next: CallId,
    body_bytes: usize,
    /// The call whose response is on the screen.
    pub shown: Option<CallId>,
    /// The call selected in the history.
    pub selected: Option<CallId>,
    /// What calls must contain.
    pub filter: Input,
    /// First visible row of the history.
    pub top: usize,
    /// What is looked for in the response on the screen.
    pub search: Input,
    /// Where it was found.
    pub found: Option<Found>,
}

/// Where a text was found in a result.
#[derive(Debug)]
pub struct Found {
    /// In the result of this call.
    pub id: CallId,
    /// This text.
    pub needle: String,
    /// On these lines; `None` while a large result is being searched.
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
            found: None,
        }
    }
}

impl Calls {
    /// The number for the next call.
    pub fn next_id(&mut self) -> CallId {
        self.next += 1;
        self.next
    }

    /// A call begins, and its response is shown.
    pub fn start(&mut self, request: CallRequest, started: Instant, wall_ms: u64) {
        self.shown = Some(request.id);
        self.list.push_back(Call {
            request,
            started,
            wall_ms,
            outcome: None,
            past: None,
            items: Items::default(),
            tab: Tab::default(),
            folding: Folding::default(),
            received_bytes: None,
            parsing_bytes: None,
            diff: None,
            diff_top: 0,
        });
        self.trim();
    }

    /// Calls made before the console was started, oldest first: they come before all others, as
    /// far as there is room. `shift_ms` makes their time local.
    pub fn restore(&mut self, past: Vec<PastCall>, now: Instant, shift_ms: i64) {
        let room = self.limit.max(1).saturating_sub(self.list.len());
        for past in past.into_iter().rev().take(room) {
            let id = self.next_id();
            self.list.push_front(past.into_call(id, now, shift_ms));
        }
    }

    /// A call ended. Nothing if it is forgotten already.
    pub fn finish(&mut self, id: CallId, outcome: Outcome) {
        let Some(call) = self.get_mut(id) else { return };
        if !call.is_running() {
            return;
        }
        call.outcome = Some(outcome);
        let bytes = call.body_bytes();
        self.body_bytes += bytes;
        self.trim();
    }

    /// A stream answered one more item.
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

    /// The call of that number.
    pub fn get(&self, id: CallId) -> Option<&Call> {
        self.list.iter().rev().find(|call| call.request.id == id)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.list.iter_mut().rev().find(|call| call.request.id == id)
    }

    /// The call whose response is on the screen.
    pub fn shown_call(&self) -> Option<&Call> {
        self.get(self.shown?)
    }

    /// The same, to be changed.
    pub fn shown_call_mut(&mut self) -> Option<&mut Call> {
        self.get_mut(self.shown?)
    }

    /// Whether the call on the screen is under way.
    pub fn running(&self) -> Option<&Call> {
        self.shown_call().filter(|call| call.is_running())
    }

    /// The result of the same method before call `id`, if one is kept.
    pub fn previous_result(&self, id: CallId) -> Option<&Call> {
        let method = &self.get(id)?.request.method;
        self.list.iter().rev().find(|call| {
            call.request.id < id && call.request.method == *method && call.document().is_some()
        })
    }

    /// Where the search found something in the result on the screen.
    pub fn matches(&self) -> Option<&Matches> {
        let found = self.found.as_ref().filter(|found| Some(found.id) == self.shown)?;
        found.matches.as_ref()
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Newest first, those that pass the filter.
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

    /// Shows the call before (`-1`) or after (`1`) the one on the screen.
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

    /// How long answered calls took, of `method` or of all: the last 200; `None` below two.
    pub fn quantiles(&self, method: Option<&str>) -> Option<Quantiles> {
        let mut sorted: Vec<Duration> = self
            .list
            .iter()
            .rev()
            .filter(|call| method.is_none_or(|method| call.request.method == method))
            .filter_map(|call| call.outcome.as_ref())
            .filter(|outcome| outcome.result.is_ok())
            .map(|outcome| outcome.elapsed)
            .take(QUANTILE_CALLS)
            .collect();
        sorted.sort();
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        (sorted.len() > 1).then(|| Quantiles { p50: at(50), p95: at(95), p99: at(99) })
    }

    /// Milliseconds of the answered calls of `method`, oldest first, at most the last `count`.
    pub fn latencies(&self, method: &str, count: usize) -> Vec<f64> {
        let mut found: Vec<f64> = self
            .list
            .iter()
            .rev()
            .filter(|call| call.request.method == method)
            .filter_map(|call| call.outcome.as_ref())
            .filter(|outcome| outcome.result.is_ok())
            .map(|outcome| outcome.elapsed.as_secs_f64() * 1000.0)
            .take(count)
            .collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests;
