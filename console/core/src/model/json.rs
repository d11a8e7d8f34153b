//! A JSON text as lines that fold: in the order and with the digits it came with, and with an
//! index that stays small however many lines there are.

mod fold;
mod scan;

pub use fold::Folding;
pub use scan::{Line, Lines, Part, Scalar, scalar};

use std::io;
use std::ops::Range;

use serde_json::value::RawValue;

/// A place in the index every so many lines.
const STEP: usize = 128;
/// Brackets further apart than this many lines are remembered, nearer ones are counted again.
const LONG: usize = 2_048;
/// How many such brackets are remembered; what is beyond is counted again, too.
const MAX_EXTENTS: usize = 100_000;

/// A JSON document, laid out one scalar or bracket per line. Besides its text it takes a few
/// hundredths of that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    text: Box<str>,
    places: Vec<Place>,
    extents: Vec<(usize, Extent)>,
    len: usize,
}

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    line: usize,
    at: usize,
    depth: usize,
}

/// How far an opening bracket reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The line of the closing bracket.
    pub end: usize,
    /// Elements directly inside.
    pub count: usize,
}

/// Lines that contain a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matches {
    /// Their numbers, ascending.
    pub lines: Vec<usize>,
    /// Whether there are more than were counted.
    pub more: bool,
}

impl Document {
    /// Lays out a value, without copying it.
    pub fn new(value: Box<RawValue>) -> Self {
        Self::lay_out(value.into())
    }

    /// Lays out a text that may be JSON; anything else becomes one line.
    pub fn of_text(text: &str) -> Self {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Self::lay_out(value.get().into()),
            Err(_) => Self::lay_out(serde_json::Value::from(text).to_string().into()),
        }
    }

    fn lay_out(text: Box<str>) -> Self {
        let (mut places, mut extents, mut len) = (Vec::new(), Vec::new(), 0);
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut lines = Lines::new(&text, 0, 0, 0);
        loop {
            if len % STEP == 0 {
                places.push(Place { line: len, at: lines.at(), depth: lines.depth() });
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
                    let opened = open.pop().filter(|(start, _)| at - start > LONG);
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
        places.shrink_to_fit();
        extents.shrink_to_fit();
        Self { places, extents, len, text }
    }

    /// The whole text, compact or as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no line at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lines from number `from` on, with their numbers.
    pub fn lines(&self, from: usize) -> Lines<'_> {
        let place = self.places.partition_point(|place| place.line <= from).saturating_sub(1);
        let place = self.places.get(place).copied().unwrap_or(Place { line: 0, at: 0, depth: 0 });
        let mut lines = Lines::new(&self.text, place.line, place.at, place.depth);
        for _ in place.line..from {
            lines.next();
        }
        lines
    }

    /// The line of that number.
    pub fn line(&self, at: usize) -> Option<Line> {
        self.lines(at).next().map(|(_, line)| line)
    }

    /// The text of a range.
    pub fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// How far the bracket that opens on `line` reaches; `None` for any other line.
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
        // Real JSON closes every bracket; anything else is closed by its end.
        Some(Extent { end: last, count })
    }

    /// The line that encloses `line`, if any.
    pub fn parent(&self, line: usize) -> Option<usize> {
        let depth = self.line(line)?.depth;
        let from = line.saturating_sub(LONG + 1);
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

    /// The lines whose key or scalar contains `needle`, in any case; at most `limit`.
    pub fn find(&self, needle: &str, limit: usize) -> Matches {
        let mut matches = Matches::default();
        if needle.is_empty() {
            return matches;
        }
        let needle = crate::text::Needle::new(needle);
        for (at, line) in self.lines(0) {
            let key = line.key.as_ref().is_some_and(|key| needle.is_in(self.slice(key)));
            let scalar = match &line.part {
                Part::Scalar(range) => needle.is_in(self.slice(range)),
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

    /// Writes the document as people do: one scalar or bracket per line, indented by two.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_pretty(&self, out: &mut impl io::Write) -> io::Result<()> {
        for (_, line) in self.lines(0) {
            for _ in 0..line.depth {
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
