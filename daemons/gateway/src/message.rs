//! One JSON-RPC message of a client, from bytes: a request, a notification, or why it is neither.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::problem::Problem;

/// Bytes of a request's id as JSON.
const MAX_ID_BYTES: usize = 128;

/// A message that a client may send.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Request(Request<'a>),
    Notification(Notification<'a>),
    /// An answer to a question, which is never asked here.
    Response,
}

/// A call of a method of the protocol, to be answered.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) id: Id,
    pub(crate) method: Cow<'a, str>,
    /// An object, if there are any.
    pub(crate) params: Option<&'a RawValue>,
}

/// The same, not to be answered.
#[derive(Debug)]
pub(crate) struct Notification<'a> {
    pub(crate) method: Cow<'a, str>,
    pub(crate) params: Option<&'a RawValue>,
}

/// A string or a number, as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Id(Box<RawValue>);

impl Id {
    fn new(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        // Read whole: the answer repeats it, and no client could read `1e992` or half of a surrogate pair.
        let is_one = text.len() <= MAX_ID_BYTES
            && matches!(serde_json::from_str(text), Ok(Value::String(_) | Value::Number(_)));
        is_one.then(|| Self(raw.to_owned()))
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::new(raw).ok_or_else(|| serde::de::Error::custom("neither a string nor a number"))
    }
}

/// The keys of JSON-RPC, whatever they hold.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "given")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    error: Option<&'a RawValue>,
}

/// `null` is a value: only what is missing is none.
fn given<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Why bytes are no message, and whose answer that is, as far as it can be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) id: Option<Id>,
    pub(crate) problem: Problem,
}

impl From<Problem> for Unreadable {
    fn from(problem: Problem) -> Self {
        Self { id: None, problem }
    }
}

/// Reads one message, with nothing but white space around it.
pub(crate) fn read(bytes: &[u8], limits: FrameLimits) -> Result<Message<'_>, Unreadable> {
    let frame = match Framer::new(limits).next(bytes) {
        Ok(Some(range)) if bytes[range.end..].trim_ascii().is_empty() => &bytes[range],
        Ok(Some(_)) => return Err(Problem::not_json("there is more than one JSON value").into()),
        Ok(None) => return Err(Problem::not_json("the message ends inside a JSON value").into()),
        Err(FrameError::NotJson) => return Err(Problem::not_json("not a JSON object").into()),
        Err(too_much) => return Err(Problem::invalid_request(too_much.to_string()).into()),
    };
    if frame.starts_with(b"[") {
        let why =
            "batches are no part of the versions that are served here; send one message at a time";
        return Err(Problem::invalid_request(why).into());
    }
    let keys: Keys<'_> = serde_json::from_slice(frame).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::invalid_request(error.to_string()),
        _ => Problem::not_json(error.to_string()),
    })?;
    let id = keys.id.and_then(Id::new);
    let invalid = |why: &str| Unreadable { id: id.clone(), problem: Problem::invalid_request(why) };
    if keys.jsonrpc.as_deref() != Some("2.0") {
        return Err(invalid("jsonrpc must be \"2.0\""));
    }
    let Some(method) = keys.method else {
        let is_response = keys.result.is_some() || keys.error.is_some();
        return if is_response { Ok(Message::Response) } else { Err(invalid("method is missing")) };
    };
    if keys.params.is_some_and(|params| !params.get().starts_with('{')) {
        let problem = Problem::invalid_params("params must be an object");
        return Err(Unreadable { id, problem });
    }
    let params = keys.params;
    match (keys.id, id) {
        (None, _) => Ok(Message::Notification(Notification { method, params })),
        (Some(_), Some(id)) => Ok(Message::Request(Request { id, method, params })),
        (Some(_), None) => {
            let why = format!("id must be a string or a number of at most {MAX_ID_BYTES} bytes");
            Err(Problem::invalid_request(why).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { max_bytes: 1000, max_depth: 8 };

    fn code(text: &str) -> i32 {
        read(text.as_bytes(), LIMITS).unwrap_err().problem.code
    }

    #[test]
    fn a_request_has_an_id_and_a_notification_has_none() {
        let text = r#" {"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}} "#;
        let Ok(Message::Request(request)) = read(text.as_bytes(), LIMITS) else { panic!() };
        assert_eq!(request.id.0.get(), "\"a\"");
        assert_eq!((&*request.method, request.params.unwrap().get()), ("m", r#"{"x":1}"#));
        let text = r#"{"jsonrpc":"2.0","method":"m"}"#;
        let Ok(Message::Notification(noted)) = read(text.as_bytes(), LIMITS) else { panic!() };
        assert_eq!((&*noted.method, noted.params.is_none()), ("m", true));
        for text in [r#"{"jsonrpc":"2.0","id":1,"result":null}"#, r#"{"jsonrpc":"2.0","error":{}}"#]
        {
            assert!(matches!(read(text.as_bytes(), LIMITS), Ok(Message::Response)), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        for text in ["", "x", "1", "{", "{}{}", r#"{"jsonrpc" "2.0"}"#] {
            assert_eq!(code(text), -32700, "{text}");
        }
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}{}}}"#,
            "[".repeat(9),
            "]".repeat(9)
        );
        let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(1000));
        for text in [
            "[]",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":3}"#,
            &deep,
            &long,
        ] {
            assert_eq!(code(text), -32600, "{text}");
        }
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#), -32602);
    }

    #[test]
    fn an_invalid_request_is_answered_by_its_id() {
        let unreadable = read(br#"{"jsonrpc":"2.0","id":7}"#, LIMITS).unwrap_err();
        assert_eq!(unreadable.id.map(|id| id.0.get().to_owned()).as_deref(), Some("7"));
    }

    #[test]
    fn any_bytes_are_a_message_or_a_problem_with_one_of_three_codes() {
        rpc_fuzz::bytes("mcp", |bytes| match read(bytes, LIMITS) {
            Ok(Message::Request(request)) => {
                assert!(request.id.0.get().len() <= MAX_ID_BYTES);
                assert!(request.params.is_none_or(|params| params.get().starts_with('{')));
            }
            Ok(_) => {}
            Err(unreadable) => {
                assert!([-32700, -32600, -32602].contains(&unreadable.problem.code));
            }
        });
    }
}
