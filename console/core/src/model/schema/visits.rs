//! The work that a walk over schemas may do.

use std::cell::Cell;

use serde_json::Value;

use crate::text;

/// Visits of a walk over one schema; what is beyond counts as any JSON.
const MAX_VISITS: usize = 2_000;
/// Bytes of text that count as one visit.
const BYTES_PER_VISIT: usize = 64;

/// The parts of schemas that may still be visited: depth alone bounds no work, since every level may
/// have alternatives that lead back to the first.
#[derive(Debug)]
pub struct Visits(Cell<usize>);

impl Default for Visits {
    fn default() -> Self {
        Self::new(MAX_VISITS)
    }
}

impl Visits {
    /// This many.
    pub fn new(visits: usize) -> Self {
        Self(Cell::new(visits))
    }

    /// Visits that many parts. `false` if there are not so many left: then no other is left, either.
    pub(crate) fn spend(&self, parts: usize) -> bool {
        let left = self.0.get().checked_sub(parts);
        self.0.set(left.unwrap_or_default());
        left.is_some()
    }

    /// Whether none is left: something may not have been looked at.
    pub(crate) fn are_spent(&self) -> bool {
        self.0.get() == 0
    }

    /// Visits a text that is copied.
    pub(super) fn read(&self, text: &str) -> bool {
        self.spend(1 + text.len() / BYTES_PER_VISIT)
    }

    /// Visits a value, and writes it as JSON; `None` if it is too long for the visits left.
    pub(crate) fn json(&self, value: &Value) -> Option<String> {
        let json = text::json(value, self.0.get().saturating_mul(BYTES_PER_VISIT))?;
        self.read(&json).then_some(json)
    }
}
