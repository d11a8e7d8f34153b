//! Replies: written by servers (key order `id`, `res`, `error`; one newline at the end), read by
//! clients.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::message::ReplyTo;
use super::request::string;
use crate::exact::{self, Inexact};
use crate::fault::{Fault, WireError};
use crate::framing::{FrameError, Framer};
use crate::json::{self, Json, end_of_string};

/// Appends the part before a result; the result's JSON and [`end_result`] follow.
pub fn begin_result(out: &mut Vec<u8>, to: ReplyTo<'_>) {
    match to {
        ReplyTo::Extended(id) => {
            begin(out, id);
            out.extend_from_slice(b",\"res\":");
        }
        ReplyTo::Classic => out.extend_from_slice(b"{\"res\":"),
        ReplyTo::JsonRpc(id) => {
            begin_json_rpc(out, id);
            out.extend_from_slice(b",\"result\":");
        }
    }
}

/// Appends the part after a result.
pub fn end_result(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// The result in `written`, if that is one reply to `id` in the extended dialect, and no error.
pub fn sole_result<'a>(written: &'a [u8], id: Json<'_>) -> Option<&'a [u8]> {
    let rest = written.strip_prefix(b"{\"id\":")?.strip_prefix(id.text().as_bytes())?;
    let result = rest.strip_prefix(b",\"res\":")?.strip_suffix(b"}\n")?;
    // The `res` of an error is a string, with which its reply does not end.
    let is_whole = !result.starts_with(b"\"") || end_of_string(result, 0) == result.len();
    (is_whole && memchr::memchr(b'\n', result).is_none()).then_some(result)
}

/// Appends an error: `res` and `error`, of which an older client reads only the text; in JSON-RPC only
/// the error object.
pub fn fault(out: &mut Vec<u8>, to: ReplyTo<'_>, fault: &Fault) {
    if let ReplyTo::JsonRpc(id) = to {
        begin_json_rpc(out, id);
        out.extend_from_slice(b",\"error\":");
        json(out, &fault.to_json_rpc());
        return end_result(out);
    }
    begin_result(out, to);
    string(out, &fault.classic_text());
    if to.is_extended() {
        out.extend_from_slice(b",\"error\":");
        json(out, &fault.to_wire());
    }
    end_result(out);
}

/// Appends the refusal of a connection, as its first and only message: an error without an id, in the
/// classic text and with its code. It says that no call of the connection was executed.
pub fn refusal(out: &mut Vec<u8>, fault: &Fault) {
    out.extend_from_slice(b"{\"res\":");
    string(out, &fault.classic_text());
    out.extend_from_slice(b",\"error\":");
    json(out, &fault.to_wire());
    end_result(out);
}

/// Appends the part before an item of a stream; the item's JSON and [`end_result`] follow.
pub fn begin_item(out: &mut Vec<u8>, id: Json<'_>) {
    begin(out, id);
    out.extend_from_slice(b",\"item\":");
}

/// Appends one item of a stream; `dropped` counts the items lost before it.
pub fn item(out: &mut Vec<u8>, id: Json<'_>, item: &[u8], dropped: u64) {
    begin_item(out, id);
    out.extend_from_slice(item);
    if dropped > 0 {
        out.extend_from_slice(b",\"dropped\":");
        json(out, &dropped);
    }
    end_result(out);
}

/// Appends the end of a stream.
pub fn end_of_stream(out: &mut Vec<u8>, id: Json<'_>) {
    begin(out, id);
    out.extend_from_slice(b",\"end\":true}\n");
}

/// Appends the notice that the server is draining.
pub fn draining(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"draining\":true}\n");
}

fn begin_json_rpc(out: &mut Vec<u8>, id: Json<'_>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.text().as_bytes());
}

fn begin(out: &mut Vec<u8>, id: Json<'_>) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.text().as_bytes());
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    // These types always serialise, and writing to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// A message from a server, borrowed from its frame.
#[derive(Debug)]
pub enum Reply<'a> {
    /// A call has finished.
    Done {
        /// The client's id; `None` on the classic dialect.
        id: Option<u64>,
        /// The result or the error (a classic error is recognised by its text).
        outcome: Result<&'a RawValue, Fault>,
    },
    /// One item of a stream.
    Item {
        /// The client's id.
        id: u64,
        /// The item.
        item: &'a RawValue,
        /// Items lost before it.
        dropped: u64,
    },
    /// A stream has ended.
    End {
        /// The client's id.
        id: u64,
    },
    /// It has the id of a call and says nothing that is known of it: no result, no error, no item, no end.
    Empty {
        /// The client's id.
        id: u64,
    },
    /// The server is draining: send it no new calls.
    Draining,
    /// Not meant for this client: a foreign id, or keys of a later version.
    Unknown,
}

/// Why bytes from a server are not a reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Tokens that Python writes and JSON does not have: `NaN`, `Infinity`.
    #[error("the reply holds NaN or Infinity, which JSON cannot carry")]
    NotFinite,
    /// Not JSON.
    #[error("the reply is not JSON: {0}")]
    NotJson(String),
    /// Its `error` is none.
    #[error("the reply's error must be an object with code and message: {0}")]
    NoError(String),
    /// It has a number that would be rounded.
    #[error(transparent)]
    Inexact(#[from] Inexact),
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    res: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    item: Option<&'a RawValue>,
    #[serde(default)]
    dropped: u64,
    #[serde(default)]
    end: bool,
    #[serde(default)]
    draining: bool,
}

/// A `null` result is a result; `None` means that the key is absent.
pub(super) fn present<'de: 'a, 'a, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(input).map(Some)
}

/// A reply or why it is invalid, and its place in the buffer.
pub type ReceivedReply<'a> = (Result<Reply<'a>, ReplyError>, Range<usize>);

impl<'a> Reply<'a> {
    /// A line up to this length is tried as a whole. A longer one gains nothing from it, and must
    /// not be scanned again whenever more of it arrives.
    const SHORT: usize = 256;

    /// The next reply in `buffer` from the position of `framer` on; `None` when more bytes are
    /// needed.
    ///
    /// # Errors
    /// The bytes cannot be a message.
    pub fn next(
        framer: &mut Framer,
        buffer: &'a [u8],
    ) -> Result<Option<ReceivedReply<'a>>, FrameError> {
        if let Some(start) = framer.at_boundary(buffer)
            && let Some((reply, length)) = Self::short_line(buffer.get(start..).unwrap_or_default())
            && framer.skip(start..start + length)
        {
            return Ok(Some((Ok(reply), start..start + length)));
        }
        let Some(range) = framer.next(buffer)? else { return Ok(None) };
        let frame = buffer.get(range.clone()).unwrap_or_default();
        Ok(Some((Self::parse(frame), range)))
    }

    /// A scalar result on a line of its own, as most are: its brackets are the first and the last
    /// byte, so there is no need to scan for them.
    fn short_line(buffer: &'a [u8]) -> Option<(Self, usize)> {
        let line = buffer.get(..Self::SHORT).unwrap_or(buffer);
        let line = line.get(..memchr::memchr(b'\n', line)?)?;
        let (id, value) = Self::result_text(line)?;
        if value.starts_with(['[', '{', ' ', '\t', '\r']) {
            return None;
        }
        Some((
            Self::Done { id: Some(id), outcome: Ok(serde_json::from_str(value).ok()?) },
            line.len(),
        ))
    }

    /// Reads one frame.
    ///
    /// # Errors
    /// It is not JSON, or an object that neither our nor the older server writes.
    pub fn parse(frame: &'a [u8]) -> Result<Self, ReplyError> {
        Self::result(frame).map_or_else(|| Self::parse_keys(frame), Ok)
    }

    /// The result of a call as our servers write it, without reading other keys; `None` for
    /// anything else, valid or not.
    fn result(frame: &'a [u8]) -> Option<Self> {
        let (id, value) = Self::result_text(frame.trim_ascii_end())?;
        // Fails if something follows the value, such as another key.
        let value = serde_json::from_str(value).ok()?;
        Some(Self::Done { id: Some(id), outcome: Ok(value) })
    }

    /// The id, and the text between `"res":` and the last bracket.
    fn result_text(frame: &'a [u8]) -> Option<(u64, &'a str)> {
        let text = std::str::from_utf8(frame).ok()?.strip_prefix("{\"id\":")?;
        let digits = text.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (id, rest) = text.split_at(digits);
        if id.len() > 1 && id.starts_with('0') {
            return None;
        }
        Some((id.parse().ok()?, rest.strip_prefix(",\"res\":")?.strip_suffix('}')?))
    }

    fn parse_keys(frame: &'a [u8]) -> Result<Self, ReplyError> {
        if !frame.trim_ascii_start().starts_with(b"{") {
            return Err(ReplyError::NotJson("not an object".to_owned()));
        }
        let keys: Keys<'a> =
            serde_json::from_slice(frame).map_err(|error| unreadable(frame, &error))?;
        let id = keys.id.and_then(|id| id.get().parse::<u64>().ok());
        if keys.draining {
            return Ok(Self::Draining);
        }
        Ok(match (id, keys.item, keys.res, keys.error) {
            (Some(id), Some(item), _, _) => Self::Item { id, item, dropped: keys.dropped },
            (Some(id), None, _, None) if keys.end => Self::End { id },
            (_, None, _, Some(error)) => Self::Done { id, outcome: Err(read_fault(error)?) },
            (Some(_), None, Some(value), None) => Self::Done { id, outcome: Ok(value) },
            (None, None, Some(value), None) if keys.id.is_none() => {
                Self::Done { id, outcome: classic_outcome(value) }
            }
            (Some(id), None, None, None) => Self::Empty { id },
            _ => Self::Unknown,
        })
    }
}

/// What can be told of a reply that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// The call's id; `None`: it is no number.
    pub id: Option<u64>,
    /// It was to be an item of a stream.
    pub is_item: bool,
}

impl Outline {
    /// `None` if the frame is no whole object with an id. Of several the last counts, as JSON libraries have it.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(frame.trim_ascii());
        let keys = || json::lenient_entries(&text);
        let (_, id) = keys()?.filter(|(key, _)| key.text() == "\"id\"").last()?;
        let is_item = keys()?.any(|(key, _)| key.text() == "\"item\"");
        Some(Self { id: id.text().parse().ok(), is_item })
    }

    /// The same of the beginning of a frame that is too long, if the id comes before what is long.
    pub fn of_beginning(frame: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(frame.trim_ascii_start());
        let mut keys =
            json::entries_of_beginning(&text)?.skip_while(|(key, _)| key.text() != "\"id\"");
        let ((_, id), (next, _)) = (keys.next()?, keys.next()?);
        Some(Self { id: id.text().parse().ok(), is_item: next.text() == "\"item\"" })
    }
}

/// In the classic dialect an error is a text with one of three prefixes.
fn classic_outcome(value: &RawValue) -> Result<&RawValue, Fault> {
    let text = value.get();
    let may_be_one = text.starts_with("\"No service")
        || text.starts_with("\"Argument error")
        || text.starts_with("\"Error calling");
    let text = if may_be_one { serde_json::from_str::<String>(text).ok() } else { None };
    match text.as_deref().and_then(Fault::from_classic_text) {
        Some(fault) => Err(fault),
        None => Ok(value),
    }
}

fn read_fault(error: &RawValue) -> Result<Fault, ReplyError> {
    exact::check(error)?;
    if let Some(number) = exact::infinite(error) {
        return Err(Inexact(number).into());
    }
    let error: WireError<'_> = serde_json::from_str(error.get()).map_err(|error| {
        // The position is in a text that nobody sees.
        let why = error.to_string();
        ReplyError::NoError(why.split(" at line ").next().unwrap_or_default().to_owned())
    })?;
    Ok(Fault::from_wire(error))
}

/// Why a frame is no message.
pub(super) fn unreadable(frame: &[u8], error: &serde_json::Error) -> ReplyError {
    match mentions_non_finite(frame) {
        true => ReplyError::NotFinite,
        false => ReplyError::NotJson(error.to_string()),
    }
}

fn mentions_non_finite(frame: &[u8]) -> bool {
    [&b"NaN"[..], b"Infinity"].iter().any(|word| memchr::memmem::find(frame, word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Code;

    const ID: Json<'static> = Json::validated("7");

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_has_the_classic_text_and_a_typed_object() {
        let it = Fault::method_not_found("x");
        assert_eq!(
            written(|out| fault(out, ReplyTo::Classic, &it)),
            "{\"res\":\"No service found for: x\"}\n"
        );
        assert_eq!(
            written(|out| fault(out, ReplyTo::Extended(ID), &it)),
            "{\"id\":7,\"res\":\"No service found for: x\",\"error\":{\"code\":-32601,\
             \"message\":\"No service found for: x\",\"retryable\":false}}\n"
        );
    }

    #[test]
    fn a_sole_result_is_found_without_parsing_and_nothing_else_is_taken_for_one() {
        let to = ReplyTo::Extended(ID);
        for result in ["1", "\"a\\\"}\"", "\"\"", "[\"x\",{\"error\":1}]", "null"] {
            let reply = written(|out| {
                begin_result(out, to);
                out.extend_from_slice(result.as_bytes());
                end_result(out);
            });
            assert_eq!(sole_result(reply.as_bytes(), ID), Some(result.as_bytes()));
            assert_eq!(sole_result(reply.repeat(2).as_bytes(), ID), None);
            assert_eq!(sole_result(reply.as_bytes(), Json::ZERO), None);
        }
        let error = Fault::new(Code::NotJson, "\"a\\");
        let others = [
            written(|out| fault(out, to, &error)),
            written(|out| item(out, ID, b"1", 0)),
            written(|out| end_of_stream(out, ID)),
            written(draining),
            String::new(),
        ];
        for other in others {
            assert_eq!(sole_result(other.as_bytes(), ID), None, "{other}");
        }
    }

    #[test]
    fn replies_round_trip() {
        let frame = written(|out| item(out, ID, b"[1]", 3));
        assert_eq!(frame, "{\"id\":7,\"item\":[1],\"dropped\":3}\n");
        let read = Reply::parse(frame.as_bytes()).unwrap();
        assert!(matches!(read, Reply::Item { id: 7, item, dropped: 3 } if item.get() == "[1]"));
        let frame = written(|out| end_of_stream(out, ID));
        assert!(matches!(Reply::parse(frame.as_bytes()), Ok(Reply::End { id: 7 })));
        assert!(matches!(Reply::parse(&written(draining).into_bytes()), Ok(Reply::Draining)));
        let sent = Fault::new(Code::Overloaded, "busy");
        let frame = written(|out| fault(out, ReplyTo::Extended(ID), &sent));
        let Ok(Reply::Done { id: Some(7), outcome: Err(read) }) = Reply::parse(frame.as_bytes())
        else {
            panic!("{frame}");
        };
        assert_eq!(read, sent);
    }

    #[test]
    fn a_refusal_has_a_code_though_no_id() {
        let full = Fault::new(Code::Overloaded, "2 of 2 connections");
        let frame = written(|out| refusal(out, &full));
        assert_eq!(
            frame,
            "{\"res\":\"Error calling method: 2 of 2 connections\",\"error\":{\"code\":-32002,\
             \"message\":\"2 of 2 connections\",\"retryable\":true}}\n"
        );
        let Ok(Reply::Done { id: None, outcome: Err(read) }) = Reply::parse(frame.as_bytes())
        else {
            panic!("{frame}");
        };
        assert_eq!(read, full);
    }

    #[test]
    fn a_classic_error_text_is_an_error_only_without_an_id() {
        let classic = br#"{"res": "Argument error: add() missing"}"#;
        assert!(matches!(
            Reply::parse(classic),
            Ok(Reply::Done { id: None, outcome: Err(fault) }) if fault.code == Code::BadArguments
        ));
        let extended = br#"{"id":1,"res":"Argument error: a poem"}"#;
        assert!(matches!(Reply::parse(extended), Ok(Reply::Done { outcome: Ok(_), .. })));
    }

    #[test]
    fn the_fast_path_reads_results_like_the_general_parser() {
        let ids = ["0", "7", "-7", "+7", "07", "1.0", "1e3", "\"x\"", "18446744073709551616", ""];
        let values = [
            "13",
            "null",
            "[1, {\"res\":2}]",
            "1,\"id\":8",
            "1,\"error\":null",
            "1}",
            "NaN",
            " 1 ",
        ];
        let mut plain = 0;
        for (id, value) in ids.iter().flat_map(|id| values.map(|value| (id, value))) {
            for frame in [
                format!("{{\"id\":{id},\"res\":{value}}}"),
                format!("{{\"id\":{id},\"item\":{{\"a\":1,\"res\":{value}}}}}"),
            ] {
                if let Some(read) = Reply::result(frame.as_bytes()) {
                    let same = Reply::parse_keys(frame.as_bytes());
                    assert_eq!(format!("{:?}", Ok::<_, ReplyError>(read)), format!("{same:?}"));
                    plain += 1;
                }
            }
        }
        assert_eq!(plain, 2 * 4, "two ids and four values are plain");
    }

    #[test]
    fn a_null_result_is_a_result() {
        let read = Reply::parse(br#"{"res":null}"#);
        assert!(
            matches!(read, Ok(Reply::Done { outcome: Ok(value), .. }) if value.get() == "null")
        );
    }

    #[test]
    fn nan_and_infinity_are_a_typed_error() {
        assert_eq!(Reply::parse(br#"{"res": NaN}"#).unwrap_err(), ReplyError::NotFinite);
        assert!(matches!(Reply::parse(b"{oops}"), Err(ReplyError::NotJson(_))));
    }

    #[test]
    fn an_error_with_a_number_beyond_floats_names_it() {
        let frame = br#"{"id":1,"error":{"code":7,"message":"x","data":[1e999]}}"#;
        let Err(error) = Reply::parse(frame) else { panic!() };
        assert_eq!(error, ReplyError::Inexact(Inexact("1e999".to_owned())));
    }

    #[test]
    fn of_an_error_that_is_none_it_is_said_what_it_lacks() {
        for (error, lacks) in
            [(r#"{"message":"no"}"#, "missing field `code`"), ("7", "expected an object")]
        {
            let frame = format!(r#"{{"id":1,"error":{error}}}"#);
            let Err(ReplyError::NoError(why)) = Reply::parse(frame.as_bytes()) else { panic!() };
            assert!(why.ends_with(lacks), "{why}");
        }
    }

    #[test]
    fn of_a_reply_that_cannot_be_read_the_call_is_known_if_it_is_a_whole_object_with_an_id() {
        let deep = format!("{{\"res\":{}{},\"id\":3}}", "[".repeat(9999), "]".repeat(9999));
        for (frame, id, is_item) in [
            (r#"{"id":3,"res":NaN}"#, Some(3), false),
            (r#" {"res" : [-Infinity, {"id":4, "item":"}"}], "id" : 3} "#, Some(3), false),
            (r#"{"id":3,"item":{"a":nan}}"#, Some(3), true),
            (&deep, Some(3), false),
            (r#"{"id":NaN}"#, None, false),
            (r#"{"id":"3","res":NaN}"#, None, false),
            (r#"{"id":3,"res":1,"id":4}"#, Some(4), false),
            (r#"{"id":3,"res":1,"id":"4"}"#, None, false),
        ] {
            let outline = Outline::of(frame.as_bytes());
            assert_eq!(outline, Some(Outline { id, is_item }), "{frame}");
        }
        let latin = b"{\"id\":3,\"res\":\"caf\xe9\"}";
        assert_eq!(Outline::of(latin), Some(Outline { id: Some(3), is_item: false }));
        for frame in [
            "",
            "NaN",
            r#"[{"id":3}]"#,
            r#"{"res":NaN}"#,
            r#"{"id":3,"res":{"id":4,"res":NaN}"#,
            r#"{"id":3,"res":"x}"#,
            r#"{"id":3,"res":NaN}{"id":4}"#,
        ] {
            assert_eq!(Outline::of(frame.as_bytes()), None, "{frame}");
        }
    }

    #[test]
    fn of_a_reply_that_is_too_long_the_call_is_known_if_its_id_comes_first() {
        for (frame, outline) in [
            (r#"{"id":3,"res":"xxx"#, Some((Some(3), false))),
            (r#" {"jsonrpc": "2.0", "id": 3, "item": [[1,"#, Some((Some(3), true))),
            (r#"{"id":"x","res":"xxx"#, Some((None, false))),
            (r#"{"res":{"id":3,"res":"xxx"#, None),
            (r#"{"res":"xxx\",\"id\":3"#, None),
            (r#"{"id":3"#, None),
            ("xxx", None),
        ] {
            let outline = outline.map(|(id, is_item)| Outline { id, is_item });
            assert_eq!(Outline::of_beginning(frame.as_bytes()), outline, "{frame}");
        }
    }

    #[test]
    fn foreign_ids_and_later_keys_are_unknown() {
        for frame in [r#"{"id":"x","res":1}"#, r#"{"id":"x"}"#, r#"{"later":true}"#] {
            assert!(matches!(Reply::parse(frame.as_bytes()), Ok(Reply::Unknown)), "{frame}");
        }
        for frame in [r#"{"id":1}"#, r#"{"id":1,"later":true}"#] {
            assert!(
                matches!(Reply::parse(frame.as_bytes()), Ok(Reply::Empty { id: 1 })),
                "{frame}"
            );
        }
    }

    #[test]
    fn any_bytes_that_are_a_reply_have_its_outline() {
        rpc_fuzz::bytes("reply", |bytes| {
            let outline = Outline::of(bytes);
            let (of, is_item) = match Reply::parse(bytes) {
                Ok(Reply::Done { id: Some(id), .. } | Reply::End { id } | Reply::Empty { id }) => {
                    (id, false)
                }
                Ok(Reply::Item { id, .. }) => (id, true),
                _ => return,
            };
            // A key may be written with escapes.
            if !bytes.contains(&b'\\') {
                assert_eq!(outline, Some(Outline { id: Some(of), is_item }));
            }
        });
    }

    #[test]
    fn any_bytes_on_the_fast_path_are_read_like_the_general_parser() {
        rpc_fuzz::bytes("reply", |bytes| {
            let frame = bytes.trim_ascii_end();
            if let Some(read) = Reply::result(frame) {
                let same = Reply::parse_keys(frame);
                assert_eq!(format!("{:?}", Ok::<_, ReplyError>(read)), format!("{same:?}"));
            }
        });
    }
}
