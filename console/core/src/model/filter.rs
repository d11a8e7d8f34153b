//! A filter of rows or lines: `regex`, `!regex` or `~fuzzy`.

use std::sync::Arc;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern as Letters};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::pattern::Pattern;

/// A compiled filter. Case is ignored.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    typed: String,
    rule: Arc<Rule>,
}

#[derive(Debug, Default)]
enum Rule {
    /// No filter.
    #[default]
    All,
    /// Some text matches.
    Match(Pattern),
    /// No text matches.
    Exclude(Pattern),
    /// Some text contains these letters in this order.
    Fuzzy(Letters),
}

impl Filter {
    /// Compiles the text if it changed.
    pub fn set(&mut self, typed: &str) {
        if self.typed != typed {
            *self = Self { typed: typed.to_owned(), rule: Arc::new(Rule::new(typed.trim())) };
        }
    }

    /// Whether the text is not a valid regex.
    pub fn is_invalid_regex(&self) -> bool {
        matches!(&*self.rule, Rule::Match(text) | Rule::Exclude(text) if text.is_invalid_regex())
    }

    /// Tests texts, independent of later changes of the filter.
    pub fn tester(&self) -> Tester {
        let is_fuzzy = matches!(&*self.rule, Rule::Fuzzy(_));
        // Its buffers are large; other rules need none.
        let matcher = is_fuzzy.then(|| (Matcher::new(Config::DEFAULT), Vec::new()));
        Tester { rule: Arc::clone(&self.rule), matcher }
    }

    /// The rows of which any text matches.
    pub(super) fn matching<'a, T>(
        &self,
        rows: impl Iterator<Item = &'a T>,
        texts: impl Fn(&T) -> Vec<String>,
    ) -> Vec<&'a T> {
        if matches!(&*self.rule, Rule::All) {
            return rows.collect();
        }
        let mut tester = self.tester();
        rows.filter(|row| tester.passes(&texts(row))).collect()
    }
}

/// Tests texts against a filter.
#[derive(Debug)]
pub struct Tester {
    rule: Arc<Rule>,
    matcher: Option<(Matcher, Vec<char>)>,
}

impl Tester {
    /// Whether a row of these texts passes.
    pub fn passes<T: AsRef<str>>(&mut self, texts: &[T]) -> bool {
        let mut texts = texts.iter().map(AsRef::as_ref);
        match (&*self.rule, &mut self.matcher) {
            (Rule::Match(pattern), _) => texts.any(|text| pattern.is_in(text)),
            (Rule::Exclude(pattern), _) => !texts.any(|text| pattern.is_in(text)),
            (Rule::Fuzzy(letters), Some((matcher, buffer))) => {
                texts.any(|text| letters.score(Utf32Str::new(text, buffer), matcher).is_some())
            }
            (Rule::All | Rule::Fuzzy(_), _) => true,
        }
    }
}

impl Rule {
    fn new(typed: &str) -> Self {
        if let Some(typed) = typed.strip_prefix('~') {
            return Self::Fuzzy(Letters::parse(typed, CaseMatching::Ignore, Normalization::Smart));
        }
        let (typed, exclude) = match typed.strip_prefix('!') {
            Some(rest) => (rest.trim_start(), true),
            None => (typed, false),
        };
        match (typed.is_empty(), exclude) {
            (true, _) => Self::All,
            (false, true) => Self::Exclude(Pattern::new(typed)),
            (false, false) => Self::Match(Pattern::new(typed)),
        }
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
