//! Filtering and searching the lines, a slice at a time: a million of them must not stop the screen.

use super::Logs;
use crate::text::Needle;

/// How many lines are looked through before the screen is looked at again.
const SLICE: usize = 20_000;

/// Where the next hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchStep {
    /// It was gone to.
    Found,
    /// None so far; older lines are yet to be looked through.
    Pending,
    /// There is none.
    NoMatch,
}

impl Logs {
    /// To be called when level, source or filter changed.
    pub fn refilter(&mut self) {
        self.shown.clear();
        self.unfiltered = self.ring.len();
        // What was searched is searched anew in what is shown now.
        self.restart_search();
        self.filter_slice();
        if self.unfiltered == 0 {
            self.search_slice();
        }
    }

    /// To be called when what is searched changed.
    pub fn restart_search(&mut self) {
        self.searched = self.search.value().to_lowercase();
        self.matches.clear();
        self.current_match = None;
        self.jump_pending = false;
        self.unsearched = if self.searched.is_empty() { 0 } else { self.shown.len() };
        self.search_slice();
    }

    /// Filters one more slice, from the newest lines to the oldest.
    fn filter_slice(&mut self) {
        let filter = self.filter_needle();
        let from = self.unfiltered.saturating_sub(SLICE);
        for line in self.ring.range(from..self.unfiltered).rev() {
            if self.passes(line, &filter) {
                self.shown.push_front(line.seq);
                self.unsearched += usize::from(!self.searched.is_empty());
            }
        }
        self.unfiltered = from;
    }

    /// Searches one more slice of the lines shown, from the newest to the oldest.
    fn search_slice(&mut self) {
        let needle = Needle::new(&self.searched);
        let from = self.unsearched.saturating_sub(SLICE);
        for at in (from..self.unsearched).rev() {
            let Some(seq) = self.shown.get(at).copied() else { continue };
            if self.get(seq).is_some_and(|line| line.contains(&needle)) {
                self.matches.push_front(seq);
            }
        }
        self.unsearched = from;
    }

    /// How many lines are yet to be filtered.
    pub fn unfiltered(&self) -> usize {
        self.unfiltered
    }

    /// Whether lines are yet to be searched, or filtered first.
    pub fn is_searching(&self) -> bool {
        !self.searched.is_empty() && (self.unsearched > 0 || self.unfiltered > 0)
    }

    /// Whether time alone brings more lines or matches.
    pub fn has_pending_work(&self) -> bool {
        self.unfiltered > 0 || self.unsearched > 0
    }

    /// Goes on with what is under way, and to the first hit if that is wanted.
    pub fn tick(&mut self, height: usize) {
        if self.unfiltered > 0 {
            self.filter_slice();
        } else if self.unsearched > 0 {
            self.search_slice();
        }
        if self.jump_pending {
            self.newest_match(height);
        }
    }

    /// How many lines contain what is searched, and which of them was gone to, from 1.
    pub fn match_counts(&self) -> (Option<usize>, usize) {
        let at = self.current_match.and_then(|current| self.matches.binary_search(&current).ok());
        (at.map(|at| at + 1), self.matches.len())
    }

    /// To the newest hit that is not below the bottom of the screen.
    pub fn newest_match(&mut self, height: usize) {
        let bottom = self.bottom.unwrap_or(u64::MAX);
        let at = self.matches.partition_point(|seq| *seq <= bottom);
        let found = at.checked_sub(1).and_then(|at| self.matches.get(at)).or(self.matches.front());
        self.jump_pending = found.is_none() && self.is_searching();
        if let Some(seq) = found.copied() {
            self.show(seq, height);
        }
    }

    /// To the next hit below (`1`) or above (`-1`), wrapped at the ends.
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

    /// Stops with that line in the middle of the screen.
    fn show(&mut self, seq: u64, height: usize) {
        let at = self.shown.partition_point(|shown| *shown < seq);
        let least = height.min(self.shown.len()).saturating_sub(1);
        let bottom = (at + height / 2).max(least).min(self.shown.len().saturating_sub(1));
        self.current_match = Some(seq);
        self.bottom = self.shown.get(bottom).copied();
    }
}
