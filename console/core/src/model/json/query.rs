//! JSONPath (RFC 9535): selects values of a document. Works on the text, so that numbers keep their
//! digits and objects their order; a library would need the whole document as values.

mod parse;
mod syntax;
mod test;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Document, Part};
use syntax::{Query, Segment, Selector};

/// Maximum number of values selected; the rest is dropped.
pub const MAX_SELECTED: usize = 100_000;

/// The selected values of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The value of a path that selects at most one, else a list of values.
    pub document: Document,
    /// Their lines in the document they were selected from.
    pub lines: Vec<usize>,
    /// Whether the path selects at most one value, which then is no list.
    pub is_single: bool,
}

impl Document {
    /// The values that a JSONPath selects. `$` may be left out.
    ///
    /// # Errors
    /// Where the path is invalid, or that it selects nothing.
    pub fn select(&self, path: &str) -> Result<Selection, String> {
        self.select_until(path, &AtomicBool::new(false))
    }

    /// The same, given up when `stop` is set: a filter of millions of values takes a while.
    ///
    /// # Errors
    /// Those of [`select`](Self::select), or that it was stopped.
    pub fn select_until(&self, path: &str, stop: &AtomicBool) -> Result<Selection, String> {
        let query = Query::parse(path)?;
        let mut lines = self.lines_of(&query, 0, stop);
        if stop.load(Relaxed) {
            return Err("stopped".to_owned());
        }
        lines.truncate(MAX_SELECTED);
        let is_single = query.is_single();
        let text = match (&lines[..], is_single) {
            ([], _) => return Err("no match".to_owned()),
            ([only], true) => self.value(*only).to_owned(),
            _ => {
                let values: Vec<_> = lines.iter().map(|line| self.value(*line)).collect();
                format!("[{}]", values.join(","))
            }
        };
        Ok(Selection { document: Self::from_json(text.into()), lines, is_single })
    }

    /// The lines of the values that a query selects, from the value on line `root`.
    fn lines_of(&self, query: &Query, root: usize, stop: &AtomicBool) -> Vec<usize> {
        let mut nodes = vec![root];
        for segment in &query.segments {
            let mut next = Vec::new();
            for node in nodes {
                self.apply(segment, node, stop, &mut next);
                if next.len() >= MAX_SELECTED || stop.load(Relaxed) {
                    break;
                }
            }
            nodes = next;
        }
        nodes
    }

    fn apply(&self, segment: &Segment, node: usize, stop: &AtomicBool, out: &mut Vec<usize>) {
        if !segment.descends {
            return self.apply_to_children(&segment.selectors, node, stop, out);
        }
        let end = self.extent(node).map_or(node, |extent| extent.end);
        for (at, line) in self.lines(node).take_while(|(at, _)| *at <= end && !stop.load(Relaxed)) {
            if matches!(line.part, Part::Open(_)) {
                self.apply_to_children(&segment.selectors, at, stop, out);
            }
        }
    }

    fn apply_to_children(
        &self,
        selectors: &[Selector],
        node: usize,
        stop: &AtomicBool,
        out: &mut Vec<usize>,
    ) {
        let children = self.children(node, stop);
        for selector in selectors {
            match selector {
                Selector::All => out.extend(children.iter().map(|child| child.line)),
                Selector::Name(name) => {
                    let named = |child: &&Child<'_>| child.key.is_some_and(|key| is_key(key, name));
                    // The last of several equal names counts.
                    out.extend(children.iter().rev().find(named).map(|child| child.line));
                }
                Selector::Index(_) | Selector::Slice(..) if self.is_object(&children) => {}
                Selector::Index(index) => {
                    let at = from_end(*index, children.len());
                    let child = usize::try_from(at).ok().and_then(|at| children.get(at));
                    out.extend(child.map(|child| child.line));
                }
                Selector::Slice(start, end, step) => {
                    let places = parse::slice(*start, *end, *step, children.len());
                    out.extend(places.filter_map(|at| children.get(at)).map(|child| child.line));
                }
                Selector::Filter(test) => {
                    let children = children.iter().take_while(|_| !stop.load(Relaxed));
                    let passing = children.filter(|child| test.holds(self, child.line, stop));
                    out.extend(passing.map(|child| child.line));
                }
            }
        }
    }

    /// The values directly inside the one on this line; none for a scalar.
    fn children(&self, node: usize, stop: &AtomicBool) -> Vec<Child<'_>> {
        let mut lines = self.lines(node);
        let Some((_, super::Line { part: Part::Open(_), depth, .. })) = lines.next() else {
            return Vec::new();
        };
        let mut children = Vec::new();
        for (line, found) in lines {
            match found.part {
                Part::Close(_) if found.depth <= depth => break,
                _ if stop.load(Relaxed) => break,
                Part::Close(_) => {}
                _ if found.depth == depth + 1 => {
                    let key = found.key.as_ref().map(|key| self.slice(key));
                    children.push(Child { line, key });
                }
                _ => {}
            }
        }
        children
    }

    fn is_object(&self, children: &[Child<'_>]) -> bool {
        children.first().is_some_and(|child| child.key.is_some())
    }
}

/// A value directly inside another.
struct Child<'a> {
    line: usize,
    /// Its key in JSON, in quotes.
    key: Option<&'a str>,
}

fn is_key(key: &str, name: &str) -> bool {
    if key.contains('\\') {
        serde_json::from_str::<String>(key).is_ok_and(|key| key == name)
    } else {
        key.strip_prefix('"').and_then(|key| key.strip_suffix('"')) == Some(name)
    }
}

/// An index as counted from the start: negative ones count from the end.
fn from_end(index: i64, len: usize) -> i64 {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    if index < 0 { index.saturating_add(len) } else { index }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STORE: &str = r#"{"store": {"book": [
        {"title": "A", "price": 8.950, "tags": ["x", "y"]},
        {"title": "B", "price": 12, "isbn": "1", "big": 18446744073709551616},
        {"title": "C", "price": 22.99}
    ], "bike": {"price": 19.95, "it's": true}}}"#;

    fn selected(path: &str) -> String {
        match Document::of_text(STORE).select(path) {
            Ok(selection) => selection.document.text().to_owned(),
            Err(error) => error,
        }
    }

    #[test]
    fn a_stopped_filter_gives_up() {
        let stop = AtomicBool::new(true);
        let outcome = Document::of_text(STORE).select_until("$..[?@.price]", &stop);
        assert_eq!(outcome, Err("stopped".to_owned()));
    }

    #[test]
    fn names_indices_slices_and_wildcards_select_values_as_received() {
        for (path, expected) in [
            ("$.store.book[1].big", "18446744073709551616"),
            ("store.bike.price", "19.95"),
            (".store.book[-1].title", "\"C\""),
            ("$['store'][\"bike\"]['it\\'s']", "true"),
            ("$.store.book[*].price", "[8.950,12,22.99]"),
            ("$.store.book[0,2].title", "[\"A\",\"C\"]"),
            ("$.store.book[:2].title", "[\"A\",\"B\"]"),
            ("$.store.book[::-1].title", "[\"C\",\"B\",\"A\"]"),
            ("$.store.book[-2:].title", "[\"B\",\"C\"]"),
            ("$..price", "[8.950,12,22.99,19.95]"),
            ("$..book[0].tags[*]", "[\"x\",\"y\"]"),
            ("$.store.*.price", "[19.95]"),
            ("$.none", "no match"),
            ("$.store[0]", "no match"),
            ("$", STORE),
        ] {
            assert_eq!(selected(path), expected, "{path}");
        }
    }

    #[test]
    fn filters_compare_and_test_for_existence() {
        for (path, expected) in [
            ("$.store.book[?@.price < 10].title", "[\"A\"]"),
            ("$.store.book[?(@.isbn)].title", "[\"B\"]"),
            ("$.store.book[?!@.isbn && @.price >= 22.99].title", "[\"C\"]"),
            ("$.store.book[?@.title == 'A' || @.title == \"C\"].title", "[\"A\",\"C\"]"),
            ("$.store.book[?!!@.isbn && !(@.price > 20)].title", "[\"B\"]"),
            ("$.store.book[?@.title != 'A'].price", "[12,22.99]"),
            ("$..[?@.tags[0] == 'x'].title", "[\"A\"]"),
            ("$.store.book[?@.price == 'A']", "no match"),
        ] {
            assert_eq!(selected(path), expected, "{path}");
        }
    }

    #[test]
    fn an_invalid_path_says_where() {
        for (path, expected) in [
            ("$.store.", "a name is missing at the end"),
            ("$.store[", "a name in quotes, a number, * or ? is missing at the end"),
            ("$.store[1", "] is missing at the end"),
            ("$.store['x", "' is missing at the end"),
            ("$.store x", "unexpected \"x\""),
            (&format!("$[?{}", "(".repeat(1_000)), "too many filters inside each other"),
            ("$[?@.a = 1]", "] is missing before \"= 1]\""),
        ] {
            assert_eq!(selected(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_and_document_give_a_selection_or_an_error(
            path in r"[$@.?*\[\]a1'!=<:,& -]{0,20}",
            text in r#"[\[\]{}",: a1\\]{0,40}"#,
        ) {
            let _ = Document::from_json(text.into()).select(&path);
        }
    }
}
