//! Which lines are on screen: the newest, or those above a line that stays at the bottom.

use super::{Line, Logs};
use crate::model::scroll::Step;

impl Logs {
    /// Lines that pass the filters, from the bottom of the screen up.
    pub fn upwards(&self) -> impl Iterator<Item = &Line> {
        let end = self.end();
        self.shown.range(..end).rev().filter_map(|seq| self.get(*seq))
    }

    /// The index in `shown` after the line at the bottom of the screen.
    fn end(&self) -> usize {
        match self.bottom {
            None => self.shown.len(),
            Some(seq) => self.shown.partition_point(|shown| *shown <= seq),
        }
    }

    /// Number of lines below the bottom of the screen.
    pub fn below(&self) -> usize {
        self.shown.len() - self.end()
    }

    /// Number of those that arrived since the newest line was on screen.
    pub fn new_below(&self) -> usize {
        self.shown.len() - self.end().max(self.shown.partition_point(|seq| *seq < self.seen))
    }

    /// Scrolls; the last line is followed. `height` rows are visible.
    pub fn step(&mut self, step: Step, height: usize) {
        let len = self.shown.len();
        if len == 0 {
            return;
        }
        let least = height.min(len) - 1;
        let at = self.end().saturating_sub(1);
        let to = step.from(at, len).max(least);
        let last = len - 1;
        let follows = match step {
            Step::Last => true,
            _ => to >= last && (to > at || self.bottom.is_none()),
        };
        self.bottom = if follows { None } else { self.shown.get(to).copied() };
    }

    /// Follows the newest line, or stops at the current one.
    pub fn toggle_follow(&mut self) {
        self.bottom = match self.bottom {
            Some(_) => None,
            None => Some(self.shown.back().copied().unwrap_or(0)),
        };
    }
}
