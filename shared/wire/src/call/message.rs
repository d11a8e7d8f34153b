//! What a frame from a client means: the dialect by its keys, checked in a fixed order.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{canonical, json_rpc};
use crate::fault::{Code, Fault};
use crate::framing::{FrameError, Framer};
use crate::json::Json;

/// A message from a client, borrowed from its frame.
#[derive(Debug)]
pub enum Message<'a> {
    /// A call, extended when it has an id, else classic.
    Call(Call<'a>),
    /// Stop every call in flight with this id. No reply of its own.
    Cancel(Json<'a>),
    /// An array: a batch of JSON-RPC 2.0, to be read by [`Batch`](super::Batch).
    Batch(Json<'a>),
}

/// A call. Absent or `null` arguments are `None`.
#[derive(Debug, PartialEq)]
pub struct Call<'a> {
    /// Its dialect, and the id to reply with.
    pub reply_to: ReplyTo<'a>,
    /// The method's name.
    pub method: Cow<'a, str>,
    /// `method_args`, not yet checked to be a list.
    pub args: Option<Json<'a>>,
    /// `method_kwargs`, not yet checked to be an object.
    pub kwargs: Option<Json<'a>>,
    /// Whether both argument keys were present: an older server finds no method without them.
    pub has_arguments: bool,
    /// The envelope of an extended call; empty for a classic one.
    pub meta: Meta,
    /// The caller's W3C trace context, from the envelope: a string, not yet read.
    pub traceparent: Option<Json<'a>>,
    /// The caller's secret, from the envelope.
    pub token: Option<Token<'a>>,
}

/// A secret as it was sent: a string. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token<'a>(Json<'a>);

impl<'a> Token<'a> {
    /// `None` if it is no string.
    pub(super) fn new(json: Json<'a>) -> Option<Self> {
        json.as_string().is_some().then_some(Self(json))
    }

    /// The secret.
    pub fn expose(self) -> Cow<'a, str> {
        // It is a string, see `new`.
        self.0.as_string().unwrap_or_default()
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Call<'_> {
    /// Whether the caller reads a stream: that is of the extended dialect only.
    pub fn reads_stream(&self) -> bool {
        self.meta.stream && self.reply_to.is_extended()
    }
}

/// The form of the replies to a message, and the id in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo<'a> {
    /// The dialect of the older system: no id.
    Classic,
    /// The extended dialect. The id is a string or an integer, echoed as written.
    Extended(Json<'a>),
    /// JSON-RPC 2.0. The id is a string, a number, or `null` if there is none to echo.
    JsonRpc(Json<'a>),
}

impl<'a> ReplyTo<'a> {
    /// Extended with an id, else classic.
    fn from_id(id: Option<Json<'a>>) -> Self {
        id.map_or(Self::Classic, Self::Extended)
    }

    /// The id, echoed as written.
    pub fn id(self) -> Option<Json<'a>> {
        match self {
            Self::Classic => None,
            Self::Extended(id) | Self::JsonRpc(id) => Some(id),
        }
    }

    /// The same dialect, for an id that is not echoed.
    #[must_use]
    pub fn without_id(self) -> Self {
        match self {
            Self::Classic | Self::Extended(_) => Self::Classic,
            Self::JsonRpc(_) => Self::JsonRpc(Json::NULL),
        }
    }

    /// Whether the message is of the older system's dialect.
    pub fn is_classic(self) -> bool {
        matches!(self, Self::Classic)
    }

    /// Whether it is JSON-RPC 2.0.
    pub fn is_json_rpc(self) -> bool {
        matches!(self, Self::JsonRpc(_))
    }

    /// Whether streams, cancels and control messages are understood.
    pub fn is_extended(self) -> bool {
        matches!(self, Self::Extended(_))
    }
}

/// The `meta` of an extended call. Unknown keys are ignored, wrong types refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Milliseconds left when the request was sent.
    pub deadline_ms: Option<u64>,
    /// Whether the caller reads a stream.
    pub stream: bool,
    /// Whether no reply is wanted, not even an error.
    pub oneway: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    deadline_ms: Option<u64>,
    stream: bool,
    oneway: bool,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
    #[serde(borrow)]
    token: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// The `meta` of a call, if it has one.
    ///
    /// # Errors
    /// It has the wrong shape: what is wrong.
    pub(super) fn of(meta: Option<Json<'a>>) -> Result<Self, String> {
        let Some(meta) = meta.filter(|meta| !meta.is_null()) else { return Ok(Self::default()) };
        if !meta.text().starts_with('{') {
            return Err("meta must be an object".to_owned());
        }
        let envelope: Self =
            meta.read().map_err(|error| format!("meta is wrong: {}", describe(&error)))?;
        let is_string = |text: Option<Json<'_>>| text.is_none_or(|text| text.as_string().is_some());
        for (name, text) in [
            ("traceparent", envelope.traceparent()),
            // What it is instead is not said: it may be a secret.
            ("token", envelope.token.map(Json::from)),
        ] {
            if !is_string(text) {
                return Err(format!("meta is wrong: {name} must be a string"));
            }
        }
        Ok(envelope)
    }

    pub(super) fn meta(&self) -> Meta {
        Meta { deadline_ms: self.deadline_ms, stream: self.stream, oneway: self.oneway }
    }

    pub(super) fn traceparent(&self) -> Option<Json<'a>> {
        self.traceparent.map(Json::from)
    }

    pub(super) fn token(&self) -> Option<Token<'a>> {
        self.token.and_then(|token| Token::new(token.into()))
    }
}

/// A frame that is not a usable message, and the reply to it.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// The form of the reply, with the id if the frame had a valid one.
    pub reply_to: ReplyTo<'a>,
    /// The error to reply with.
    pub fault: Fault,
    /// Whether the bytes are not JSON: reply, then close.
    pub fatal: bool,
}

impl<'a> Message<'a> {
    /// Reads one frame, as found by a [`Framer`](crate::framing::Framer).
    ///
    /// # Errors
    /// It is not JSON, or JSON of the wrong shape.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Rejected<'a>> {
        let not_json = |what: String| Rejected {
            reply_to: ReplyTo::Classic,
            fault: Fault::new(Code::NotJson, format!("request is not JSON: {what}")),
            fatal: true,
        };
        let text = std::str::from_utf8(frame).map_err(|error| not_json(error.to_string()))?;
        if text.starts_with('[') {
            serde_json::from_str::<IgnoredAny>(text).map_err(|error| not_json(describe(&error)))?;
            return Ok(Self::Batch(Json::validated(text)));
        }
        serde_json::from_str::<Keys<'a>>(text).map_err(|error| not_json(describe(&error)))?.sort()
    }
}

/// The messages of a growing buffer.
#[derive(Debug)]
pub struct Messages<'f, 'a> {
    framer: &'f mut Framer,
    buffer: &'a [u8],
    /// A part of the buffer that is known to be UTF-8, and its start: many small calls are
    /// validated at once.
    text: &'a str,
    text_at: usize,
}

/// A message or why it is invalid, and its bytes.
pub type Received<'a> = (Result<Message<'a>, Rejected<'a>>, &'a [u8]);

impl<'f, 'a> Messages<'f, 'a> {
    /// Bytes validated at once, and the longest call that is read in one pass. A longer one gains
    /// nothing from it, and must not be scanned twice.
    const WINDOW: usize = 4096;
    /// A shorter rest of a window may end inside a call.
    const SHORT: usize = 1024;

    /// The messages in `buffer` from the position of `framer` on.
    pub fn new(framer: &'f mut Framer, buffer: &'a [u8]) -> Self {
        Self { framer, buffer, text: "", text_at: 0 }
    }

    /// The next message; `None` when more bytes are needed.
    ///
    /// # Errors
    /// The bytes cannot be a message.
    // Not an `Iterator`: after an error or a `None` there is nothing to continue with.
    #[expect(clippy::should_implement_trait, reason = "see above")]
    pub fn next(&mut self) -> Result<Option<Received<'a>>, FrameError> {
        if let Some(start) = self.framer.at_boundary(self.buffer)
            && let Some((call, length)) = canonical::read(self.text_from(start))
            && self.framer.skip(start..start + length)
        {
            let frame = self.buffer.get(start..start + length).unwrap_or_default();
            return Ok(Some((Ok(Message::Call(call)), frame)));
        }
        let Some(range) = self.framer.next(self.buffer)? else { return Ok(None) };
        let frame = self.buffer.get(range).unwrap_or_default();
        Ok(Some((Message::parse(frame), frame)))
    }

    /// Text from `start` on, enough for a small call if the buffer has that much.
    #[inline]
    fn text_from(&mut self, start: usize) -> &'a str {
        let checked = start.checked_sub(self.text_at).and_then(|start| self.text.get(start..));
        match checked {
            Some(text) if text.len() >= Self::SHORT.min(self.buffer.len() - start) => text,
            _ => self.check_from(start),
        }
    }

    fn check_from(&mut self, start: usize) -> &'a str {
        let rest = self.buffer.get(start..).unwrap_or_default();
        let window = rest.get(..Self::WINDOW).unwrap_or(rest);
        let valid = match std::str::from_utf8(window) {
            Ok(text) => Ok(text),
            Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]),
        };
        (self.text, self.text_at) = (valid.unwrap_or_default(), start);
        self.text
    }
}

/// The known keys of a request object; of duplicates the last counts.
#[derive(Default)]
pub(super) struct Keys<'a> {
    pub(super) json_rpc: Option<Json<'a>>,
    cancel: Option<Json<'a>>,
    pub(super) id: Option<Json<'a>>,
    pub(super) method: Option<Json<'a>>,
    pub(super) params: Option<Json<'a>>,
    method_name: Option<Json<'a>>,
    method_args: Option<Json<'a>>,
    method_kwargs: Option<Json<'a>>,
    pub(super) meta: Option<Json<'a>>,
}

impl<'a> Keys<'a> {
    fn sort(mut self) -> Result<Message<'a>, Rejected<'a>> {
        if let Some(version) = self.json_rpc.take() {
            return json_rpc::sort(self, version);
        }
        let id = self.id.filter(|id| is_id(*id));
        let reply_to = ReplyTo::from_id(id);
        let wrong_shape = |what: &str| Rejected {
            reply_to,
            fault: Fault::new(Code::Malformed, what),
            fatal: false,
        };
        // Taken for classic, its envelope would be ignored without a word.
        if self.id.is_some() && id.is_none() {
            return Err(wrong_shape("id must be a string or an integer"));
        }
        if let Some(target) = self.cancel {
            return if is_id(target) {
                Ok(Message::Cancel(target))
            } else {
                Err(wrong_shape("cancel must be the id of a call, a string or an integer"))
            };
        }
        let method = self.method_name.ok_or_else(|| wrong_shape("request has no method_name"))?;
        let method =
            method.as_string().ok_or_else(|| wrong_shape("method_name must be a string"))?;
        // A classic call has no envelope, whatever keys it has.
        let envelope =
            Envelope::of(self.meta.filter(|_| id.is_some())).map_err(|what| wrong_shape(&what))?;
        Ok(Message::Call(Call {
            reply_to,
            method,
            has_arguments: self.method_args.is_some() && self.method_kwargs.is_some(),
            args: self.method_args.filter(|args| !args.is_null()),
            kwargs: self.method_kwargs.filter(|kwargs| !kwargs.is_null()),
            meta: envelope.meta(),
            traceparent: envelope.traceparent(),
            token: envelope.token(),
        }))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
                let mut keys = Keys::default();
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Id => keys.id = Some(value(&mut map)?),
                        Key::MethodName => keys.method_name = Some(value(&mut map)?),
                        Key::MethodArgs => keys.method_args = Some(value(&mut map)?),
                        Key::MethodKwargs => keys.method_kwargs = Some(value(&mut map)?),
                        Key::Meta => keys.meta = Some(value(&mut map)?),
                        Key::Cancel => keys.cancel = Some(value(&mut map)?),
                        Key::Method => keys.method = Some(value(&mut map)?),
                        Key::Params => keys.params = Some(value(&mut map)?),
                        Key::Jsonrpc => keys.json_rpc = Some(value(&mut map)?),
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(keys)
            }
        }
        input.deserialize_map(KeysVisitor)
    }
}

fn value<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Json<'de>, A::Error> {
    map.next_value::<&'de RawValue>().map(Json::from)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    MethodName,
    MethodArgs,
    MethodKwargs,
    Meta,
    Cancel,
    Method,
    Params,
    Jsonrpc,
    #[serde(other)]
    Other,
}

/// A string or an integer.
fn is_id(json: Json<'_>) -> bool {
    is_string_or_number(json)
        && (json.text().starts_with('"') || !json.text().contains(['.', 'e', 'E']))
}

/// One that its sender can read again in the reply: no half of a surrogate pair, and no number beyond all floats.
pub(super) fn is_string_or_number(json: Json<'_>) -> bool {
    /// Digits of a float, at most.
    const DIGITS: usize = 308;
    let text = json.text();
    match text.as_bytes().first() {
        Some(b'"') => json.as_string().is_some(),
        Some(b'-' | b'0'..=b'9') if text.len() <= DIGITS && !text.contains(['e', 'E']) => true,
        Some(b'-' | b'0'..=b'9') => text.parse().is_ok_and(f64::is_finite),
        _ => false,
    }
}

/// serde's message without its line number: a frame is one line to its sender.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.find(" at line ") {
        Some(end) => format!("{} at byte {}", &text[..end], error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::FrameLimits;
    use proptest::prelude::*;

    fn call(frame: &str) -> Call<'_> {
        match Message::parse(frame.as_bytes()) {
            Ok(Message::Call(call)) => call,
            other => panic!("{frame}: {other:?}"),
        }
    }

    fn rejected(frame: &str) -> (Option<&str>, i64, bool) {
        let rejected = Message::parse(frame.as_bytes()).unwrap_err();
        (rejected.reply_to.id().map(Json::text), rejected.fault.code.number(), rejected.fatal)
    }

    #[test]
    fn an_older_clients_request_is_classic() {
        let frame = r#"{"method_name": "add", "method_args": [1, 2], "method_kwargs": {"c": 5}}"#;
        let call = call(frame);
        assert!(call.reply_to.is_classic() && call.has_arguments);
        assert_eq!((call.method.as_ref(), call.args.unwrap().text()), ("add", "[1, 2]"));
    }

    #[test]
    fn an_id_that_is_a_string_or_an_integer_makes_it_extended() {
        for id in ["7", "-1", r#""x""#, "123456789012345678901234567890"] {
            assert_eq!(
                call(&format!(r#"{{"id":{id},"method_name":"m"}}"#)).reply_to.id().unwrap().text(),
                id
            );
        }
    }

    #[test]
    fn any_other_id_is_refused_and_never_taken_for_classic() {
        for id in ["null", "1.5", "1e3", "{}", "[]", "true", r#""\ud800""#, &"1".repeat(400)] {
            for rest in [r#""method_name":"m""#, r#""cancel":1"#, r#""x":1"#] {
                assert_eq!(rejected(&format!(r#"{{"id":{id},{rest}}}"#)), (None, -32600, false));
            }
        }
    }

    #[test]
    fn the_key_jsonrpc_makes_it_json_rpc_whatever_else_it_has() {
        let both = r#"{"id":1.5,"jsonrpc":"2.0","method":"m","method_name":"n","params":[1]}"#;
        let both = call(both);
        assert_eq!((both.method.as_ref(), both.reply_to.is_json_rpc()), ("m", true));
        assert!(!both.meta.oneway && both.args.unwrap().text() == "[1]");
        assert!(call(r#"{"jsonrpc":"2.0","method":"m"}"#).meta.oneway);
        let object = call(r#"{"jsonrpc":"2.0","method":"m","params":{"a":1},"id":null}"#);
        assert_eq!((object.kwargs.unwrap().text(), object.meta.oneway), (r#"{"a":1}"#, false));
        assert!(matches!(Message::parse(b"[1]"), Ok(Message::Batch(_))));
    }

    #[test]
    fn keys_may_repeat_be_escaped_unknown_and_in_any_order() {
        let frame =
            r#"{"x":{"id":1},"method_kwargs":null,"id":1,"m\u0065thod_name":"a\"b","id":2}"#;
        let call = call(frame);
        assert_eq!((call.reply_to.id().unwrap().text(), call.method.as_ref()), ("2", "a\"b"));
        assert!(call.kwargs.is_none() && !call.has_arguments);
    }

    #[test]
    fn a_cancel_comes_before_an_id_and_json_rpc_before_both() {
        let cancel = Message::parse(br#"{"id":1,"cancel":"x"}"#);
        assert!(matches!(cancel, Ok(Message::Cancel(id)) if id.text() == "\"x\""));
        assert_eq!(rejected(r#"{"jsonrpc":"2.0","id":1,"cancel":2}"#), (Some("1"), -32600, false));
    }

    #[test]
    fn the_wrong_shape_is_an_error_and_invalid_json_is_fatal() {
        assert_eq!(rejected("{}"), (None, -32600, false));
        assert_eq!(rejected(r#"{"id":3}"#), (Some("3"), -32600, false));
        assert_eq!(rejected(r#"{"id":3,"method_name":5}"#), (Some("3"), -32600, false));
        assert_eq!(rejected(r#"{"cancel":[1]}"#), (None, -32600, false));
        for wrong in [r#"{"deadline_ms":-1}"#, r#"{"token":1}"#, r#"{"stream":"yes"}"#] {
            let frame = format!(r#"{{"id":3,"method_name":"m","meta":{wrong}}}"#);
            assert_eq!(rejected(&frame), (Some("3"), -32600, false));
        }
        assert_eq!(
            rejected(r#"{"id":3,"method_name":"m","meta":[1]}"#),
            (Some("3"), -32600, false)
        );
        assert_eq!(rejected(r#"{"method_args":[NaN]}"#), (None, -32700, true));
        assert_eq!(rejected(r#"{"a":1,}"#), (None, -32700, true));
        assert!(Message::parse(b"{\"a\":\"\xff\"}").unwrap_err().fatal);
    }

    #[test]
    fn the_envelope_is_read_from_extended_calls_only() {
        let extended = r#"{"id":1,"method_name":"m","meta":{"deadline_ms":9,"stream":true,"x":1}}"#;
        assert_eq!(call(extended).meta.deadline_ms, Some(9));
        assert!(call(extended).meta.stream);
        assert_eq!(call(r#"{"method_name":"m","meta":5}"#).meta, Meta::default());
    }

    #[test]
    fn a_secret_is_read_from_extended_calls_only_and_never_shown() {
        let secret = |frame| call(frame).token.map(|token| token.expose().into_owned());
        let extended = r#"{"id":1,"method_name":"m","meta":{"token":"can\u0061ry"}}"#;
        assert_eq!(secret(extended).as_deref(), Some("canary"));
        assert!(!format!("{:?}", call(extended)).contains("can"));
        assert_eq!(secret(r#"{"method_name":"m","meta":{"token":"canary"}}"#), None);
        assert_eq!(secret(r#"{"id":1,"method_name":"m","meta":{"token":null}}"#), None);
        for wrong in [r#"["canary"]"#, r#"{"canary":1}"#, "1", r#""canary\ud800""#] {
            let frame = format!(r#"{{"id":1,"method_name":"m","meta":{{"token":{wrong}}}}}"#);
            let rejected = Message::parse(frame.as_bytes()).unwrap_err();
            assert_eq!(rejected.fault.code, Code::Malformed);
            assert!(!format!("{rejected:?}").contains("canary"), "{rejected:?}");
        }
    }

    #[test]
    fn absent_text_is_never_a_method() {
        let frame = r#"{"method_name":"\ud800"}"#;
        assert_eq!(rejected(frame), (None, -32600, false));
    }

    proptest! {
        /// The framer scans no byte twice, and a message it has started is not tried in one pass
        /// again: so every byte is scanned a fixed number of times, however the bytes are split.
        #[test]
        fn a_message_that_comes_in_parts_is_tried_in_one_pass_once(
            messages in prop::collection::vec(
                r#"\{"id":[0-9]{1,3},"method_name":"a","method_args":\[(1|\[\])\]\}[ \n]{0,2}|\{\}|[ \n]{1,3}"#, 0..6,
            ),
            cuts in prop::collection::vec(0usize..400, 0..20),
        ) {
            let whole = messages.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.push(whole.len());
            cuts.sort_unstable();
            let mut framer = Framer::new(FrameLimits { max_bytes: 1 << 20, max_depth: 128 });
            for cut in cuts {
                let buffer = &whole[..cut];
                while Messages::new(&mut framer, buffer).next().unwrap().is_some() {}
                prop_assert_eq!(framer.at_boundary(buffer), None);
            }
        }
    }
}
