//! The client's side of a JSON-RPC 2.0 reply, from servers of any make.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::reply::{ReplyError, present, unreadable};
use crate::exact;
use crate::fault::{Code, Fault};

/// A message of a JSON-RPC 2.0 server, borrowed from its frame.
#[derive(Debug)]
pub enum JsonRpcReply<'a> {
    /// A call has finished.
    Done {
        /// The client's id; `None`: the server could not read a request, nor its id.
        id: Option<u64>,
        /// The result or the error.
        outcome: Result<&'a RawValue, Fault>,
    },
    /// It has the client's id and neither a result nor an error.
    Empty {
        /// The client's id.
        id: u64,
    },
    /// A reply with an id that no call of this client can have.
    Foreign {
        /// The id as it was written; `null` if there is none.
        id: &'a str,
    },
    /// Replies in an array, to a client that sends no batches.
    Batch,
    /// A request of the server, or a notification.
    Request,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
}

impl<'a> JsonRpcReply<'a> {
    /// Reads one frame. What servers of version 1 write is read as well: no `jsonrpc`, and a `null` beside the one
    /// that counts of `result` and `error`.
    ///
    /// # Errors
    /// It is not JSON, or has an error that would be rounded.
    pub fn parse(frame: &'a [u8]) -> Result<Self, ReplyError> {
        match frame.trim_ascii_start().first() {
            Some(b'{') => {}
            Some(b'[') if serde_json::from_slice::<serde::de::IgnoredAny>(frame).is_ok() => {
                return Ok(Self::Batch);
            }
            _ => return Err(ReplyError::NotJson("not an object".to_owned())),
        }
        let keys: Keys<'a> =
            serde_json::from_slice(frame).map_err(|error| unreadable(frame, &error))?;
        let id = keys.id.map_or("null", RawValue::get);
        let outcome = match (keys.error, keys.result) {
            (Some(error), _) => Some(Err(fault(error)?)),
            (None, result) => result.map(Ok),
        };
        Ok(match (number(id), outcome) {
            (_, None) if keys.method.is_some() => Self::Request,
            (Some(id), None) => Self::Empty { id },
            (Some(id), Some(outcome)) => Self::Done { id: Some(id), outcome },
            (None, Some(outcome @ Err(_))) if id == "null" => Self::Done { id: None, outcome },
            (None, _) => Self::Foreign { id },
        })
    }

    /// Whether it is a message of JSON-RPC and of no other dialect.
    pub fn is_one(frame: &[u8]) -> bool {
        super::is_meant(frame)
            && frame.trim_ascii_start().starts_with(b"{")
            && serde_json::from_slice::<Keys<'_>>(frame).is_ok_and(|keys| keys.jsonrpc.is_some())
    }
}

/// Languages with one type of number write `1.0` for `1`.
fn number(id: &str) -> Option<u64> {
    id.parse().ok().or_else(|| id.strip_suffix(".0")?.parse().ok())
}

/// The error, whatever it is: servers also write texts, and codes of no meaning.
fn fault(error: &RawValue) -> Result<Fault, ReplyError> {
    exact::check(error)?;
    match serde_json::from_str(error.get()) {
        Ok(error) => Ok(Fault::from_json_rpc(error)),
        Err(_) => Ok(Fault::new(Code::MethodFailed, error.get())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn done(frame: &str) -> (Option<u64>, Result<String, Fault>) {
        match JsonRpcReply::parse(frame.as_bytes()) {
            Ok(JsonRpcReply::Done { id, outcome }) => {
                (id, outcome.map(|value| value.get().to_owned()))
            }
            other => panic!("{frame}: {other:?}"),
        }
    }

    #[test]
    fn a_result_and_an_error_are_read_as_servers_write_them() {
        for frame in [
            r#"{"jsonrpc":"2.0","id":7,"result":[1]}"#,
            r#" { "result": [1], "id": 7.0, "error": null } "#,
        ] {
            assert_eq!(done(frame), (Some(7), Ok("[1]".to_owned())), "{frame}");
        }
        assert_eq!(done(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).1.unwrap(), "null");
        let fault = |error: &str| {
            let frame = format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{error}}}"#);
            done(&frame).1.unwrap_err()
        };
        let expected = Fault::new(Code::Other(17), "no").with_data(json!({"a": 1}));
        assert_eq!(fault(r#"{"code":17,"message":"no","data":{"a":1}}"#), expected);
        assert_eq!(fault(r#""oops""#), Fault::new(Code::MethodFailed, "\"oops\""));
        assert_eq!(fault(r#"{"code":"E"}"#).code, Code::MethodFailed);
        assert_eq!(fault(r#"{"code":-32601,"message":"x"}"#).code, Code::MethodNotFound);
    }

    #[test]
    fn a_code_of_the_server_is_ours_only_where_ours_wrote_it() {
        let code = |data: &str| {
            let error = format!(r#"{{"code":-32000,"message":"x"{data}}}"#);
            done(&format!(r#"{{"id":1,"error":{error}}}"#)).1.unwrap_err().code
        };
        assert_eq!(code(""), Code::Other(-32000));
        assert_eq!(code(r#","data":{"retryable":false}"#), Code::DeadlineExceeded);
    }

    #[test]
    fn an_error_without_an_id_is_of_no_call_and_what_else_is_no_reply_says_what_it_is() {
        for id in ["", r#""id":null,"#] {
            let frame =
                format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700,"message":"x"}}}}"#);
            assert_eq!(done(&frame), (None, Err(Fault::new(Code::NotJson, "x"))));
        }
        let read = |frame: &str| match JsonRpcReply::parse(frame.as_bytes()).unwrap() {
            JsonRpcReply::Done { .. } => panic!("{frame}"),
            JsonRpcReply::Empty { id } => format!("empty {id}"),
            JsonRpcReply::Foreign { id } => format!("foreign {id}"),
            JsonRpcReply::Batch => "batch".to_owned(),
            JsonRpcReply::Request => "request".to_owned(),
        };
        for (frame, expected) in [
            ("[]", "batch"),
            (r#"[{"jsonrpc":"2.0","id":1,"result":1}]"#, "batch"),
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "request"),
            (r#"{"jsonrpc":"2.0","method":"m","id":1}"#, "request"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "empty 7"),
            (r#"{"jsonrpc":"2.0","id":"x","result":1}"#, r#"foreign "x""#),
            (r#"{"jsonrpc":"2.0","id":"1","result":1}"#, r#"foreign "1""#),
            (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, "foreign null"),
            (r#"{"jsonrpc":"2.0","id":-1,"result":1}"#, "foreign -1"),
            (r#"{"jsonrpc":"2.0","result":1}"#, "foreign null"),
            ("{}", "foreign null"),
        ] {
            assert_eq!(read(frame), expected, "{frame}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        assert_eq!(
            JsonRpcReply::parse(br#"{"id":1,"result":NaN}"#).unwrap_err(),
            ReplyError::NotFinite
        );
        for frame in ["", "1", "{", "[1", r#"{"id":1,"id":2,"result":1}"#] {
            let read = JsonRpcReply::parse(frame.as_bytes());
            assert!(matches!(read, Err(ReplyError::NotJson(_))), "{frame}: {read:?}");
        }
        let huge = br#"{"id":1,"error":{"code":1,"message":"","data":18446744073709551616}}"#;
        assert!(matches!(JsonRpcReply::parse(huge), Err(ReplyError::Inexact(_))));
    }

    #[test]
    fn only_the_key_jsonrpc_tells_the_dialect() {
        for (frame, is_one) in [
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":""}}"#, true),
            (r#"{"id":0,"error":{},"jsonrpc":"2.0"}"#, true),
            (r#"{"id":0,"res":{"jsonrpc":"2.0"}}"#, false),
            (r#"{"res":"\"jsonrpc\""}"#, false),
            (r#"[{"jsonrpc":"2.0"}]"#, false),
        ] {
            assert_eq!(JsonRpcReply::is_one(frame.as_bytes()), is_one, "{frame}");
        }
    }
}
