//! Why a call failed: the table of codes, and the only place that writes the classic texts.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::framing::FrameError;

/// The kinds of error a server replies with. The numbers are JSON-RPC 2.0's and our own (-32000 and
/// below); a code that is not in the table is [`Code::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// -32700: the bytes are not JSON; the connection closes after the reply.
    NotJson,
    /// -32600: JSON of the wrong shape.
    Malformed,
    /// -32601: no such method.
    MethodNotFound,
    /// -32602: the arguments do not fit the method.
    BadArguments,
    /// -32603: the method failed or panicked.
    MethodFailed,
    /// -32000: the deadline passed before the call was done.
    DeadlineExceeded,
    /// -32001: the caller cancelled.
    Cancelled,
    /// -32002: a limit of the server is reached; another instance may accept the call.
    Overloaded,
    /// -32003: the server is draining; call another instance.
    Draining,
    /// -32004: the caller is not allowed to do this.
    Unauthorised,
    /// -32005: the request or the reply is over a limit.
    TooLarge,
    /// -32006: the server ended before the call did; it may have been executed.
    Abandoned,
    /// A code a method chose itself, or one of a later version.
    Other(i64),
}

/// Code, number, and the classic prefix of the message.
const TABLE: [(Code, i64, &str); 12] = [
    (Code::NotJson, -32700, CALL_FAILED),
    (Code::Malformed, -32600, CALL_FAILED),
    (Code::MethodNotFound, -32601, NO_SERVICE),
    (Code::BadArguments, -32602, BAD_ARGUMENTS),
    (Code::MethodFailed, -32603, CALL_FAILED),
    (Code::DeadlineExceeded, -32000, CALL_FAILED),
    (Code::Cancelled, -32001, CALL_FAILED),
    (Code::Overloaded, -32002, CALL_FAILED),
    (Code::Draining, -32003, CALL_FAILED),
    (Code::Unauthorised, -32004, CALL_FAILED),
    (Code::TooLarge, -32005, CALL_FAILED),
    (Code::Abandoned, -32006, CALL_FAILED),
];

const NO_SERVICE: &str = "No service found for: ";
const BAD_ARGUMENTS: &str = "Argument error: ";
const CALL_FAILED: &str = "Error calling method: ";

/// How the texts of errors begin that close a connection.
const TLS_ONLY: &str = "this server takes TLS only";
const NOT_JSON: &str = "request is not JSON";
const TOO_LARGE: &str = "request is larger than";
const TOO_DEEP: &str = "request is nested deeper than";

impl Code {
    /// The code's number on the wire.
    pub fn number(self) -> i64 {
        match self {
            Self::Other(number) => number,
            known => TABLE.iter().find(|row| row.0 == known).map_or(-32603, |row| row.1),
        }
    }

    /// The code with that number.
    pub fn from_number(number: i64) -> Self {
        TABLE.iter().find(|row| row.1 == number).map_or(Self::Other(number), |row| row.0)
    }

    /// Whether the call was certainly not executed, so that it can be retried on another instance.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Draining)
    }

    /// Whether a call that failed with it may have been executed, wholly or in part.
    pub fn may_have_run(self) -> bool {
        let is_refused = matches!(
            self,
            Self::NotJson
                | Self::Malformed
                | Self::MethodNotFound
                | Self::BadArguments
                | Self::Unauthorised
        );
        !is_refused && !self.is_retryable()
    }

    /// Whether it is of the table and not of JSON-RPC's own.
    pub fn is_ours(self) -> bool {
        !matches!(self, Self::Other(_)) && (-32099..=-32000).contains(&self.number())
    }

    /// What the code means, in a word or two; `None` for a code of a method.
    pub fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::NotJson => "not JSON",
            Self::Malformed => "invalid request",
            Self::MethodNotFound => "unknown method",
            Self::BadArguments => "invalid arguments",
            Self::MethodFailed => "the method failed",
            Self::DeadlineExceeded => "deadline exceeded",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Unauthorised => "unauthorised",
            Self::TooLarge => "too large",
            Self::Abandoned => "abandoned",
            Self::Other(_) => return None,
        })
    }

    fn classic_prefix(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or(CALL_FAILED, |row| row.2)
    }
}

/// A failed call, as a server reports it and a client receives it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.classic_text())]
pub struct Fault {
    /// The kind of error.
    pub code: Code,
    /// What happened, without the classic prefix; for [`Code::MethodNotFound`] the name of the
    /// method.
    pub message: String,
    /// Further data from the method.
    pub data: Option<Value>,
}

impl Fault {
    /// A fault without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// No such method.
    pub fn method_not_found(method: impl Into<String>) -> Self {
        Self::new(Code::MethodNotFound, method)
    }

    /// A call whose server does not wait for its end: nobody knows whether it is executed to its end.
    pub fn abandoned(why: &str) -> Self {
        Self::new(Code::Abandoned, format!("{why}; it may have been executed"))
    }

    /// A limit of the server is reached; its name is among the error's data.
    pub fn over_limit(limit: &str, message: impl Into<String>) -> Self {
        Self::new(Code::Overloaded, message).with_data(serde_json::json!({ "limit": limit }))
    }

    /// Whether it is a limit for one peer, which other peers have not reached.
    pub fn is_limit_of_peer(&self) -> bool {
        let limit = self.data.as_ref().and_then(|data| data.get("limit")?.as_str());
        limit.is_some_and(|limit| limit.ends_with("_per_peer"))
    }

    /// The arguments do not fit.
    pub fn bad_arguments(message: impl Into<String>) -> Self {
        Self::new(Code::BadArguments, message)
    }

    /// `method_args` is not a JSON array.
    pub fn positional_is_no_list() -> Self {
        Self::bad_arguments("method_args must be a list")
    }

    /// `method_kwargs` is not a JSON object.
    pub fn keyword_is_no_object() -> Self {
        Self::bad_arguments("method_kwargs must be an object")
    }

    /// The method failed.
    pub fn method_failed(message: impl Into<String>) -> Self {
        Self::new(Code::MethodFailed, message)
    }

    /// The same error with data.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The text an older client finds in `res`; it starts with one of three fixed prefixes.
    pub fn classic_text(&self) -> String {
        format!("{}{}", self.code.classic_prefix(), self.message)
    }

    /// The error with which a server closes a connection of plain text, where it takes none.
    pub fn tls_only() -> Self {
        let text = format!("{TLS_ONLY}; call it with TLS (rpcd call --tls)");
        Self::new(Code::Unauthorised, text)
    }

    /// Whether it is [`tls_only`](Self::tls_only).
    pub fn is_tls_only(&self) -> bool {
        self.message.starts_with(TLS_ONLY)
    }

    /// The error with which a server closes a connection whose bytes it cannot read on.
    pub fn unreadable(error: FrameError) -> Self {
        match error {
            FrameError::NotJson => Self::new(Code::NotJson, format!("{NOT_JSON}: unexpected byte")),
            FrameError::TooLarge(limit) => {
                Self::new(Code::TooLarge, format!("{TOO_LARGE} {limit} bytes"))
            }
            FrameError::TooDeep(limit) => Self::new(Code::TooLarge, format!("{TOO_DEEP} {limit}")),
        }
    }

    /// The same error with its code: the reply that closes a connection has only the text, since
    /// nobody knows the id of what cannot be read.
    #[must_use]
    pub fn of_connection(mut self) -> Self {
        let known = [
            (NOT_JSON, Code::NotJson),
            (TOO_LARGE, Code::TooLarge),
            (TOO_DEEP, Code::TooLarge),
            (TLS_ONLY, Code::Unauthorised),
        ];
        let found = known.iter().find(|(text, _)| self.message.starts_with(text));
        if let (Code::MethodFailed, Some((_, code))) = (self.code, found) {
            self.code = *code;
        }
        self
    }

    /// The error that a classic `res` text means; `None` if it is an ordinary result.
    pub fn from_classic_text(text: &str) -> Option<Self> {
        [
            (NO_SERVICE, Code::MethodNotFound),
            (BAD_ARGUMENTS, Code::BadArguments),
            (CALL_FAILED, Code::MethodFailed),
        ]
        .into_iter()
        .find_map(|(prefix, code)| Some(Self::new(code, text.strip_prefix(prefix)?)))
    }

    /// The `error` object of an extended reply.
    pub(crate) fn to_wire(&self) -> WireError<'_> {
        let message = match self.code {
            Code::MethodNotFound => Cow::Owned(self.classic_text()),
            _ => Cow::Borrowed(self.message.as_str()),
        };
        WireError {
            code: self.code.number(),
            message,
            retryable: self.code.is_retryable(),
            data: self.data.as_ref().map(Cow::Borrowed),
        }
    }

    /// What happened, complete and without a prefix.
    pub fn plain_text(&self) -> Cow<'_, str> {
        match self.code {
            Code::MethodNotFound => Cow::Owned(format!("no such method: {}", self.message)),
            _ => Cow::Borrowed(&self.message),
        }
    }

    /// The error object of a JSON-RPC reply. Its keys are the specification's, so that whether another
    /// instance may take the call is among the data of an error that the method did not choose.
    pub(crate) fn to_json_rpc(&self) -> JsonRpcError<'_> {
        let message = self.plain_text();
        let is_own = self.code.is_ours();
        let data = match &self.data {
            None if is_own => Some(Value::Object(Map::new())),
            data => data.clone(),
        };
        let data = data.map(|mut data| {
            if let (true, Some(data)) = (is_own, data.as_object_mut()) {
                data.insert("retryable".to_owned(), self.code.is_retryable().into());
            }
            data
        });
        JsonRpcError { code: self.code.number(), message, data }
    }

    /// From the error object of a JSON-RPC reply. The specification leaves the codes from -32099 to -32000 to each
    /// server: they mean what is said here only where a server of ours says it, with `retryable` among the data.
    pub(crate) fn from_json_rpc(error: JsonRpcError<'_>) -> Self {
        let is_told = || error.data.as_ref()?.get("retryable")?.as_bool();
        let code = match Code::from_number(error.code) {
            ours if ours.is_ours() && is_told().is_none() => Code::Other(error.code),
            code => code,
        };
        Self { code, message: error.message.into_owned(), data: error.data }
    }

    pub(crate) fn from_wire(error: WireError<'_>) -> Self {
        let code = Code::from_number(error.code);
        let bare = match code {
            Code::MethodNotFound => error.message.strip_prefix(NO_SERVICE),
            _ => None,
        };
        let message = match bare {
            Some(name) => name.to_owned(),
            None => error.message.into_owned(),
        };
        Self { code, message, data: error.data.map(Cow::into_owned) }
    }
}

/// The `error` object: code, a complete message, retryability, data.
#[derive(Debug, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub(crate) struct WireError<'a> {
    code: i64,
    #[serde(default)]
    message: Cow<'a, str>,
    #[serde(default)]
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Cow<'a, Value>>,
}

/// The error object of JSON-RPC 2.0.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JsonRpcError<'a> {
    code: i64,
    #[serde(default)]
    message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_classic_texts_are_those_of_the_older_system() {
        let texts = [
            (Fault::method_not_found("nope"), "No service found for: nope"),
            (Fault::bad_arguments("add() …"), "Argument error: add() …"),
            (Fault::method_failed("boom"), "Error calling method: boom"),
            (Fault::new(Code::Cancelled, "cancelled"), "Error calling method: cancelled"),
        ];
        for (fault, text) in texts {
            assert_eq!(fault.classic_text(), text);
        }
    }

    #[test]
    fn a_classic_error_text_is_distinguished_from_a_result() {
        let fault = Fault::from_classic_text("Argument error: add() is missing").unwrap();
        assert_eq!(fault, Fault::bad_arguments("add() is missing"));
        assert_eq!(Fault::from_classic_text("Division by zero error!"), None);
    }

    #[test]
    fn an_error_that_closes_a_connection_has_its_code_though_only_the_text_is_sent() {
        let errors = [FrameError::NotJson, FrameError::TooLarge(100), FrameError::TooDeep(128)];
        for sent in errors.map(Fault::unreadable) {
            let read = Fault::from_classic_text(&sent.classic_text()).unwrap();
            assert_ne!(read, sent);
            assert_eq!(read.of_connection(), sent);
        }
        let other = Fault::method_failed("boom");
        assert_eq!(other.clone().of_connection(), other);
    }

    #[test]
    fn every_code_has_one_number() {
        for (code, number, _) in TABLE {
            assert_eq!(code.number(), number);
            assert_eq!(Code::from_number(number), code);
        }
        assert_eq!(Code::from_number(7), Code::Other(7));
        assert_eq!(Code::Other(7).number(), 7);
    }

    #[test]
    fn meanings_are_those_of_the_protocol() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
        let protocol = std::fs::read_to_string(path).unwrap();
        for (code, number, _) in TABLE {
            let meaning = code.meaning().unwrap();
            assert!(protocol.contains(&format!("| {number} | {meaning}")), "{number} {meaning}");
        }
        assert_eq!(Code::Other(7).meaning(), None);
    }

    #[test]
    fn faults_round_trip() {
        for fault in [
            Fault::method_not_found("nope"),
            Fault::bad_arguments("x").with_data(serde_json::json!({"argument": "a"})),
            Fault::new(Code::Other(42), "own"),
        ] {
            let text = serde_json::to_string(&fault.to_wire()).unwrap();
            assert_eq!(Fault::from_wire(serde_json::from_str(&text).unwrap()), fault);
        }
    }
}
