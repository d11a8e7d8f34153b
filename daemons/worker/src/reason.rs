//! Why a process takes no calls: in full for the log and the operator, and without what it wrote for callers.

use std::fmt;

use crate::conversation::Offence;

/// The rest of a sentence that begins with the name of the program. Displayed in full: callers may see no logs, and get
/// [`for_callers`](Self::for_callers).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reason {
    what: String,
    /// What only the log has: what the process wrote about it; empty: nothing.
    detail: String,
    /// What is to be said behind that.
    beside: &'static str,
}

impl Reason {
    /// What happened, with what the process wrote about it to standard error.
    pub(crate) fn with_words(what: impl Into<String>, said: impl AsRef<str>) -> Self {
        let detail = match said.as_ref() {
            "" => String::new(),
            said => format!("it said: {said:?}"),
        };
        Self { what: what.into(), detail, beside: "" }
    }

    /// The same with this behind it.
    pub(crate) fn and(self, beside: &'static str) -> Self {
        Self { beside, ..self }
    }

    /// What everybody may know who may call.
    pub(crate) fn for_callers(&self) -> String {
        let hint = if self.detail.is_empty() { "" } else { " (the server's log says why)" };
        format!("{}{hint}{}", self.what, self.beside)
    }
}

impl From<String> for Reason {
    fn from(what: String) -> Self {
        Self::with_words(what, "")
    }
}

/// A line that is no message may be anything, as standard error may.
impl From<Offence> for Reason {
    fn from(offence: Offence) -> Self {
        let what = offence.to_string();
        let Offence::NotAMessage { line, why } = offence else { return what.into() };
        let beside = match line.starts_with('{') {
            true => "",
            false => "; print to standard error what is not meant for callers",
        };
        Self { what, detail: format!("{why}: {line:?}"), beside }
    }
}

impl From<&str> for Reason {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, detail, beside } = self;
        match detail.as_str() {
            "" => write!(f, "{what}{beside}"),
            detail => write!(f, "{what} ({detail}){beside}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_wrote_is_for_the_log_alone() {
        let words = Reason::with_words("ended", "password=7");
        let (line, why) = ("password=7".to_owned(), "expected an id".to_owned());
        let line = Reason::from(Offence::NotAMessage { line, why });
        assert_eq!(
            line.for_callers(),
            "wrote a line that is no message (the server's log says why); print to standard error what is not meant for callers"
        );
        for reason in [words, line] {
            assert!(!reason.for_callers().contains('7'), "{}", reason.for_callers());
            assert!(reason.to_string().contains("password=7"), "{reason}");
        }
    }
}
