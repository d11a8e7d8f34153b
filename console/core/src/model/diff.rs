//! Differences between two results, listed by path.

use std::collections::HashMap;
use std::ops::Range;

use rpc_wire::json::Json;
use serde_json::value::RawValue;
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::json::Document;

/// Larger results are only checked for equality.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Maximum number of differences listed.
pub const MAX_CHANGES: usize = 10_000;

/// Values nested deeper are compared as a whole.
const MAX_DEPTH: usize = 64;
/// Lists whose lengths multiply to more are compared index by index.
const MAX_ALIGNED: usize = 1_000_000;

/// The differences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diff {
    /// None.
    Same,
    /// These, in the order of the new result.
    Changes(Vec<Change>),
    /// Different, but too large to list.
    TooLarge,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path: `.days[1].sky`.
    pub path: String,
    /// The old value, if there was one.
    pub old: Option<String>,
    /// The new value, if there is one.
    pub new: Option<String>,
}

/// Compares two results.
pub fn diff(old: &Document, new: &Document) -> Diff {
    if old.text() == new.text() {
        return Diff::Same;
    }
    if old.text().len().max(new.text().len()) > MAX_BYTES {
        return Diff::TooLarge;
    }
    let raw = |document| serde_json::from_str::<&RawValue>(Document::text(document)).ok();
    let (Some(old), Some(new)) = (raw(old), raw(new)) else { return Diff::TooLarge };
    let mut collector = Collector::default();
    collector.compare(Json::from(old), Json::from(new), 0);
    match collector.changes.is_empty() {
        true => Diff::Same,
        false => Diff::Changes(collector.changes),
    }
}

/// Collects the differences, at the current path.
#[derive(Default)]
struct Collector {
    changes: Vec<Change>,
    path: String,
}

impl Collector {
    fn compare(&mut self, old: Json<'_>, new: Json<'_>, depth: usize) {
        if old == new {
            return;
        }
        let descend = depth < MAX_DEPTH;
        if let (true, Some(before), Some(after)) = (descend, old.entries(), new.entries()) {
            let before: Vec<_> = before.collect();
            let mut removed: HashMap<&str, Json<'_>> =
                before.iter().map(|(key, value)| (key.text(), *value)).collect();
            for (key, value) in after {
                let old = removed.remove(key.text());
                self.compare_at(&path_step(key.text()), old, Some(value), depth);
            }
            // Removed keys come last: their old place may no longer exist.
            for (key, value) in before.iter().filter(|(key, _)| removed.contains_key(key.text())) {
                self.compare_at(&path_step(key.text()), Some(*value), None, depth);
            }
        } else if let (true, Some(before), Some(after)) = (descend, old.elements(), new.elements())
        {
            self.compare_lists(&before.collect::<Vec<_>>(), &after.collect::<Vec<_>>(), depth);
        } else {
            self.push(Some(old), Some(new));
        }
    }

    /// Elements between those that both lists have pair up in order, so an insertion is one change.
    fn compare_lists(&mut self, old: &[Json<'_>], new: &[Json<'_>], depth: usize) {
        for (old_range, new_range) in differing(old, new) {
            for n in 0..old_range.len().max(new_range.len()) {
                let (i, j) = (old_range.start + n, new_range.start + n);
                let before = old_range.contains(&i).then(|| old[i]);
                let after = new_range.contains(&j).then(|| new[j]);
                let index = if after.is_some() { j } else { i };
                self.compare_at(&format!("[{index}]"), before, after, depth);
            }
        }
    }

    fn compare_at(
        &mut self,
        step: &str,
        old: Option<Json<'_>>,
        new: Option<Json<'_>>,
        depth: usize,
    ) {
        let end = self.path.len();
        self.path.push_str(step);
        match (old, new) {
            (Some(old), Some(new)) => self.compare(old, new, depth + 1),
            (old, new) => self.push(old, new),
        }
        self.path.truncate(end);
    }

    fn push(&mut self, old: Option<Json<'_>>, new: Option<Json<'_>>) {
        if self.changes.len() < MAX_CHANGES {
            let text = |json: Json<'_>| json.compact().into_owned();
            let (old, new) = (old.map(text), new.map(text));
            // White space is no difference.
            if old != new {
                self.changes.push(Change { path: self.path.clone(), old, new });
            }
        }
    }
}

/// The ranges in which two lists differ. Long lists are one range: there is no clock here to stop
/// an alignment that takes too long.
fn differing(old: &[Json<'_>], new: &[Json<'_>]) -> Vec<(Range<usize>, Range<usize>)> {
    if old.len().saturating_mul(new.len()) > MAX_ALIGNED {
        return vec![(0..old.len(), 0..new.len())];
    }
    let [old, new] = [old, new].map(|list| list.iter().map(|json| json.text()).collect::<Vec<_>>());
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let changes = ops.iter().filter(|op| op.tag() != DiffTag::Equal);
    changes.map(|op| (op.old_range(), op.new_range())).collect()
}

/// `.name`, or `["two words"]` if it is not a plain name.
fn path_step(key: &str) -> String {
    let name = key.trim_matches('"');
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain { format!(".{name}") } else { format!("[{key}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(old: &str, new: &str) -> Vec<String> {
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        match diff(&Document::of_text(old), &Document::of_text(new)) {
            Diff::Changes(changes) => changes
                .into_iter()
                .map(|c| format!("{} {} {}", c.path, text(c.old), text(c.new)))
                .collect(),
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn changes_are_listed_by_path_with_exact_digits() {
        assert_eq!(
            changes(
                r#"{"a":1.50,"days":[{"sky":"rain"},{"sky":"sun"}],"x y":[],"gone":{"b":[1]}}"#,
                r#"{"a":1.5,"days":[{"sky":"rain"},{"sky":"wind"},3],"x y":{},"gone":null}"#
            ),
            [
                ".a 1.50 1.5",
                ".days[1].sky \"sun\" \"wind\"",
                ".days[2] - 3",
                "[\"x y\"] [] {}",
                ".gone {\"b\":[1]} null",
            ]
        );
        assert_eq!(changes("13", "14"), [" 13 14"]);
        assert_eq!(changes("[[1],[2,3]]", "[[1],[2,4]]"), ["[1][1] 3 4"]);
    }

    #[test]
    fn an_insertion_into_a_list_is_one_change() {
        assert_eq!(changes("[1,2,3]", "[0,1,2,3]"), ["[0] - 0"]);
        assert_eq!(changes("[1,2,3,4]", "[1,3,4]"), ["[1] 2 -"]);
        assert_eq!(
            changes(r#"[{"a":1},{"a":2},{"a":3}]"#, r#"[{"a":0},{"a":1},{"a":5},{"a":3}]"#),
            [r#"[0] - {"a":0}"#, "[2].a 2 5"]
        );
        assert_eq!(changes("[1,2]", "[3]"), ["[0] 1 3", "[1] 2 -"]);
        let many = |first: u32| format!("{:?}", (first..first + 2_000).collect::<Vec<_>>());
        assert_eq!(changes(&many(0), &many(1)).len(), 2_000, "too long to be aligned");
    }

    #[test]
    fn very_deep_values_are_compared_as_a_whole() {
        let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(changes(&deep("1"), &deep("2")).len(), 1);
    }

    #[test]
    fn white_space_and_order_of_keys_are_no_difference() {
        assert_eq!(changes(r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#), ["Same"]);
    }

    #[test]
    fn large_results_are_only_checked_for_equality() {
        let large = format!("\"{}\"", "x".repeat(MAX_BYTES));
        assert_eq!(changes(&large, "1"), ["TooLarge"]);
        assert_eq!(changes(&large, &large), ["Same"]);
    }
}
