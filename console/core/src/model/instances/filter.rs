//! The filter of the instances: `regex`, `!regex` or `~fuzzy`.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use regex::{Regex, RegexBuilder};

use crate::text::Needle;

/// Maximum size of a compiled regex; a larger one is searched literally.
const MAX_COMPILED: usize = 1 << 20;

/// A compiled filter. Case is ignored.
#[derive(Debug, Default)]
pub struct Filter {
    typed: String,
    rule: Rule,
}

#[derive(Debug, Default)]
enum Rule {
    /// No filter.
    #[default]
    All,
    /// Matches the regex or the literal text: addresses have dots and brackets.
    Match(Needle, Option<Regex>),
    /// Matches neither.
    Exclude(Needle, Option<Regex>),
    /// Contains these letters in this order.
    Fuzzy(Pattern),
}

impl Filter {
    /// Compiles the text if it changed.
    pub(super) fn set(&mut self, typed: &str) {
        if self.typed != typed {
            *self = Self { typed: typed.to_owned(), rule: Rule::new(typed.trim()) };
        }
    }

    /// Whether the text is not a valid regex.
    pub fn is_invalid_regex(&self) -> bool {
        matches!(self.rule, Rule::Match(_, None) | Rule::Exclude(_, None))
    }

    /// The rows of which any text matches.
    pub(super) fn matching<'a, T>(
        &self,
        rows: impl Iterator<Item = &'a T>,
        texts: impl Fn(&T) -> Vec<String>,
    ) -> Vec<&'a T> {
        let matches = |needle: &Needle, regex: &Option<Regex>, row: &T| {
            let is_in = |text: &String| {
                needle.is_in(text) || regex.as_ref().is_some_and(|r| r.is_match(text))
            };
            texts(row).iter().any(is_in)
        };
        match &self.rule {
            Rule::All => rows.collect(),
            Rule::Match(needle, regex) => rows.filter(|row| matches(needle, regex, row)).collect(),
            Rule::Exclude(needle, regex) => {
                rows.filter(|row| !matches(needle, regex, row)).collect()
            }
            Rule::Fuzzy(pattern) => {
                let (mut matcher, mut buffer) = (Matcher::new(Config::DEFAULT), Vec::new());
                let mut fits = |text: &String| {
                    pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher).is_some()
                };
                rows.filter(|row| texts(row).iter().any(&mut fits)).collect()
            }
        }
    }
}

impl Rule {
    fn new(typed: &str) -> Self {
        if let Some(typed) = typed.strip_prefix('~') {
            return Self::Fuzzy(Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart));
        }
        let (typed, exclude) = match typed.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), true),
            None => (typed, false),
        };
        if typed.is_empty() {
            return Self::All;
        }
        let regex =
            RegexBuilder::new(typed).case_insensitive(true).size_limit(MAX_COMPILED).build();
        let (needle, regex) = (Needle::new(typed), regex.ok());
        if exclude { Self::Exclude(needle, regex) } else { Self::Match(needle, regex) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(typed: &str) -> Vec<&'static str> {
        const TEXTS: [&str; 4] = ["127.0.0.1:8089", "10.0.0.7:8090", "[::1]:8091", "Late"];
        let mut filter = Filter::default();
        filter.set(typed);
        filter
            .matching(TEXTS.iter(), |text| vec![(*text).to_owned()])
            .into_iter()
            .copied()
            .collect()
    }

    #[test]
    fn a_regex_matches_and_its_negation_excludes() {
        assert_eq!(passing(r"^1.*80[89]\d$"), ["127.0.0.1:8089", "10.0.0.7:8090"]);
        assert_eq!(passing(r"!^1.*80[89]\d$"), ["[::1]:8091", "Late"]);
        assert_eq!(passing("8089|late"), ["127.0.0.1:8089", "Late"]);
        assert_eq!(passing("! late"), passing("!LATE"));
        assert_eq!((passing("").len(), passing("!").len(), passing("~").len()), (4, 4, 4));
    }

    #[test]
    fn invalid_regexes_and_addresses_in_brackets_match_literally() {
        assert!(passing("[::1]:80").contains(&"[::1]:8091"));
        assert_eq!(passing("[::"), ["[::1]:8091"], "half typed");
        let mut filter = Filter::default();
        filter.set("[::");
        assert!(filter.is_invalid_regex());
    }

    #[test]
    fn a_tilde_matches_fuzzily() {
        assert_eq!(passing("~1289"), ["127.0.0.1:8089"]);
        assert_eq!(passing("~lt"), ["Late"]);
    }

    #[test]
    fn a_regex_that_compiles_too_large_is_literal() {
        let mut filter = Filter::default();
        filter.set("((a{1000}){1000}){1000}");
        assert!(filter.is_invalid_regex());
    }
}
