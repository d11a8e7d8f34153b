//! Events of instances and registry: a bounded list.

use std::collections::VecDeque;

/// Default number of events kept.
pub const DEFAULT_EVENTS: usize = 1_000;

/// Severity of an event; sets glyph and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Something registered or recovered.
    Good,
    /// Something may be failing.
    Warning,
    /// Something failed.
    Bad,
    /// None of these.
    Neutral,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Local wall time, milliseconds.
    pub wall_ms: u64,
    /// The severity.
    pub kind: EventKind,
    /// The kind of event, in one word.
    pub word: &'static str,
    /// The address of the instance or registry.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// The events, oldest first.
#[derive(Debug)]
pub struct Events {
    list: VecDeque<Event>,
    /// Maximum number kept; the oldest are dropped.
    pub limit: usize,
    /// The first visible row, counted from the newest.
    pub top: usize,
    /// Whether long events are wrapped.
    pub wrap: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self { list: VecDeque::new(), limit: DEFAULT_EVENTS, top: 0, wrap: false }
    }
}

impl Events {
    /// Adds an event and drops the oldest above the limit.
    pub fn push(&mut self, event: Event) {
        if self.list.len() >= self.limit.max(1) {
            self.list.pop_front();
        }
        self.list.push_back(event);
        if self.top > 0 {
            // The rows on screen stay the same while scrolled.
            self.top = (self.top + 1).min(self.list.len().saturating_sub(1));
        }
    }

    /// The events, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Event> {
        self.list.iter().rev()
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
