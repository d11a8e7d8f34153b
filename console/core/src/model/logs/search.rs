//! Filters and searches log lines in slices: a million lines must not block the screen.

use super::Logs;
use crate::model::pattern::Pattern;

/// Lines filtered or searched per tick.
const SLICE: usize = 20_000;
/// Memory of these lines, in bytes: a regex takes time for long ones.
const SLICE_BYTES: usize = 4 << 20;

/// The result of stepping to a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchStep {
    /// It is on screen.
    Found,
    /// None so far; older lines are not searched yet.
    Pending,
    /// There is none.
    NoMatch,
}

impl Logs {
    /// Restarts filtering. Called when level, source or filter changed.
    pub fn refilter(&mut self) {
        self.compiled.set(self.filter.value());
        self.shown.clear();
        self.unfiltered = self.ring.len();
        // The lines shown change, so they are searched again.
        self.restart_search();
        self.filter_slice();
        if self.unfiltered == 0 {
            self.search_slice();
        }
    }

    /// Restarts the search. Called when the searched text changed.
    pub fn restart_search(&mut self) {
        self.searched = Pattern::new(self.search.value());
        self.matches.clear();
        self.current_match = None;
        self.jump_pending = false;
        self.unsearched = if self.searched.is_empty() { 0 } else { self.shown.len() };
        self.search_slice();
    }

    /// Filters one slice, from the newest lines to the oldest.
    fn filter_slice(&mut self) {
        let mut filter = self.compiled.tester();
        let (mut from, mut bytes) = (self.unfiltered, 0);
        for line in self.ring.range(..self.unfiltered).rev().take(SLICE) {
            if bytes > SLICE_BYTES {
                break;
            }
            (from, bytes) = (from - 1, bytes + line.bytes());
            if self.passes(line, &mut filter) {
                self.shown.push_front(line.seq);
                self.unsearched += usize::from(!self.searched.is_empty());
            }
        }
        self.unfiltered = from;
    }

    /// Searches one slice of the shown lines, from the newest to the oldest.
    fn search_slice(&mut self) {
        let pattern = self.searched.clone();
        let (mut from, mut bytes) = (self.unsearched, 0);
        while from > 0 && self.unsearched - from < SLICE && bytes <= SLICE_BYTES {
            from -= 1;
            let seq = self.shown.get(from).copied();
            let Some((seq, line)) = seq.and_then(|seq| Some((seq, self.get(seq)?))) else {
                continue;
            };
            bytes += line.bytes();
            if line.contains(&pattern) {
                self.matches.push_front(seq);
            }
        }
        self.unsearched = from;
    }

    /// Number of lines not yet filtered.
    pub fn unfiltered(&self) -> usize {
        self.unfiltered
    }

    /// Whether some lines are not yet searched.
    pub fn is_searching(&self) -> bool {
        !self.searched.is_empty() && (self.unsearched > 0 || self.unfiltered > 0)
    }

    /// Whether more ticks are needed to filter or search all lines.
    pub fn has_pending_work(&self) -> bool {
        self.unfiltered > 0 || self.unsearched > 0
    }

    /// Filters or searches the next slice, and jumps to the first match if that is pending.
    pub fn tick(&mut self, height: usize) {
        if self.unfiltered > 0 {
            self.filter_slice();
        } else if self.unsearched > 0 {
            self.search_slice();
        }
        if self.jump_pending {
            self.newest_match(height);
        }
        if self.bottom.is_none() {
            self.seen = self.next_seq;
        }
    }

    /// The position of the current match, from 1, and the number of matches.
    pub fn match_counts(&self) -> (Option<usize>, usize) {
        let at = self.current_match.and_then(|current| self.matches.binary_search(&current).ok());
        (at.map(|at| at + 1), self.matches.len())
    }

    /// Jumps to the newest match at or above the bottom of the screen.
    pub fn newest_match(&mut self, height: usize) {
        let bottom = self.bottom.unwrap_or(u64::MAX);
        let at = self.matches.partition_point(|seq| *seq <= bottom);
        let found = at.checked_sub(1).and_then(|at| self.matches.get(at)).or(self.matches.front());
        self.jump_pending = found.is_none() && self.is_searching();
        if let Some(seq) = found.copied() {
            self.show(seq, height);
        }
    }

    /// Jumps to the next match below (`1`) or above (`-1`), wrapping around.
    pub fn next_match(&mut self, by: isize, height: usize) -> SearchStep {
        let from = self.current_match.or(self.bottom).unwrap_or(u64::MAX);
        let (next, wrapped) = if by > 0 {
            (
                self.matches.get(self.matches.partition_point(|seq| *seq <= from)),
                self.matches.front(),
            )
        } else {
            let at = self.matches.partition_point(|seq| *seq < from);
            (at.checked_sub(1).and_then(|at| self.matches.get(at)), self.matches.back())
        };
        match next.or(wrapped.filter(|_| !self.is_searching())).copied() {
            Some(seq) => {
                self.show(seq, height);
                SearchStep::Found
            }
            None if self.is_searching() => SearchStep::Pending,
            None => SearchStep::NoMatch,
        }
    }

    /// Stops following, with this line in the middle of the screen.
    fn show(&mut self, seq: u64, height: usize) {
        let at = self.shown.partition_point(|shown| *shown < seq);
        let least = height.min(self.shown.len()).saturating_sub(1);
        let bottom = (at + height / 2).max(least).min(self.shown.len().saturating_sub(1));
        self.current_match = Some(seq);
        self.bottom = self.shown.get(bottom).copied();
    }
}
