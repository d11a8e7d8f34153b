//! A text to search for: literally, or as a regular expression.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use crate::text::Needle;

/// Maximum size of a compiled regex; a larger one is searched literally.
const MAX_COMPILED: usize = 1 << 20;

/// A text that matches literally, and as a regex if it is one: addresses have dots and brackets.
/// Case is ignored.
#[derive(Debug, Clone)]
pub struct Pattern {
    typed: String,
    needle: Needle,
    /// Only of texts that mean something else as a regex.
    regex: Option<Regex>,
    is_invalid: bool,
}

impl Default for Pattern {
    fn default() -> Self {
        Self::new("")
    }
}

impl Pattern {
    /// Compiles a text as typed.
    pub fn new(typed: &str) -> Self {
        let (mut regex, mut is_invalid) = (None, false);
        if regex::escape(typed) != typed {
            let built =
                RegexBuilder::new(typed).case_insensitive(true).size_limit(MAX_COMPILED).build();
            is_invalid = built.is_err();
            regex = built.ok();
        }
        Self { typed: typed.to_owned(), needle: Needle::new(typed), regex, is_invalid }
    }

    /// Whether nothing is searched for.
    pub fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// Whether the text is not a valid regex, so that it is searched literally.
    pub fn is_invalid_regex(&self) -> bool {
        self.is_invalid
    }

    /// Whether `text` contains it; always true when it is empty.
    pub fn is_in(&self, text: &str) -> bool {
        self.needle.is_in(text) || self.regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    /// The first place in `text` that matches, empty matches of a regex apart.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        let literal = self.needle.find(text);
        let mut found = self.regex.iter().flat_map(|regex| regex.find_iter(text));
        let regex = found.find(|found| !found.is_empty()).map(|found| found.range());
        match (literal, regex) {
            (Some(literal), Some(regex)) if regex.start < literal.start => Some(regex),
            (literal, regex) => literal.or(regex),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_matches_literally_and_as_a_regex() {
        let digits = Pattern::new(r"peer=\d+");
        assert_eq!(digits.find("a PEER=127.0.0.1"), Some(2..10));
        assert!(digits.is_in("peer=1") && !digits.is_in("peer=x"));
        assert_eq!(Pattern::new("a.c").find("xabc a.c"), Some(1..4), "the first of both");
        assert_eq!(Pattern::new("x*").find("aaa"), None, "nothing to highlight");
        assert!(Pattern::default().is_empty() && Pattern::default().is_in("any"));
    }

    #[test]
    fn an_invalid_regex_matches_literally() {
        let half_typed = Pattern::new("[::");
        assert!(half_typed.is_invalid_regex() && half_typed.is_in("[::1]:80"));
        assert!(Pattern::new("((a{1000}){1000}){1000}").is_invalid_regex());
        assert!(!Pattern::new("plain").is_invalid_regex());
    }
}
