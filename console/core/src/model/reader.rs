//! A text that is read over the view: a whole string, an item of a stream, a documentation.

use super::docs::{DocKind, DocLine, Docs, docs};
use super::json::Document;
use super::scroll::Step;
use super::service::{MethodId, Service};
use crate::text;

/// Longer texts are cut: they are wrapped for every frame. The pager shows all.
const MAX_BYTES: usize = 256 * 1024;
/// Wider lines are hard to read.
const MAX_WIDTH: u16 = 110;

/// A text, and how far it is scrolled.
#[derive(Debug)]
pub struct Reader {
    /// The title.
    pub title: String,
    /// The text.
    body: Body,
    /// The first visible line.
    pub top: usize,
}

#[derive(Debug)]
enum Body {
    Text(String),
    Docs(Box<Docs>),
}

impl Reader {
    /// Reads a text, with its line breaks.
    pub fn text(title: impl Into<String>, text: &str) -> Self {
        let mut body = text::prefix(text, MAX_BYTES).to_owned();
        if body.len() < text.len() {
            body.push_str(&format!(
                "…\n(the first {} of {})",
                text::bytes(body.len()),
                text::bytes(text.len())
            ));
        }
        Self { title: title.into(), body: Body::Text(body), top: 0 }
    }

    /// Reads JSON, indented.
    pub fn json(title: impl Into<String>, json: &str) -> Self {
        let mut pretty = Vec::new();
        // Writing to memory cannot fail.
        let _ = Document::of_text(json).write_pretty(&mut pretty);
        let pretty = String::from_utf8_lossy(&pretty);
        Self::text(title, pretty.trim_end())
    }

    /// Reads the documentation of a method.
    pub fn docs(docs: Docs) -> Self {
        let title = match &*docs.offered.service {
            "" => format!("Docs of {}", docs.signature.name),
            service => format!("Docs of {service} · {}", docs.signature.name),
        };
        Self { title, body: Body::Docs(Box::new(docs)), top: 0 }
    }

    /// The method whose documentation it is.
    pub fn method(&self) -> Option<MethodId> {
        let Body::Docs(docs) = &self.body else { return None };
        let service = Some(&*docs.offered.service).filter(|name| !name.is_empty());
        let service = service.map(Service::named).unwrap_or_default();
        Some(MethodId::new(&service, docs.signature.name.clone()))
    }

    /// Reads the documentation that the method has now.
    pub fn renew(&mut self, docs: Docs) {
        self.body = Body::Docs(Box::new(docs));
    }

    /// The lines, at most `width` cells wide.
    pub fn lines(&self, width: usize) -> Vec<DocLine> {
        match &self.body {
            Body::Docs(page) => docs(page, width),
            Body::Text(body) => body
                .lines()
                .flat_map(|line| {
                    text::wrap_words(&text::printable(&line.replace('\t', "  ")), width)
                })
                .map(|text| DocLine { kind: DocKind::Text, text })
                .collect(),
        }
    }

    /// The whole text, to copy.
    pub fn copied(&self) -> String {
        match &self.body {
            Body::Text(body) => text::printable_lines(body).into_owned(),
            Body::Docs(page) => {
                let lines = docs(page, usize::from(MAX_WIDTH));
                lines.into_iter().map(|line| line.text + "\n").collect()
            }
        }
    }

    /// Columns and rows of the text on a screen of this size.
    pub fn room((columns, rows): (u16, u16)) -> (usize, usize) {
        let width = columns.min(MAX_WIDTH).saturating_sub(4).max(1);
        // Header, tabs, hints, the message row and the frame.
        (width.into(), rows.saturating_sub(6).max(1).into())
    }

    /// Scrolls, on a screen of this size.
    pub fn step(&mut self, step: Step, size: (u16, u16)) {
        let (width, height) = Self::room(size);
        let tops = self.lines(width).len().saturating_sub(height) + 1;
        self.top = step.from(self.top.min(tops - 1), tops);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(reader: &Reader, width: usize) -> Vec<String> {
        reader.lines(width).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn line_breaks_stay_and_long_lines_wrap_at_words() {
        let reader = Reader::text("t", "one two three\n\n\tx\u{1b}");
        assert_eq!(lines(&reader, 10), ["one two", "three", "", "  x\\u001b"]);
        assert_eq!(reader.copied(), "one two three\n\n\tx\\u001b");
    }

    #[test]
    fn json_is_indented_and_scrolling_ends_at_the_last_line() {
        let mut reader = Reader::json("t", r#"{"a":[1,2.50]}"#);
        assert_eq!(lines(&reader, 40), ["{", "  \"a\": [", "    1,", "    2.50", "  ]", "}"]);
        reader.step(Step::By(9), (80, 10));
        assert_eq!(reader.top, 2, "four rows are visible");
        reader.step(Step::First, (80, 10));
        assert_eq!(reader.top, 0);
    }

    #[test]
    fn a_very_long_text_is_cut_and_says_so() {
        let reader = Reader::text("t", &"x".repeat(MAX_BYTES + 10));
        assert!(
            reader.copied().ends_with("(the first 256.0 KiB of 256.0 KiB)"),
            "{}",
            &reader.copied()[MAX_BYTES..]
        );
    }
}
