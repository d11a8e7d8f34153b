//! Which version of the protocol a request is in: the body says, never a header or a connection alone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::Request;
use crate::problem::Problem;

/// Stateless versions: each request says all.
pub(crate) const MODERN: [&str; 1] = ["2026-07-28"];
/// Versions that begin with `initialize`, the latest first. 2025-03-26 is the only one that demands batches.
pub(crate) const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2024-11-05"];

/// Methods that only stateless versions have.
const ONLY_MODERN: [&str; 2] = ["server/discover", "subscriptions/listen"];

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// By 2026-07-28 and later.
    Modern,
    /// By 2025-11-25 and earlier.
    Legacy,
}

impl Era {
    pub(crate) fn is_modern(self) -> bool {
        self == Self::Modern
    }
}

/// The name of a request for progress, a string or an integer, as it was written.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct ProgressToken(Box<RawValue>);

/// What a client says of itself; nothing is decided by it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ClientInfo<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    version: Cow<'a, str>,
}

impl ClientInfo<'_> {
    /// Name and version for people; `None` if it says none.
    pub(crate) fn shown(&self) -> Option<String> {
        /// A longer name is cut.
        const MAX_CHARS: usize = 64;
        let shown = format!("{} {}", self.name, self.version);
        let shown: String = shown.trim().chars().take(MAX_CHARS).collect();
        (!shown.is_empty()).then_some(shown)
    }
}

/// `params._meta` of a request. What a key holds is looked at only where it is needed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Meta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientInfo")]
    client: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken")]
    progress: Option<&'a RawValue>,
    #[serde(borrow, default)]
    traceparent: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

impl<'a> Meta<'a> {
    pub(crate) fn of(request: &Request<'a>) -> Result<Self, Problem> {
        let Some(params) = request.params else { return Ok(Self::default()) };
        let params: Params<'_> = serde_json::from_str(params.get())
            .map_err(|error| Problem::invalid_params(format!("_meta: {error}")))?;
        Ok(params.meta.unwrap_or_default())
    }

    pub(crate) fn era(&self, method: &str) -> Era {
        let says_all = [self.version, self.capabilities, self.client].iter().any(Option::is_some);
        if says_all || ONLY_MODERN.contains(&method) { Era::Modern } else { Era::Legacy }
    }

    /// The version of a stateless request, known or not.
    ///
    /// # Errors
    /// What such a request must say is missing.
    pub(crate) fn version(&self) -> Result<Cow<'a, str>, Problem> {
        let missing = |key: &str, what: &str| {
            let why = format!("_meta lacks io.modelcontextprotocol/{key}, {what}");
            Problem::invalid_params(why)
        };
        let version = self.version.and_then(text);
        let version = version.ok_or_else(|| missing("protocolVersion", "a string"))?;
        if !self.capabilities.is_some_and(|raw| raw.get().starts_with('{')) {
            return Err(missing("clientCapabilities", "an object"));
        }
        Ok(version)
    }

    pub(crate) fn client(&self) -> Option<String> {
        let client: ClientInfo<'_> = serde_json::from_str(self.client?.get()).ok()?;
        client.shown()
    }

    /// The trace context, if it says one.
    pub(crate) fn traceparent(&self) -> Option<Cow<'a, str>> {
        self.traceparent.and_then(text)
    }

    /// Where progress is to be reported, if it is.
    pub(crate) fn progress(&self) -> Option<ProgressToken> {
        let token = self.progress?;
        let is_one = token.get().starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
        // It comes back with each report.
        (is_one && token.get().len() <= 1024).then(|| ProgressToken(token.to_owned()))
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

/// The version that `initialize` agrees on: the latest that is no later than what is asked for, which who knows that
/// knows as a rule, or else the latest.
pub(crate) fn agreed(requested: Option<&str>) -> &'static str {
    let known = LEGACY.into_iter().find(|known| requested.is_some_and(|it| *known <= it));
    known.unwrap_or(LEGACY[0])
}

#[cfg(test)]
mod tests {
    use rpc_wire::framing::FrameLimits;

    use super::*;
    use crate::message::{Message, read};

    fn with_meta<T>(method: &str, params: &str, ask: impl FnOnce(&Meta<'_>) -> T) -> T {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let limits = FrameLimits { max_bytes: 10_000, max_depth: 16 };
        let Ok(Message::Request(request)) = read(text.as_bytes(), limits) else { panic!("{text}") };
        ask(&Meta::of(&request).unwrap())
    }

    #[test]
    fn the_body_says_which_era_it_is() {
        let era = |method: &str, params: &str| with_meta(method, params, |meta| meta.era(method));
        assert_eq!(era("tools/list", "{}"), Era::Legacy);
        assert_eq!(era("tools/list", r#"{"_meta":{"progressToken":1}}"#), Era::Legacy);
        assert_eq!(era("initialize", r#"{"protocolVersion":"2026-07-28"}"#), Era::Legacy);
        assert_eq!(era("server/discover", "{}"), Era::Modern);
        for key in ["protocolVersion", "clientCapabilities", "clientInfo"] {
            let params = format!(r#"{{"_meta":{{"io.modelcontextprotocol/{key}":{{}}}}}}"#);
            assert_eq!(era("tools/list", &params), Era::Modern, "{key}");
        }
    }

    #[test]
    fn what_a_stateless_request_lacks_is_named() {
        let version = |meta: &str| {
            let params = format!(r#"{{"_meta":{meta}}}"#);
            with_meta("tools/list", &params, |meta| meta.version().map(Cow::into_owned))
        };
        let full = r#"{"io.modelcontextprotocol/protocolVersion":"1999-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#;
        assert_eq!(version(full).unwrap(), "1999-01-01");
        for (meta, lacks) in [
            ("{}", "protocolVersion"),
            (r#"{"io.modelcontextprotocol/protocolVersion":3}"#, "protocolVersion"),
            (r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#, "clientCapabilities"),
        ] {
            let problem = version(meta).unwrap_err();
            assert_eq!(problem.code, -32602);
            assert!(problem.message.contains(lacks), "{problem:?}");
        }
    }

    #[test]
    fn initialize_agrees_on_what_both_know() {
        for known in LEGACY {
            assert_eq!(agreed(Some(known)), known);
        }
        // It has batches, which are refused.
        assert_eq!(agreed(Some("2025-03-26")), "2024-11-05");
        for unknown in [Some("2026-07-28"), Some("1999-01-01"), None] {
            assert_eq!(agreed(unknown), "2025-11-25");
        }
    }
}
