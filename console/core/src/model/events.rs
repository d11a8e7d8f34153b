//! What happened to instances and registry: a bounded list, newest first on the screen.

use std::collections::VecDeque;

/// How many events are kept unless the settings say otherwise.
pub const DEFAULT_EVENTS: usize = 1_000;

/// What kind of event, which decides glyph and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Something got better, or came.
    Good,
    /// Something is doubtful.
    Warning,
    /// Something was lost.
    Bad,
    /// Neither.
    Neutral,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Local wall time, milliseconds.
    pub wall_ms: u64,
    /// What kind.
    pub kind: EventKind,
    /// One word.
    pub word: &'static str,
    /// Whom it concerns.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// The events, oldest first.
#[derive(Debug)]
pub struct Events {
    list: VecDeque<Event>,
    /// How many are kept; the oldest go first.
    pub limit: usize,
    /// Rows scrolled away at the top (the newest).
    pub top: usize,
    /// Whether long ones are wrapped.
    pub wrap: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self { list: VecDeque::new(), limit: DEFAULT_EVENTS, top: 0, wrap: false }
    }
}

impl Events {
    /// Adds one; the oldest goes when there are too many.
    pub fn push(&mut self, event: Event) {
        if self.list.len() >= self.limit.max(1) {
            self.list.pop_front();
        }
        self.list.push_back(event);
        if self.top > 0 {
            // A reader who scrolled away stays where they are.
            self.top = (self.top + 1).min(self.list.len().saturating_sub(1));
        }
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Event> {
        self.list.iter().rev()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
