//! The value on a line as text, and its path.

use super::{Document, Line, Part};

impl Document {
    /// The value on this line as received; on a closing bracket, the value that it closes.
    pub fn value(&self, line: usize) -> &str {
        let line = self.opening(line);
        let mut lines = self.lines(line);
        let from = lines.at();
        let Some((_, found)) = lines.next() else { return "" };
        let bracket = match found.part {
            Part::Scalar(range) => return self.slice(&range),
            Part::Empty(text) => return text,
            Part::Open(bracket) | Part::Close(bracket) => bracket,
        };
        let head = self.slice(&(from..lines.at()));
        let start = from + head.rfind(bracket).unwrap_or_default();
        let Some(extent) = self.extent(line) else { return "" };
        let mut lines = self.lines(extent.end);
        let from = lines.at();
        lines.next();
        let tail = self.slice(&(from..lines.at()));
        let end = from + tail.rfind(['}', ']']).map_or(tail.len(), |at| at + 1);
        self.slice(&(start..end))
    }

    /// The path of the value on this line, as JSONPath: `$.items[3].name`.
    pub fn path(&self, line: usize) -> String {
        let mut parts = Vec::new();
        let mut here = self.opening(line);
        while let Some(found) = self.line(here).filter(|line| line.depth > 0) {
            let Some(parent) = self.parent(here) else { break };
            parts.push(match &found.key {
                Some(key) => name_segment(self.slice(key)),
                None => format!("[{}]", self.index(parent, here, found.depth)),
            });
            here = parent;
        }
        parts.push("$".to_owned());
        parts.into_iter().rev().collect()
    }

    /// The line that opens the value of this line.
    fn opening(&self, line: usize) -> usize {
        let Some(Line { part: Part::Close(_), depth, .. }) = self.line(line) else { return line };
        if let Some((start, _)) = self.extents.iter().find(|(_, extent)| extent.end == line) {
            return *start;
        }
        let from = line.saturating_sub(super::LONG_EXTENT + 1);
        let open = |(_, found): &(usize, Line)| {
            found.depth == depth && matches!(found.part, Part::Open(_))
        };
        self.lines(from).take(line - from).filter(open).last().map_or(line, |(at, _)| at)
    }

    /// The number of elements of the list at `parent` before `line`.
    fn index(&self, parent: usize, line: usize, depth: usize) -> usize {
        let before = self.lines(parent + 1).take(line.saturating_sub(parent + 1));
        before.filter(|(_, l)| l.depth == depth && !matches!(l.part, Part::Close(_))).count()
    }
}

/// `.name`, or `['other name']`. The key is given as in JSON, in quotes.
fn name_segment(key: &str) -> String {
    let name: String = serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
    let is_plain = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || !c.is_ascii() || at > 0 && c.is_ascii_digit()
    };
    if !name.is_empty() && name.char_indices().all(is_plain) {
        return format!(".{name}");
    }
    let mut quoted = String::new();
    for c in name.chars() {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    format!("['{quoted}']")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_value_as_received_and_a_path() {
        let text = r#" {"a{b": [ 1.50 , {"name":"x" } , [ ] ], "it's": { "z": 1, "a":{}} } "#;
        let document = Document::of_text(text);
        let found: Vec<_> =
            (0..document.len()).map(|at| (document.path(at), document.value(at))).collect();
        let list = r#"[ 1.50 , {"name":"x" } , [ ] ]"#;
        let expected = [
            ("$", text.trim()),
            ("$['a{b']", list),
            ("$['a{b'][0]", "1.50"),
            ("$['a{b'][1]", r#"{"name":"x" }"#),
            ("$['a{b'][1].name", r#""x""#),
            ("$['a{b'][1]", r#"{"name":"x" }"#),
            ("$['a{b'][2]", "[]"),
            ("$['a{b']", list),
            (r"$['it\'s']", r#"{ "z": 1, "a":{}}"#),
            (r"$['it\'s'].z", "1"),
            (r"$['it\'s'].a", "{}"),
            (r"$['it\'s']", r#"{ "z": 1, "a":{}}"#),
            ("$", text.trim()),
        ];
        assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value)));
    }

    #[test]
    fn places_in_a_large_document_are_found_too() {
        let inner: Vec<_> = (0..5_000).map(|n| format!("{{\"n\":{n}}}")).collect();
        let text = format!("{{\"list\":[{}]}}", inner.join(","));
        let document = Document::of_text(&text);
        assert_eq!(
            (document.path(15_000).as_str(), document.value(15_000)),
            ("$.list[4999].n", "4999")
        );
        let end = document.len() - 2;
        assert_eq!(
            (document.path(end), document.value(end).len()),
            ("$.list".to_owned(), text.len() - 9)
        );
    }
}
