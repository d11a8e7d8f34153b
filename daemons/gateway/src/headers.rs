//! The headers of an HTTP request that repeat what its body says: they must agree.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::era::LEGACY;
use crate::problem::Problem;

/// The headers that count, as they were sent.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    pub(crate) version: Header,
    pub(crate) method: Header,
    pub(crate) name: Header,
    /// The trace context of HTTP.
    pub(crate) traceparent: Header,
}

/// A header's value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Header {
    #[default]
    Missing,
    Given(String),
    /// Not text, or there are two.
    Unreadable,
}

const VERSION: &str = "MCP-Protocol-Version";
const METHOD: &str = "Mcp-Method";
const NAME: &str = "Mcp-Name";

impl Header {
    fn is(&self, header: &str, body: &str) -> Result<(), Problem> {
        let why = match self {
            Self::Given(value) if value == body => return Ok(()),
            Self::Given(value) => {
                let start = |text: &str| text.chars().take(100).collect::<String>();
                format!("value '{}' does not match body value '{}'", start(value), start(body))
            }
            Self::Missing => "is missing".to_owned(),
            Self::Unreadable => "is not one plain text".to_owned(),
        };
        Err(Problem::header_mismatch(format!("Header mismatch: {header} {why}")))
    }

    /// What it stands for: text that no header can have is sent as Base64.
    fn decoded(&self) -> Cow<'_, Self> {
        let Self::Given(value) = self else { return Cow::Borrowed(self) };
        let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
        let Some(encoded) = encoded else { return Cow::Borrowed(self) };
        let text = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Cow::Owned(text.map_or(Self::Unreadable, Self::Given))
    }
}

impl Headers {
    /// The trace context, if one is given.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        match &self.traceparent {
            Header::Given(context) => Some(context),
            _ => None,
        }
    }

    /// Whether they are those of a stateless request.
    ///
    /// # Errors
    /// One is missing, or says something else.
    pub(crate) fn agree(
        &self,
        version: &str,
        method: &str,
        name: Option<Cow<'_, str>>,
    ) -> Result<(), Problem> {
        self.version.is(VERSION, version)?;
        self.method.is(METHOD, method)?;
        match name {
            Some(name) => self.name.decoded().is(NAME, &name),
            None => Ok(()),
        }
    }

    /// Whether the version is one of those with `initialize`, or is not said.
    ///
    /// # Errors
    /// It is another one: then the body lacks what that demands.
    pub(crate) fn are_legacy(&self, method: &str) -> Result<(), Problem> {
        match &self.version {
            Header::Missing => Ok(()),
            Header::Given(version) if LEGACY.contains(&version.as_str()) => Ok(()),
            // What it agrees on is in its body.
            _ if method == "initialize" => Ok(()),
            Header::Given(version) => {
                let version: String = version.chars().take(100).collect();
                Err(Problem::invalid_params(format!(
                    "{VERSION} says {version}, for which _meta lacks io.modelcontextprotocol/protocolVersion"
                )))
            }
            Header::Unreadable => self.version.is(VERSION, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Header {
        Header::Given(text.to_owned())
    }

    fn headers(version: &str, method: &str, name: &str) -> Headers {
        let [version, method, name] = [version, method, name].map(given);
        Headers { version, method, name, ..Headers::default() }
    }

    #[test]
    fn headers_that_say_what_the_body_says_agree() {
        let agree = |headers: &Headers| {
            headers.agree("2026-07-28", "tools/call", Some("größe".into())).map_err(|it| it.code)
        };
        assert_eq!(agree(&headers("2026-07-28", "tools/call", "=?base64?Z3LDtsOfZQ==?=")), Ok(()));
        for wrong in [
            headers("2025-11-25", "tools/call", "=?base64?Z3LDtsOfZQ==?="),
            headers("2026-07-28", "Tools/Call", "=?base64?Z3LDtsOfZQ==?="),
            headers("2026-07-28", "tools/call", "gr"),
            headers("2026-07-28", "tools/call", "=?base64?*?="),
            Headers { name: Header::Missing, ..headers("2026-07-28", "tools/call", "") },
            Headers { method: Header::Unreadable, ..headers("2026-07-28", "", "") },
        ] {
            assert_eq!(agree(&wrong), Err(-32020), "{wrong:?}");
        }
        assert!(headers("v", "tools/list", "whatever").agree("v", "tools/list", None).is_ok());
    }

    #[test]
    fn a_header_alone_makes_no_stateless_request() {
        let code = |version: Header, method| {
            Headers { version, ..Headers::default() }.are_legacy(method).map_err(|it| it.code)
        };
        assert_eq!(code(Header::Missing, "tools/list"), Ok(()));
        assert_eq!(code(given("2025-06-18"), "tools/list"), Ok(()));
        assert_eq!(code(given("2026-07-28"), "initialize"), Ok(()));
        assert_eq!(code(given("2026-07-28"), "tools/list"), Err(-32602));
    }
}
