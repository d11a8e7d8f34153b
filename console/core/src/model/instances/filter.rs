//! Which instances a filter lets through: `re`, `!re` or `~loosely`.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use regex::{Regex, RegexBuilder};

use crate::text::Needle;

/// A compiled expression may take so many bytes; a larger one is looked for as it is written.
const MAX_COMPILED: usize = 1 << 20;

/// What is typed as a filter, understood. Case never matters.
#[derive(Debug, Default)]
pub struct Filter {
    typed: String,
    test: Test,
}

#[derive(Debug, Default)]
enum Test {
    /// Nothing is typed.
    #[default]
    All,
    /// A regular expression, or the very text: an address has brackets and dots.
    Like(Needle, Option<Regex>),
    /// Neither of the two.
    Unlike(Needle, Option<Regex>),
    /// The letters in this order, others between them.
    Loosely(Pattern),
}

impl Filter {
    /// Keeps up with what is typed.
    pub(super) fn follow(&mut self, typed: &str) {
        if self.typed != typed {
            *self = Self { typed: typed.to_owned(), test: Test::new(typed.trim()) };
        }
    }

    /// Whether what is typed looks like a regular expression and is none.
    pub fn is_no_expression(&self) -> bool {
        matches!(self.test, Test::Like(_, None) | Test::Unlike(_, None))
    }

    /// Those of `rows` of whose texts one passes.
    pub(super) fn passing<'a, T>(
        &self,
        rows: impl Iterator<Item = &'a T>,
        texts: impl Fn(&T) -> Vec<String>,
    ) -> Vec<&'a T> {
        let like = |needle: &Needle, regex: &Option<Regex>, row: &T| {
            let is_in = |text: &String| {
                needle.is_in(text) || regex.as_ref().is_some_and(|r| r.is_match(text))
            };
            texts(row).iter().any(is_in)
        };
        match &self.test {
            Test::All => rows.collect(),
            Test::Like(needle, regex) => rows.filter(|row| like(needle, regex, row)).collect(),
            Test::Unlike(needle, regex) => rows.filter(|row| !like(needle, regex, row)).collect(),
            Test::Loosely(pattern) => {
                let (mut matcher, mut buffer) = (Matcher::new(Config::DEFAULT), Vec::new());
                let mut fits = |text: &String| {
                    pattern.score(Utf32Str::new(text, &mut buffer), &mut matcher).is_some()
                };
                rows.filter(|row| texts(row).iter().any(&mut fits)).collect()
            }
        }
    }
}

impl Test {
    fn new(typed: &str) -> Self {
        if let Some(typed) = typed.strip_prefix('~') {
            return Self::Loosely(Pattern::parse(
                typed,
                CaseMatching::Ignore,
                Normalization::Smart,
            ));
        }
        let (typed, unlike) = match typed.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), true),
            None => (typed, false),
        };
        if typed.is_empty() {
            return Self::All;
        }
        let regex =
            RegexBuilder::new(typed).case_insensitive(true).size_limit(MAX_COMPILED).build();
        let (needle, regex) = (Needle::new(typed), regex.ok());
        if unlike { Self::Unlike(needle, regex) } else { Self::Like(needle, regex) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(typed: &str) -> Vec<&'static str> {
        const TEXTS: [&str; 4] = ["127.0.0.1:8089", "10.0.0.7:8090", "[::1]:8091", "Late"];
        let mut filter = Filter::default();
        filter.follow(typed);
        filter.passing(TEXTS.iter(), |text| vec![(*text).to_owned()]).into_iter().copied().collect()
    }

    #[test]
    fn an_expression_lets_through_what_it_matches_and_its_negation_the_rest() {
        assert_eq!(passing(r"^1.*80[89]\d$"), ["127.0.0.1:8089", "10.0.0.7:8090"]);
        assert_eq!(passing(r"!^1.*80[89]\d$"), ["[::1]:8091", "Late"]);
        assert_eq!(passing("8089|late"), ["127.0.0.1:8089", "Late"]);
        assert_eq!(passing("! late"), passing("!LATE"));
        assert_eq!((passing("").len(), passing("!").len(), passing("~").len()), (4, 4, 4));
    }

    #[test]
    fn what_is_no_expression_and_an_address_in_brackets_are_found_as_they_are_written() {
        assert!(passing("[::1]:80").contains(&"[::1]:8091"));
        assert_eq!(passing("[::"), ["[::1]:8091"], "half typed");
        let mut filter = Filter::default();
        filter.follow("[::");
        assert!(filter.is_no_expression());
    }

    #[test]
    fn letters_in_their_order_are_enough_after_a_tilde() {
        assert_eq!(passing("~1289"), ["127.0.0.1:8089"]);
        assert_eq!(passing("~lt"), ["Late"]);
    }

    #[test]
    fn an_expression_that_would_grow_without_bound_is_a_text() {
        let mut filter = Filter::default();
        filter.follow("((a{1000}){1000}){1000}");
        assert!(filter.is_no_expression());
    }
}
