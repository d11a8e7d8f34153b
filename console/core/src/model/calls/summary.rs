//! A call in one line: its arguments and its outcome.

use super::{Call, Outcome};
use crate::text;

/// Length of a result in a summary.
const SUMMARY_BYTES: usize = 1_000;

impl Call {
    /// The arguments in one line, as typed in the palette.
    pub fn arguments(&self) -> String {
        let inner = |text: &str| text[1..text.len().saturating_sub(1)].to_owned();
        let positional = inner(self.request.args.positional());
        let keyword = inner(self.request.args.keyword());
        match (positional.is_empty(), keyword.is_empty()) {
            (_, true) => positional,
            (true, false) => format!("{{{keyword}}}"),
            (false, false) => format!("{positional} {{{keyword}}}"),
        }
    }

    /// The bytes of [`Call::arguments`] at most.
    pub fn arguments_bytes(&self) -> usize {
        let (positional, keyword) = (self.request.args.positional(), self.request.args.keyword());
        match (positional.len(), keyword.len()) {
            (positional, 2) => positional - 2,
            (2, keyword) => keyword,
            (positional, keyword) => positional + keyword - 1,
        }
    }

    /// The bytes of [`Call::summary`], if it is a result or an error; else some words.
    pub fn summary_bytes(&self) -> usize {
        const WORDS: usize = 17;
        match self.outcome.as_ref().map(|outcome| &outcome.result) {
            Some(Ok(document)) if !self.request.stream => document.text().len(),
            Some(Err(failure)) => failure.text.len(),
            _ => self
                .past
                .as_ref()
                .and_then(|past| past.failure.as_ref())
                .map_or(WORDS, |failure| failure.text.len()),
        }
    }

    /// The outcome in a few words, and whether it succeeded; `None`: in flight.
    pub fn summary(&self) -> (String, Option<bool>) {
        if let (true, Some(Outcome { result: Ok(_), .. })) = (self.request.stream, &self.outcome) {
            // The result of a stream is always null.
            return (self.items.counted(), Some(true));
        }
        if let Some(past) = &self.past {
            return match &past.failure {
                Some(failure) => (failure.text.clone(), Some(false)),
                None => ("result not stored".to_owned(), Some(true)),
            };
        }
        match &self.outcome {
            None => ("in flight".to_owned(), None),
            Some(Outcome { result: Ok(document), .. }) => {
                (text::prefix(document.text(), SUMMARY_BYTES).to_owned(), Some(true))
            }
            Some(Outcome { result: Err(failure), .. }) => (failure.text.clone(), Some(false)),
        }
    }
}
