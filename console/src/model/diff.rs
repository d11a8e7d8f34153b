//! What is different between two results: by path, so that it reads without the documents.

use std::collections::{BTreeMap, HashMap};

use super::json::{Document, Part};

/// Results larger than this are only told apart.
pub const MAX_BYTES: usize = 1024 * 1024;
/// How many differences are listed.
pub const MAX_CHANGES: usize = 10_000;

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
    let (before, after) = (leaves(old), leaves(new));
    let index = |leaves: &[(String, String)]| -> HashMap<String, String> {
        leaves.iter().cloned().collect()
    };
    let (mut old, new) = (index(&before), index(&after));
    let mut changes = Vec::new();
    for (path, text) in after {
        match old.remove(&path) {
            Some(was) if was == text => {}
            was => changes.push(Change { path, old: was, new: Some(text) }),
        }
    }
    // What is gone comes last: its old place may be gone, too.
    let gone = before.into_iter().filter(|(path, _)| !new.contains_key(path));
    changes.extend(gone.map(|(path, text)| Change { path, old: Some(text), new: None }));
    changes.truncate(MAX_CHANGES);
    if changes.is_empty() { Diff::Same } else { Diff::Changes(changes) }
}

/// Every scalar and every empty bracket with its path.
fn leaves(document: &Document) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    // Per open bracket: the number of the next element of a list, nothing in an object.
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, line) in document.lines(0) {
        if let Part::Close(_) = line.part {
            path.truncate(line.depth);
            next.remove(&(line.depth + 1));
            continue;
        }
        path.truncate(line.depth.saturating_sub(1));
        if let Some(key) = &line.key {
            path.push(step(document.slice(key)));
        } else if let Some(number) = next.get_mut(&line.depth) {
            path.push(format!("[{number}]"));
            *number += 1;
        }
        match &line.part {
            Part::Open(bracket) => {
                if *bracket == '[' {
                    next.insert(line.depth + 1, 0);
                }
            }
            Part::Scalar(range) => found.push((path.concat(), document.slice(range).to_owned())),
            Part::Empty(text) => found.push((path.concat(), (*text).to_owned())),
            Part::Close(_) => {}
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
                ".gone - null",
                ".gone.b[0] 1 -",
            ]
        );
        assert_eq!(changes("13", "14"), [" 13 14"]);
        assert_eq!(changes("[[1],[2,3]]", "[[1],[2,4]]"), ["[1][1] 3 4"]);
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
