//! Why a process takes no calls: in full for the log and the operator, and without its standard error for callers.

use std::fmt;

/// The rest of a sentence that begins with the name of the program. Displayed in full: callers may see no logs, and get
/// [`for_callers`](Self::for_callers).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reason {
    what: String,
    /// What it wrote to standard error about it; empty: nothing.
    said: String,
    /// What is to be said behind that.
    beside: &'static str,
}

impl Reason {
    /// What happened, with what the process wrote about it to standard error.
    pub(crate) fn with_words(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what: what.into(), said: said.into(), beside: "" }
    }

    /// The same with this behind it.
    pub(crate) fn and(self, beside: &'static str) -> Self {
        Self { beside, ..self }
    }

    /// What everybody may know who may call.
    pub(crate) fn for_callers(&self) -> String {
        let hint = if self.said.is_empty() { "" } else { " (the server's log says why)" };
        format!("{}{hint}{}", self.what, self.beside)
    }
}

impl From<String> for Reason {
    fn from(what: String) -> Self {
        Self::with_words(what, "")
    }
}

impl From<&str> for Reason {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, said, beside } = self;
        match said.as_str() {
            "" => write!(f, "{what}{beside}"),
            said => write!(f, "{what} (it said: {said:?}){beside}"),
        }
    }
}
