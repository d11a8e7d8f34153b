//! Filtering and searching the lines, a slice at a time: a million of them must not stop the screen.

use super::Logs;
use crate::text::Needle;

/// How many lines are looked through before the screen is looked at again.
const SLICE: usize = 20_000;

/// Where the next hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextHit {
    /// It was gone to.
    Shown,
    /// None so far; older lines are yet to be looked through.
    NotYet,
    /// There is none.
    None,
}

impl Logs {
    /// To be called when level, source or filter changed.
    pub fn refilter(&mut self) {
        self.shown.clear();
        self.unfiltered = self.ring.len();
        // What was searched is searched anew in what is shown now.
        self.search_again();
        self.filter_on();
        if self.unfiltered == 0 {
            self.search_on();
        }
    }

    /// To be called when what is searched changed.
    pub fn search_again(&mut self) {
        self.searched = self.search.value().to_lowercase();
        self.hits.clear();
        self.hit = None;
        self.seeking = false;
        self.unsearched = if self.searched.is_empty() { 0 } else { self.shown.len() };
        self.search_on();
    }

    /// Filters one more slice, from the newest lines to the oldest.
    fn filter_on(&mut self) {
        let filter = self.needle();
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
    fn search_on(&mut self) {
        let needle = Needle::new(&self.searched);
        let from = self.unsearched.saturating_sub(SLICE);
        for at in (from..self.unsearched).rev() {
            let Some(seq) = self.shown.get(at).copied() else { continue };
            if self.get(seq).is_some_and(|line| line.contains(&needle)) {
                self.hits.push_front(seq);
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

    /// Whether time alone brings more lines or hits.
    pub fn is_sifting(&self) -> bool {
        self.unfiltered > 0 || self.unsearched > 0
    }

    /// Goes on with what is under way, and to the first hit if that is wanted.
    pub fn pass(&mut self, height: usize) {
        if self.unfiltered > 0 {
            self.filter_on();
        } else if self.unsearched > 0 {
            self.search_on();
        }
        if self.seeking {
            self.newest_hit(height);
        }
    }

    /// How many lines contain what is searched, and which of them was gone to, from 1.
    pub fn hit_counts(&self) -> (Option<usize>, usize) {
        let at = self.hit.and_then(|hit| self.hits.binary_search(&hit).ok());
        (at.map(|at| at + 1), self.hits.len())
    }

    /// To the newest hit that is not below the bottom of the screen.
    pub fn newest_hit(&mut self, height: usize) {
        let bottom = self.bottom.unwrap_or(u64::MAX);
        let at = self.hits.partition_point(|seq| *seq <= bottom);
        let found = at.checked_sub(1).and_then(|at| self.hits.get(at)).or(self.hits.front());
        self.seeking = found.is_none() && self.is_searching();
        if let Some(seq) = found.copied() {
            self.show(seq, height);
        }
    }

    /// To the next hit below (`1`) or above (`-1`), around at the ends.
    pub fn next_hit(&mut self, by: isize, height: usize) -> NextHit {
        let from = self.hit.or(self.bottom).unwrap_or(u64::MAX);
        let (next, around) = if by > 0 {
            (self.hits.get(self.hits.partition_point(|seq| *seq <= from)), self.hits.front())
        } else {
            let at = self.hits.partition_point(|seq| *seq < from);
            (at.checked_sub(1).and_then(|at| self.hits.get(at)), self.hits.back())
        };
        match next.or(around.filter(|_| !self.is_searching())).copied() {
            Some(seq) => {
                self.show(seq, height);
                NextHit::Shown
            }
            None if self.is_searching() => NextHit::NotYet,
            None => NextHit::None,
        }
    }

    /// Stops with that line in the middle of the screen.
    fn show(&mut self, seq: u64, height: usize) {
        let at = self.shown.partition_point(|shown| *shown < seq);
        let least = height.min(self.shown.len()).saturating_sub(1);
        let bottom = (at + height / 2).max(least).min(self.shown.len().saturating_sub(1));
        self.hit = Some(seq);
        self.bottom = self.shown.get(bottom).copied();
    }
}
