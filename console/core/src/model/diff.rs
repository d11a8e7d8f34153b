//! What is different between two results: by path, so that it reads without the documents.

use std::collections::HashMap;

use rpc_wire::json::Json;
use serde_json::value::RawValue;

use super::json::Document;

/// Results larger than this are only told apart.
pub const MAX_BYTES: usize = 1024 * 1024;
/// How many differences are listed.
pub const MAX_CHANGES: usize = 10_000;

/// What is nested deeper is compared as a whole.
const MAX_DEPTH: usize = 64;
/// Lists whose lengths multiply to more are compared place by place.
const MAX_ALIGNED: usize = 1_000_000;

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diff {
    /// Nothing.
    Same,
    /// These places, in the order of the new result.
    Changes(Vec<Change>),
    /// Something, in results too large to list what.
    TooLarge,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: `.days[1].sky`.
    pub path: String,
    /// What stood there.
    pub old: Option<String>,
    /// What stands there.
    pub new: Option<String>,
}

/// Compares the new result with the old one.
pub fn diff(old: &Document, new: &Document) -> Diff {
    if old.text() == new.text() {
        return Diff::Same;
    }
    if old.text().len().max(new.text().len()) > MAX_BYTES {
        return Diff::TooLarge;
    }
    let raw = |document| serde_json::from_str::<&RawValue>(Document::text(document)).ok();
    let (Some(old), Some(new)) = (raw(old), raw(new)) else { return Diff::TooLarge };
    let mut found = Found::default();
    found.compare(Json::from(old), Json::from(new), 0);
    match found.changes.is_empty() {
        true => Diff::Same,
        false => Diff::Changes(found.changes),
    }
}

/// What was found so far, and where it is being looked for.
#[derive(Default)]
struct Found {
    changes: Vec<Change>,
    path: String,
}

impl Found {
    fn compare(&mut self, old: Json<'_>, new: Json<'_>, depth: usize) {
        if old == new {
            return;
        }
        let parts = depth < MAX_DEPTH;
        if let (true, Some(was), Some(is)) = (parts, old.entries(), new.entries()) {
            let was: Vec<_> = was.collect();
            let mut gone: HashMap<&str, Json<'_>> =
                was.iter().map(|(key, value)| (key.text(), *value)).collect();
            for (key, value) in is {
                let before = gone.remove(key.text());
                self.at(&step(key.text()), before, Some(value), depth);
            }
            // What is gone comes last: its old place may be gone, too.
            for (key, value) in was.iter().filter(|(key, _)| gone.contains_key(key.text())) {
                self.at(&step(key.text()), Some(*value), None, depth);
            }
        } else if let (true, Some(was), Some(is)) = (parts, old.elements(), new.elements()) {
            self.compare_lists(&was.collect::<Vec<_>>(), &is.collect::<Vec<_>>(), depth);
        } else {
            self.add(Some(old), Some(new));
        }
    }

    /// Equal elements belong together, so that an insertion shifts nothing; between two of them
    /// elements pair up in their order.
    fn compare_lists(&mut self, old: &[Json<'_>], new: &[Json<'_>], depth: usize) {
        let (mut i, mut j) = (0, 0);
        for (stays_at, stays_as) in stayed(old, new).into_iter().chain([(old.len(), new.len())]) {
            while i < stays_at || j < stays_as {
                let was = old.get(i).filter(|_| i < stays_at).copied();
                let is = new.get(j).filter(|_| j < stays_as).copied();
                let place = if is.is_some() { j } else { i };
                self.at(&format!("[{place}]"), was, is, depth);
                (i, j) = (i + usize::from(was.is_some()), j + usize::from(is.is_some()));
            }
            (i, j) = (i + 1, j + 1);
        }
    }

    fn at(&mut self, step: &str, old: Option<Json<'_>>, new: Option<Json<'_>>, depth: usize) {
        let end = self.path.len();
        self.path.push_str(step);
        match (old, new) {
            (Some(old), Some(new)) => self.compare(old, new, depth + 1),
            (old, new) => self.add(old, new),
        }
        self.path.truncate(end);
    }

    fn add(&mut self, old: Option<Json<'_>>, new: Option<Json<'_>>) {
        if self.changes.len() < MAX_CHANGES {
            let text = |json: Json<'_>| json.compact().into_owned();
            let (old, new) = (old.map(text), new.map(text));
            // White space between the parts is no difference.
            if old != new {
                self.changes.push(Change { path: self.path.clone(), old, new });
            }
        }
    }
}

/// The places of elements that are in both lists, in the same order: a longest common subsequence,
/// or of long lists those that have kept their place.
fn stayed(old: &[Json<'_>], new: &[Json<'_>]) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > MAX_ALIGNED {
        let kept = old.iter().zip(new).enumerate().filter(|(_, (old, new))| old == new);
        return kept.map(|(place, _)| (place, place)).collect();
    }
    // For every i and j the length of that of old[i..] and new[j..].
    let width = new.len() + 1;
    let mut lengths = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let (below, right) = ((i + 1) * width + j, i * width + j + 1);
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[below + 1] + 1
            } else {
                lengths[below].max(lengths[right])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// `.name`, or `["two words"]` where that would not be plain.
fn step(key: &str) -> String {
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
    fn changes_are_told_by_path_with_every_digit() {
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
    fn an_insertion_into_a_list_shifts_nothing_and_neighbours_pair_up() {
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
    fn what_is_nested_very_deep_is_compared_as_a_whole() {
        let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(changes(&deep("1"), &deep("2")).len(), 1);
    }

    #[test]
    fn white_space_and_order_of_keys_are_no_difference() {
        assert_eq!(changes(r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#), ["Same"]);
    }

    #[test]
    fn large_results_are_only_told_apart() {
        let large = format!("\"{}\"", "x".repeat(MAX_BYTES));
        assert_eq!(changes(&large, "1"), ["TooLarge"]);
        assert_eq!(changes(&large, &large), ["Same"]);
    }
}
