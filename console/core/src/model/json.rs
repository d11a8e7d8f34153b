//! A JSON text as foldable lines, with keys and digits exactly as received, and an index that
//! stays small for large documents.

mod escapes;
mod fold;
mod locate;
mod query;
mod scan;

pub use escapes::decoded;
pub use fold::Folding;
pub use query::{MAX_SELECTED, Selection};
pub use scan::{Line, Lines, Part, Scalar, scalar};

use std::io;
use std::ops::Range;

use serde_json::value::RawValue;

/// What is nested deeper is indented no further in a file: it would grow with the square of the depth.
const MAX_INDENTED: usize = 128;
/// Lines between two index entries.
const LINES_PER_ENTRY: usize = 128;
/// Brackets that span more lines have their extent stored; others are counted when needed.
const LONG_EXTENT: usize = 2_048;
/// Maximum number of stored extents; the rest is counted when needed.
const MAX_EXTENTS: usize = 100_000;

/// A JSON document with one scalar or bracket per line. Its index takes a few percent of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    text: Box<str>,
    index: Vec<IndexEntry>,
    extents: Vec<(usize, Extent)>,
    len: usize,
}

/// An index entry: where a line starts.
#[derive(Debug, Clone, Copy, PartialEq)]
struct IndexEntry {
    line: usize,
    at: usize,
    depth: usize,
}

/// The extent of an opening bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The line of the closing bracket.
    pub end: usize,
    /// Number of direct elements.
    pub count: usize,
}

/// The lines that match a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Line numbers, ascending.
    pub lines: Vec<usize>,
    /// Whether there are more than the limit.
    pub more: bool,
}

impl Document {
    /// A document of a value, without copying it.
    pub fn new(value: Box<RawValue>) -> Self {
        Self::from_json(value.into())
    }

    /// A document of a text; a text that is not JSON becomes one string.
    pub fn of_text(text: &str) -> Self {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Self::from_json(value.get().into()),
            Err(_) => Self::from_json(serde_json::Value::from(text).to_string().into()),
        }
    }

    fn from_json(text: Box<str>) -> Self {
        let (mut index, mut extents, mut len) = (Vec::new(), Vec::new(), 0);
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut lines = Lines::new(&text, 0, 0, 0);
        loop {
            if len % LINES_PER_ENTRY == 0 {
                index.push(IndexEntry { line: len, at: lines.at(), depth: lines.depth() });
            }
            let Some((at, line)) = lines.next() else { break };
            len = at + 1;
            if !matches!(line.part, Part::Close(_))
                && let Some((_, count)) = open.last_mut()
            {
                *count += 1;
            }
            match line.part {
                Part::Open(_) => open.push((at, 0)),
                Part::Close(_) => {
                    let opened = open.pop().filter(|(start, _)| at - start > LONG_EXTENT);
                    if let Some((start, count)) = opened
                        && extents.len() < MAX_EXTENTS
                    {
                        extents.push((start, Extent { end: at, count }));
                    }
                }
                Part::Scalar(_) | Part::Empty(_) => {}
            }
        }
        extents.sort_unstable_by_key(|(start, _)| *start);
        index.shrink_to_fit();
        extents.shrink_to_fit();
        Self { index, extents, len, text }
    }

    /// The text as received.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lines from number `from` on, with their numbers.
    pub fn lines(&self, from: usize) -> Lines<'_> {
        let entry = self.index.partition_point(|entry| entry.line <= from).saturating_sub(1);
        let entry =
            self.index.get(entry).copied().unwrap_or(IndexEntry { line: 0, at: 0, depth: 0 });
        let mut lines = Lines::new(&self.text, entry.line, entry.at, entry.depth);
        for _ in entry.line..from {
            lines.next();
        }
        lines
    }

    /// The line with this number.
    pub fn line(&self, at: usize) -> Option<Line> {
        self.lines(at).next().map(|(_, line)| line)
    }

    /// The text of a range.
    pub fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The extent of the bracket that opens on `line`; `None` for any other line.
    pub fn extent(&self, line: usize) -> Option<Extent> {
        if let Ok(at) = self.extents.binary_search_by_key(&line, |(start, _)| *start) {
            return self.extents.get(at).map(|(_, extent)| *extent);
        }
        let mut lines = self.lines(line);
        let depth = match lines.next()? {
            (_, Line { part: Part::Open(_), depth, .. }) => depth,
            _ => return None,
        };
        let (mut count, mut last) = (0, line);
        for (at, line) in lines {
            match line.part {
                Part::Close(_) if line.depth <= depth => return Some(Extent { end: at, count }),
                Part::Close(_) => {}
                _ if line.depth == depth + 1 => count += 1,
                _ => {}
            }
            last = at;
        }
        // Only invalid JSON gets here: the end of the text closes every bracket.
        Some(Extent { end: last, count })
    }

    /// The line of the enclosing bracket, if any.
    pub fn parent(&self, line: usize) -> Option<usize> {
        let depth = self.line(line)?.depth;
        let from = line.saturating_sub(LONG_EXTENT + 1);
        let near = self
            .lines(from)
            .take(line - from)
            .filter(|(_, l)| l.depth < depth && matches!(l.part, Part::Open(_)))
            .last();
        let far = || {
            let before = self.extents.partition_point(|(start, _)| *start < line);
            let mut outer = self.extents.get(..before).unwrap_or_default().iter().rev();
            outer.find(|(_, extent)| extent.end >= line).map(|(start, _)| *start)
        };
        near.map(|(at, _)| at).or_else(far)
    }

    /// The lines whose key or scalar contains `needle`, ignoring case and with
    /// escapes decoded; at most `limit`.
    pub fn find(&self, needle: &str, limit: usize) -> Matches {
        let mut matches = Matches::default();
        if needle.is_empty() {
            return matches;
        }
        let needle = crate::text::Needle::new(needle);
        let is_in = |range: &Range<usize>| needle.is_in(&decoded(self.slice(range)));
        for (at, line) in self.lines(0) {
            let key = line.key.as_ref().is_some_and(is_in);
            let scalar = match &line.part {
                Part::Scalar(range) => is_in(range),
                _ => false,
            };
            if key || scalar {
                if matches.lines.len() == limit {
                    matches.more = true;
                    break;
                }
                matches.lines.push(at);
            }
        }
        matches
    }

    /// Writes the document as indented JSON.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_pretty(&self, out: &mut impl io::Write) -> io::Result<()> {
        for (_, line) in self.lines(0) {
            for _ in 0..line.depth.min(MAX_INDENTED) {
                out.write_all(b"  ")?;
            }
            if let Some(key) = &line.key {
                write!(out, "{}: ", self.slice(key))?;
            }
            match &line.part {
                Part::Scalar(range) => out.write_all(self.slice(range).as_bytes())?,
                Part::Empty(text) => out.write_all(text.as_bytes())?,
                Part::Open(bracket) | Part::Close(bracket) => write!(out, "{bracket}")?,
            }
            out.write_all(if line.comma { b",\n" } else { b"\n" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
