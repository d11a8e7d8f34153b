//! A JSON text as lines that fold: flat, linear, in the order and with the digits it came with.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::value::RawValue;

/// A JSON document, laid out one scalar or bracket per line.
#[derive(Debug, Clone, Default)]
pub struct Document {
    text: String,
    lines: Vec<Line>,
}

/// One line. Ranges are into the document's text.
#[derive(Debug, Clone)]
pub struct Line {
    /// How deep it is nested.
    pub depth: usize,
    /// Its key, with quotes, inside an object.
    pub key: Option<Range<usize>>,
    /// What stands there.
    pub part: Part,
    /// Whether a comma follows.
    pub comma: bool,
}

/// What stands on a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A string, number, `true`, `false` or `null`.
    Scalar(Range<usize>),
    /// `{}` or `[]`.
    Empty(&'static str),
    /// An opening bracket: its last line, and how many elements are inside.
    Open {
        /// `{` or `[`.
        bracket: char,
        /// The line of the closing bracket.
        end: usize,
        /// Elements directly inside.
        count: usize,
    },
    /// A closing bracket.
    Close(char),
}

/// What a scalar is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "JSON's own words")]
pub enum Scalar {
    String,
    Number,
    Bool,
    Null,
}

impl Document {
    /// Lays out a value.
    pub fn new(value: &RawValue) -> Self {
        Self::lay_out(value.get())
    }

    /// Lays out a text that may be JSON; anything else becomes one line.
    pub fn of_text(text: &str) -> Self {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(value) => Self::new(value),
            Err(_) => Self::lay_out(&serde_json::Value::String(text.to_owned()).to_string()),
        }
    }

    fn lay_out(text: &str) -> Self {
        let mut builder =
            Builder { bytes: text.as_bytes(), at: 0, lines: Vec::new(), open: Vec::new() };
        builder.run();
        Self { lines: builder.lines, text: text.to_owned() }
    }

    /// The whole text, compact or as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every line.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The text of a range.
    pub fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The line that encloses `line`, if any.
    pub fn parent(&self, line: usize) -> Option<usize> {
        let depth = self.lines.get(line)?.depth;
        let outer = |at: &usize| {
            self.lines
                .get(*at)
                .is_some_and(|l| l.depth < depth && matches!(l.part, Part::Open { .. }))
        };
        (0..line).rev().find(outer)
    }
}

/// What a scalar's text is.
pub fn scalar(text: &str) -> Scalar {
    match text.as_bytes().first() {
        Some(b'"') => Scalar::String,
        Some(b't' | b'f') => Scalar::Bool,
        Some(b'n') => Scalar::Null,
        _ => Scalar::Number,
    }
}

/// Which lines are folded away, and which one the cursor is on.
#[derive(Debug, Clone, Default)]
pub struct Folding {
    folded: HashSet<usize>,
    /// The line of the cursor: an index into all lines.
    pub cursor: usize,
    /// First visible row: an index into the visible lines.
    pub top: usize,
}

impl Folding {
    /// Indices of the lines that can be seen.
    pub fn visible(&self, document: &Document) -> Vec<usize> {
        let mut visible = Vec::with_capacity(document.lines.len());
        let mut at = 0;
        while let Some(line) = document.lines.get(at) {
            visible.push(at);
            at = match line.part {
                Part::Open { end, .. } if self.folded.contains(&at) => end + 1,
                _ => at + 1,
            };
        }
        visible
    }

    /// Whether that line is folded.
    pub fn is_folded(&self, line: usize) -> bool {
        self.folded.contains(&line)
    }

    /// Folds what the cursor is on, or goes to what encloses it.
    pub fn fold(&mut self, document: &Document) {
        let can =
            matches!(document.lines.get(self.cursor).map(|l| &l.part), Some(Part::Open { .. }));
        if can && self.folded.insert(self.cursor) {
            return;
        }
        self.cursor = document.parent(self.cursor).unwrap_or(0);
    }

    /// Unfolds what the cursor is on.
    pub fn unfold(&mut self) {
        self.folded.remove(&self.cursor);
    }

    /// Folds or unfolds what the cursor is on.
    pub fn toggle(&mut self, document: &Document) {
        let line = document.lines.get(self.cursor);
        let can = matches!(line.map(|line| &line.part), Some(Part::Open { .. }));
        if can && !self.folded.remove(&self.cursor) {
            self.folded.insert(self.cursor);
        }
    }

    /// Folds everything below the top, or unfolds everything.
    pub fn toggle_all(&mut self, document: &Document) {
        if self.folded.is_empty() {
            let inner = document.lines.iter().enumerate().filter(|(_, line)| line.depth > 0);
            self.folded = inner
                .filter(|(_, line)| matches!(line.part, Part::Open { .. }))
                .map(|(at, _)| at)
                .collect();
            self.cursor = 0;
        } else {
            self.folded.clear();
        }
    }
}

/// Walks over a text that is known to be JSON, without recursion.
struct Builder<'a> {
    bytes: &'a [u8],
    at: usize,
    lines: Vec<Line>,
    /// Lines of the brackets open, innermost last.
    open: Vec<usize>,
}

impl Builder<'_> {
    fn run(&mut self) {
        let mut key = None;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'{' | b'[' => {
                    let close = if byte == b'{' { b'}' } else { b']' };
                    self.count_element();
                    self.open(byte, close, key.take());
                }
                b'}' | b']' => {
                    self.at += 1;
                    self.close(char::from(byte));
                }
                b',' => {
                    self.at += 1;
                    if let Some(last) = self.lines.last_mut() {
                        last.comma = true;
                    }
                }
                b'"' if key.is_none() && self.is_in_object() => key = Some(self.string()),
                b'"' => {
                    let range = self.string();
                    self.scalar(range, key.take());
                }
                b':' | b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => {
                    let start = self.at;
                    let word = |byte: &u8| !b",:]}[{\" \t\r\n".contains(byte);
                    self.at += self.bytes[start..].iter().take_while(|b| word(b)).count().max(1);
                    self.scalar(start..self.at, key.take());
                }
            }
        }
        // Real JSON closes every bracket; anything else is closed by its end.
        let last = self.lines.len().saturating_sub(1);
        for line in std::mem::take(&mut self.open) {
            if let Some(Line { part: Part::Open { end, .. }, .. }) = self.lines.get_mut(line) {
                *end = last;
            }
        }
    }

    fn is_in_object(&self) -> bool {
        let innermost = self.open.last().and_then(|line| self.lines.get(*line));
        matches!(innermost.map(|line| &line.part), Some(Part::Open { bracket: '{', .. }))
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    break;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        start..self.at
    }

    fn count_element(&mut self) {
        let innermost = self.open.last().and_then(|line| self.lines.get_mut(*line));
        if let Some(Line { part: Part::Open { count, .. }, .. }) = innermost {
            *count += 1;
        }
    }

    fn scalar(&mut self, range: Range<usize>, key: Option<Range<usize>>) {
        self.count_element();
        self.push(key, Part::Scalar(range));
    }

    fn open(&mut self, bracket: u8, close: u8, key: Option<Range<usize>>) {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if rest.get(blank) == Some(&close) {
            self.at += blank + 1;
            self.push(key, Part::Empty(if bracket == b'{' { "{}" } else { "[]" }));
            return;
        }
        let bracket = char::from(bracket);
        self.push(key, Part::Open { bracket, end: 0, count: 0 });
        self.open.push(self.lines.len() - 1);
    }

    fn close(&mut self, bracket: char) {
        let opened = self.open.pop();
        self.push(None, Part::Close(bracket));
        let here = self.lines.len() - 1;
        let opened = opened.and_then(|line| self.lines.get_mut(line));
        if let Some(Line { part: Part::Open { end, .. }, .. }) = opened {
            *end = here;
        }
    }

    fn push(&mut self, key: Option<Range<usize>>, part: Part) {
        let depth = self.open.len();
        self.lines.push(Line { depth, key, part, comma: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn render(document: &Document, folding: &Folding) -> String {
        let mut out = String::new();
        for at in folding.visible(document) {
            let line = &document.lines()[at];
            out.push_str(&" ".repeat(line.depth));
            if let Some(key) = &line.key {
                out.push_str(document.slice(key));
                out.push(':');
            }
            match &line.part {
                Part::Scalar(range) => out.push_str(document.slice(range)),
                Part::Empty(text) => out.push_str(text),
                Part::Open { bracket, count, .. } if folding.is_folded(at) => {
                    out.push_str(&format!("{bracket}{count}…"));
                }
                Part::Open { bracket, .. } | Part::Close(bracket) => out.push(*bracket),
            }
            if line.comma {
                out.push(',');
            }
            out.push('\n');
        }
        out
    }

    #[test]
    fn keys_keep_their_order_and_numbers_their_digits() {
        let document = Document::of_text(r#"{"b":1.50,"a":[18446744073709551616,{}, "x,\"}"]}"#);
        assert_eq!(
            render(&document, &Folding::default()),
            "{\n \"b\":1.50,\n \"a\":[\n  18446744073709551616,\n  {},\n  \"x,\\\"}\"\n ]\n}\n"
        );
    }

    #[test]
    fn what_is_folded_is_one_line_with_a_count() {
        let document = Document::of_text(r#"{"a":[1,[2,3]],"b":2}"#);
        let mut folding = Folding { cursor: 1, ..Folding::default() };
        folding.fold(&document);
        assert_eq!(render(&document, &folding), "{\n \"a\":[2…\n \"b\":2\n}\n");
        folding.unfold();
        folding.cursor = 4;
        folding.fold(&document);
        assert_eq!(folding.cursor, 3, "a scalar's parent is next");
        folding.toggle_all(&document);
        assert_eq!(folding.visible(&document).len(), 4);
        folding.toggle_all(&document);
        assert_eq!(folding.visible(&document).len(), document.lines().len());
    }

    #[test]
    fn a_scalar_alone_and_no_json_at_all_are_one_line() {
        assert_eq!(render(&Document::of_text(" 3.0 "), &Folding::default()), "3.0\n");
        assert_eq!(render(&Document::of_text("oh no"), &Folding::default()), "\"oh no\"\n");
    }

    proptest! {
        #[test]
        fn any_text_is_laid_out_without_a_panic(text in r#"[\[\]{}",: a1\\]{0,40}"#) {
            let document = Document::lay_out(&text);
            let mut folding = Folding::default();
            folding.toggle_all(&document);
            prop_assert!(folding.visible(&document).len() <= document.lines().len());
        }

        #[test]
        fn unfolded_lines_say_the_whole_value(values in prop::collection::vec(any::<i32>(), 0..9)) {
            let text = serde_json::to_string(&serde_json::json!({"a": values, "b": [values]})).unwrap();
            let document = Document::of_text(&text);
            let flat: String = render(&document, &Folding::default()).split_whitespace().collect();
            prop_assert_eq!(flat, text);
        }
    }
}
