//! Scans JSON text from any byte on, line by line, without recursion.

use std::ops::Range;

/// A line. Ranges refer to the document's text.
#[derive(Debug, Clone)]
pub struct Line {
    /// Nesting depth.
    pub depth: usize,
    /// The key, with quotes, inside an object.
    pub key: Option<Range<usize>>,
    /// The content.
    pub part: Part,
    /// Whether a comma follows.
    pub comma: bool,
}

/// The content of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A string, number, `true`, `false` or `null`.
    Scalar(Range<usize>),
    /// `{}` or `[]`.
    Empty(&'static str),
    /// An opening bracket.
    Open(char),
    /// A closing bracket.
    Close(char),
}

/// The type of a scalar, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "JSON's own words")]
pub enum Scalar {
    String,
    Number,
    Bool,
    Null,
}

/// The type of a scalar, from its first byte.
pub fn scalar(text: &str) -> Scalar {
    match text.as_bytes().first() {
        Some(b'"') => Scalar::String,
        Some(b't' | b'f') => Scalar::Bool,
        Some(b'n') => Scalar::Null,
        _ => Scalar::Number,
    }
}

/// Iterator over the lines of a text, with their numbers.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    depth: usize,
}

impl<'a> Lines<'a> {
    /// Starts at byte `at`, where line number `line` starts at nesting `depth`.
    pub(super) fn new(text: &'a str, line: usize, at: usize, depth: usize) -> Self {
        Self { bytes: text.as_bytes(), at, line, depth }
    }

    /// The byte after the last line.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The nesting depth at that byte.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    fn skip_blank(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        while let Some(rest) = self.bytes.get(self.at..) {
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest.get(found) == Some(&b'"') => {
                    self.at += found + 1;
                    break;
                }
                Some(found) => self.at += found + 2,
                None => self.at = self.bytes.len() + 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        start..self.at
    }

    fn literal(&mut self) -> Range<usize> {
        let start = self.at;
        let is_literal = |byte: &&u8| !b",:]}[{\" \t\r\n".contains(byte);
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.at += rest.iter().take_while(is_literal).count().max(1);
        start..self.at
    }

    fn open(&mut self, bracket: u8) -> Part {
        let close = if bracket == b'{' { b'}' } else { b']' };
        self.at += 1;
        if self.skip_blank() == Some(close) {
            self.at += 1;
            return Part::Empty(if bracket == b'{' { "{}" } else { "[]" });
        }
        self.depth += 1;
        Part::Open(char::from(bracket))
    }
}

impl Iterator for Lines<'_> {
    type Item = (usize, Line);

    fn next(&mut self) -> Option<Self::Item> {
        let mut key = None;
        let (depth, part) = loop {
            let depth = self.depth;
            match self.skip_blank() {
                None => match key.take() {
                    Some(range) => break (depth, Part::Scalar(range)),
                    None => return None,
                },
                Some(b',' | b':') => self.at += 1,
                Some(bracket @ (b'{' | b'[')) => break (depth, self.open(bracket)),
                Some(bracket @ (b'}' | b']')) => {
                    self.at += 1;
                    self.depth = depth.saturating_sub(1);
                    break (self.depth, Part::Close(char::from(bracket)));
                }
                Some(b'"') => {
                    let range = self.string();
                    if key.is_none() && self.skip_blank() == Some(b':') {
                        self.at += 1;
                        key = Some(range);
                    } else {
                        break (depth, Part::Scalar(range));
                    }
                }
                Some(_) => break (depth, Part::Scalar(self.literal())),
            }
        };
        let comma = self.skip_blank() == Some(b',');
        self.at += usize::from(comma);
        self.line += 1;
        Some((self.line - 1, Line { depth, key, part, comma }))
    }
}
