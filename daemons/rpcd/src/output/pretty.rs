//! JSON text for people: indented and coloured, or without white space. Never parsed, so numbers keep
//! every digit.

use std::fmt::Write as _;

use super::escapes;

/// Characters of an array or object without others inside that stays on one line.
const LINE: usize = 60;

/// What is nested deeper is indented no further: the text would grow with the square of the depth.
const MAX_INDENTED: usize = 128;

const KEY: &str = "\x1b[34m";
const STRING: &str = "\x1b[32m";
const LITERAL: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// Valid JSON, indented by two blanks, what would control a terminal escaped as JSON has it.
pub fn indented(json: &str, colour: bool) -> String {
    let mut out = Indented { out: String::with_capacity(json.len() * 2), depth: 0, colour };
    let mut tokens = tokens(json).peekable();
    // For each open container whether it is on one line.
    let mut inline: Vec<bool> = Vec::new();
    while let Some(token) = tokens.next() {
        match token.text {
            "{" | "[" => {
                let is_empty = tokens.peek().is_some_and(|next| matches!(next.text, "}" | "]"));
                let flat = is_empty || is_short(&json[token.at..]);
                out.out.push_str(token.text);
                inline.push(flat);
                if !flat {
                    out.depth += 1;
                    out.line_break();
                }
            }
            "}" | "]" => {
                if inline.pop() == Some(false) {
                    out.depth -= 1;
                    out.line_break();
                }
                out.out.push_str(token.text);
            }
            "," if inline.last() == Some(&false) => {
                out.out.push(',');
                out.line_break();
            }
            "," => out.out.push_str(", "),
            ":" => out.out.push_str(": "),
            value => {
                let is_key = tokens.peek().is_some_and(|next| next.text == ":");
                out.value(value, is_key);
            }
        }
    }
    out.out
}

/// Valid JSON without the white space between its parts.
pub fn compact(json: &str) -> String {
    tokens(json).map(|token| token.text).collect()
}

struct Indented {
    out: String,
    depth: usize,
    colour: bool,
}

impl Indented {
    fn line_break(&mut self) {
        let width = 2 * self.depth.min(MAX_INDENTED);
        let _ = write!(self.out, "\n{:width$}", "");
    }

    fn value(&mut self, text: &str, is_key: bool) {
        let shown = escapes::in_json(text);
        let paint = match text.as_bytes().first() {
            _ if !self.colour => "",
            Some(b'"') if is_key => KEY,
            Some(b'"') => STRING,
            Some(b't' | b'f' | b'n') => LITERAL,
            _ => "",
        };
        self.out.push_str(paint);
        self.out.push_str(&shown);
        if !paint.is_empty() {
            self.out.push_str(PLAIN);
        }
    }
}

/// Whether the container at the start of `json` fits in a line and holds no other.
fn is_short(json: &str) -> bool {
    let mut length = 0;
    for token in tokens(json).skip(1) {
        match token.text {
            "}" | "]" => return true,
            "{" | "[" => return false,
            text => length += text.chars().count() + 1,
        }
        if length > LINE {
            return false;
        }
    }
    false
}

/// The parts of valid JSON: punctuation, strings, and everything else up to the next of them.
struct Tokens<'a> {
    json: &'a str,
    at: usize,
}

struct Token<'a> {
    text: &'a str,
    at: usize,
}

fn tokens(json: &str) -> Tokens<'_> {
    Tokens { json, at: 0 }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.json.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        let (at, rest) = (self.at, self.json.get(self.at..)?);
        let length = match rest.as_bytes().first()? {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b'"' => end_of_string(rest),
            _ => rest
                .find(|c: char| "{}[],:\"".contains(c) || c.is_whitespace())
                .unwrap_or(rest.len()),
        };
        self.at += length;
        Some(Token { text: rest.get(..length)?, at })
    }
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_that_fit_stay_on_a_line_and_others_are_indented() {
        for (json, shown) in [
            ("[1,2]", "[1, 2]"),
            ("{}", "{}"),
            (
                r#"{"a":{},"b":[1,{"c":null}]}"#,
                "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\"c\": null}\n  ]\n}",
            ),
            (r#"{"a": "x: [1, 2]\\" }"#, r#"{"a": "x: [1, 2]\\"}"#),
            ("1.50", "1.50"),
            ("[123456789012345678901234567890]", "[123456789012345678901234567890]"),
        ] {
            assert_eq!(indented(json, false), shown, "{json}");
        }
        let long = format!("[{}]", vec!["1000"; 20].join(","));
        assert_eq!(indented(&long, false).lines().count(), 22);
    }

    #[test]
    fn keys_strings_and_literals_are_coloured_and_controls_escaped() {
        let shown = indented("{\"k\":[\"\u{9b}31m\",true,1]}", true);
        assert!(shown.contains("\x1b[34m\"k\"\x1b[0m: ["), "{shown:?}");
        assert!(shown.contains("\x1b[32m\"\\u009b31m\"\x1b[0m"), "{shown:?}");
        assert!(shown.contains("\x1b[33mtrue\x1b[0m"), "{shown:?}");
        assert!(!shown.contains('\u{9b}'));
    }

    #[test]
    fn deep_json_is_shown_without_the_square_of_its_depth() {
        let json = "[".repeat(40_000) + &"]".repeat(40_000);
        let shown = indented(&json, false);
        assert!(shown.len() < 300 * json.len(), "{}", shown.len());
        assert_eq!(compact(&shown), json);
    }

    #[test]
    fn white_space_between_the_parts_goes_and_nothing_else() {
        let json = "{ \"a b\" : [ 1.50 ,\n\"\\\" x\" ] }";
        assert_eq!(compact(json), r#"{"a b":[1.50,"\" x"]}"#);
    }

    #[test]
    fn any_json_stays_the_same_value() {
        rpc_fuzz::text("reply", |text| {
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
                let json = value.to_string();
                assert_eq!(compact(&json), json);
                let shown: serde_json::Value =
                    serde_json::from_str(&indented(&json, false)).unwrap_or_default();
                assert_eq!(shown, value, "{json}");
            }
        });
    }
}
