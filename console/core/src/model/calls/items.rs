//! The items of a stream received so far, and the selected one.

use std::collections::VecDeque;

use crate::model::json::decoded;
use crate::model::scroll::Step;
use crate::text::Needle;

/// Maximum number of items kept; the oldest are dropped.
pub const MAX_ITEMS: usize = 1_000;
/// Maximum bytes of all items; the newest is kept in any case.
pub const MAX_ITEM_BYTES: usize = 16 * 1024 * 1024;

/// The items of a stream, oldest first.
#[derive(Debug, Default)]
pub struct Items {
    list: VecDeque<String>,
    bytes: usize,
    /// Items lost in transit or dropped here.
    pub dropped: u64,
    /// Number of items dropped from the front: items keep their numbers.
    removed: usize,
    /// The number of the selected item; `None` follows the newest.
    selected: Option<usize>,
}

impl Items {
    /// Adds an item, and the number of items lost before it.
    pub fn push(&mut self, item: String, dropped: u64) {
        self.dropped += dropped;
        self.bytes += item.len();
        self.list.push_back(item);
        while self.list.len() > MAX_ITEMS || self.bytes > MAX_ITEM_BYTES && self.list.len() > 1 {
            self.bytes -= self.list.pop_front().map_or(0, |item| item.len());
            self.dropped += 1;
            self.removed += 1;
        }
    }

    /// Number of items kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of items received: `1 item`, `50 items`.
    pub fn counted(&self) -> String {
        let count = self.removed + self.list.len();
        format!("{} item{}", count, if count == 1 { "" } else { "s" })
    }

    /// The number of the selected item, from 1.
    pub fn number(&self) -> usize {
        self.removed + self.index() + 1
    }

    /// The items, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &String> + DoubleEndedIterator {
        self.list.iter()
    }

    /// Whether the newest item is followed.
    pub fn is_following(&self) -> bool {
        self.selected.is_none()
    }

    /// The index of the selected item, or of the newest.
    pub fn index(&self) -> usize {
        let newest = self.list.len().saturating_sub(1);
        self.selected.map_or(newest, |number| number.saturating_sub(self.removed).min(newest))
    }

    /// The selected item, or the newest.
    pub fn current(&self) -> Option<&String> {
        self.list.get(self.index())
    }

    /// Moves the selection; the last item is followed.
    pub fn step(&mut self, step: Step) {
        let to = step.from(self.index(), self.list.len());
        self.select(to);
    }

    fn select(&mut self, index: usize) {
        self.selected = (index + 1 < self.list.len()).then_some(index + self.removed);
    }

    /// The position of the selected item among the matching ones, from 1, and their number.
    pub fn match_counts(&self, needle: &Needle) -> (Option<usize>, usize) {
        let matching = self.matching(needle);
        (matching.iter().position(|index| *index == self.index()).map(|at| at + 1), matching.len())
    }

    /// Selects the nearest matching item at or above the selection, else the last one.
    pub fn select_match(&mut self, needle: &Needle) {
        let (matching, here) = (self.matching(needle), self.index());
        let above = matching.iter().rev().find(|index| **index <= here);
        if let Some(index) = above.or(matching.last()) {
            self.select(*index);
        }
    }

    /// Selects the next matching item below (`1`) or above (`-1`), wrapping around; returns whether
    /// there is one.
    pub fn select_next_match(&mut self, needle: &Needle, by: isize) -> bool {
        let (matching, here) = (self.matching(needle), self.index());
        let next = if by > 0 {
            matching.iter().find(|index| **index > here).or(matching.first())
        } else {
            matching.iter().rev().find(|index| **index < here).or(matching.last())
        };
        if let Some(index) = next {
            self.select(*index);
        }
        next.is_some()
    }

    fn matching(&self, needle: &Needle) -> Vec<usize> {
        let found = self.list.iter().enumerate();
        let found = found.filter(|(_, item)| needle.is_in(&decoded(item)));
        found.map(|(index, _)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: usize) -> Items {
        let mut items = Items::default();
        (0..count).for_each(|n| items.push(format!("item {n}"), 0));
        items
    }

    fn current(items: &Items) -> &str {
        items.current().map_or("", String::as_str)
    }

    #[test]
    fn the_newest_is_followed_until_another_is_selected() {
        let mut items = items(10);
        assert_eq!((current(&items), items.is_following()), ("item 9", true));
        items.step(Step::By(-2));
        (10..MAX_ITEMS + 5).for_each(|n| items.push(format!("item {n}"), 0));
        assert_eq!((current(&items), items.len(), items.dropped), ("item 7", MAX_ITEMS, 5));
        items.push(String::new(), 3);
        assert_eq!(items.dropped, 9);
        assert_eq!((items.counted().as_str(), items.number()), ("1006 items", 8));
        (0..5).for_each(|_| items.push(String::new(), 0));
        assert_eq!(current(&items), "item 11", "the oldest one kept: the selected one was dropped");
        items.step(Step::Last);
        assert!(items.is_following());
    }

    #[test]
    fn matches_are_counted_and_stepping_wraps_around() {
        let mut items = items(30);
        let needle = Needle::new("ITEM 1");
        items.select_match(&needle);
        assert_eq!((current(&items), items.match_counts(&needle)), ("item 19", (Some(11), 11)));
        assert!(items.select_next_match(&needle, 1));
        assert_eq!(current(&items), "item 1");
        assert!(items.select_next_match(&needle, -1));
        assert_eq!(current(&items), "item 19");
        assert!(!items.select_next_match(&Needle::new("none"), 1));
    }

    #[test]
    fn items_are_bounded_in_bytes_but_the_newest_stays() {
        let mut items = items(3);
        items.push("x".repeat(MAX_ITEM_BYTES + 1), 0);
        assert_eq!((items.len(), items.dropped), (1, 3));
    }
}
