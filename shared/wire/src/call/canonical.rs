//! The fast path for reading a call: one pass over the form that clients write.
//!
//! It knows the keys of a call, and those of a JSON-RPC request with an id, each at most once and in any
//! order, with or without spaces, plain ASCII strings without escapes, and lists and objects of scalars. Anything else, including
//! anything invalid, is left to the general parser, which must read the same from whatever this one
//! accepts (a property test below).

use std::borrow::Cow;

use super::message::{Call, Meta, ReplyTo, Token};
use crate::json::Json;

/// The call at the start of `text` and its length.
pub(super) fn read(text: &str) -> Option<(Call<'_>, usize)> {
    let mut cursor = Cursor { text, bytes: text.as_bytes(), at: 0 };
    let call = cursor.call()?;
    Some((call, cursor.at))
}

enum Key {
    Id,
    Method,
    Args,
    Kwargs,
    Meta,
}

struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn call(&mut self) -> Option<Call<'a>> {
        let (mut id, mut method, mut args, mut kwargs) = (None, None, None, None);
        let mut meta = None;
        self.expect(b'{')?;
        self.spaces();
        // Clients write this key first; elsewhere it is left to the general parser.
        if self.bytes.get(self.at + 1) == Some(&b'j') {
            return self.json_rpc();
        }
        loop {
            let repeated = match self.key()? {
                Key::Method => method.replace(self.string()?).is_some(),
                Key::Args => args.replace(self.list()?).is_some(),
                Key::Kwargs => kwargs.replace(self.object()?).is_some(),
                Key::Id => id.replace(self.id()?).is_some(),
                Key::Meta => meta.replace(self.meta()?).is_some(),
            };
            if repeated {
                return None;
            }
            if !self.has_next(b'}')? {
                break;
            }
        }
        // A classic call has no envelope, whatever keys it has.
        let (deadline_ms, token) = meta.filter(|_| id.is_some()).unwrap_or_default();
        Some(Call {
            reply_to: id.map_or(ReplyTo::Classic, ReplyTo::Extended),
            method: Cow::Borrowed(method?),
            has_arguments: args.is_some() && kwargs.is_some(),
            args,
            kwargs,
            meta: Meta { deadline_ms, ..Meta::default() },
            traceparent: None,
            token,
        })
    }

    /// A JSON-RPC request with an id, from its first key on.
    #[inline(never)]
    fn json_rpc(&mut self) -> Option<Call<'a>> {
        let (mut id, mut method, mut params, mut meta) = (None, None, None, None);
        self.consume(b"\"jsonrpc\":")?;
        self.spaces();
        self.consume(b"\"2.0\"")?;
        while self.has_next(b'}')? {
            let repeated = match self.bytes.get(self.at + 1)? {
                b'i' => id.replace(self.value_of(b"\"id\":", Self::id)?).is_some(),
                b'p' => params.replace(self.value_of(b"\"params\":", Self::params)?).is_some(),
                _ if self.bytes.get(self.at + 5) == Some(&b'"') => {
                    meta.replace(self.value_of(b"\"meta\":", Self::meta)?).is_some()
                }
                _ => method.replace(self.value_of(b"\"method\":", Self::string)?).is_some(),
            };
            if repeated {
                return None;
            }
        }
        let (deadline_ms, token) = meta.unwrap_or_default();
        let is_list = params.is_some_and(|params: Json<'_>| params.text().starts_with('['));
        Some(Call {
            reply_to: ReplyTo::JsonRpc(id?),
            method: Cow::Borrowed(method?),
            has_arguments: true,
            args: params.filter(|_| is_list),
            kwargs: params.filter(|_| !is_list),
            meta: Meta { deadline_ms, ..Meta::default() },
            traceparent: None,
            token,
        })
    }

    /// Consumes a key with its colon, and its value.
    #[inline(always)]
    fn value_of<T, const N: usize>(
        &mut self,
        key: &[u8; N],
        value: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<T> {
        self.consume(key)?;
        self.spaces();
        value(self)
    }

    /// Consumes a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Option<Key> {
        // Two bytes tell the keys apart.
        let key = match self.bytes.get(self.at + 1)? {
            b'i' => self.consume(b"\"id\":").map(|()| Key::Id),
            b'm' => match self.bytes.get(self.at + 8)? {
                b'n' => self.consume(b"\"method_name\":").map(|()| Key::Method),
                b'a' => self.consume(b"\"method_args\":").map(|()| Key::Args),
                b'k' => self.consume(b"\"method_kwargs\":").map(|()| Key::Kwargs),
                _ => self.consume(b"\"meta\":").map(|()| Key::Meta),
            },
            _ => None,
        };
        self.spaces();
        key
    }

    /// Consumes `bytes`. A const length lets the comparison compile to loads instead of `memcmp`.
    #[inline(always)]
    fn consume<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        (self.bytes.get(self.at..)?.first_chunk() == Some(bytes)).then(|| self.at += N)
    }

    /// After a value: whether a comma and so another value follows, instead of the closing bracket.
    #[inline(always)]
    fn has_next(&mut self, close: u8) -> Option<bool> {
        self.spaces();
        if self.take(close) {
            return Some(false);
        }
        self.expect(b',')?;
        self.spaces();
        Some(true)
    }

    /// `{"deadline_ms":N}`, the whole `meta` of most calls; `"token"` may follow, or be alone.
    #[inline(always)]
    fn meta(&mut self) -> Option<(Option<u64>, Option<Token<'a>>)> {
        self.expect(b'{')?;
        self.spaces();
        let deadline_ms = self.deadline();
        if deadline_ms.is_some() {
            self.spaces();
            if self.take(b'}') {
                return Some((deadline_ms, None));
            }
            self.expect(b',')?;
            self.spaces();
        }
        Some((deadline_ms, Some(self.token()?)))
    }

    /// `"deadline_ms":N`.
    #[inline(always)]
    fn deadline(&mut self) -> Option<u64> {
        self.consume(b"\"deadline_ms\":")?;
        self.spaces();
        let start = self.at;
        let digits = self.integer()?;
        // This many digits cannot overflow.
        if digits > 18 || self.bytes.get(start) == Some(&b'-') {
            return None;
        }
        let digits = self.bytes.get(start..self.at)?.iter();
        Some(digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
    }

    /// `"token":"…"}`, in the first call of a connection.
    #[cold]
    fn token(&mut self) -> Option<Token<'a>> {
        self.consume(b"\"token\":")?;
        self.spaces();
        let start = self.at;
        self.string()?;
        let token = Token::new(self.json(start)?)?;
        self.spaces();
        self.expect(b'}')?;
        Some(token)
    }

    /// An integer or a string.
    #[inline(always)]
    fn id(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        if self.peek() == b'"' {
            self.string()?;
        } else {
            self.integer()?;
        }
        self.json(start)
    }

    /// A list or an object of scalars.
    fn params(&mut self) -> Option<Json<'a>> {
        if self.peek() == b'[' { self.list() } else { self.object() }
    }

    /// A list of scalars.
    #[inline(always)]
    fn list(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        self.expect(b'[')?;
        self.spaces();
        if !self.take(b']') {
            loop {
                self.scalar()?;
                if !self.has_next(b']')? {
                    break;
                }
            }
        }
        self.json(start)
    }

    /// An object of scalars.
    #[inline(always)]
    fn object(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        self.expect(b'{')?;
        self.spaces();
        if !self.take(b'}') {
            loop {
                self.string()?;
                self.spaces();
                self.expect(b':')?;
                self.spaces();
                self.scalar()?;
                if !self.has_next(b'}')? {
                    break;
                }
            }
        }
        self.json(start)
    }

    #[inline(always)]
    fn scalar(&mut self) -> Option<()> {
        match self.peek() {
            b'"' => self.string().map(drop),
            b't' => self.consume(b"true"),
            b'f' => self.consume(b"false"),
            b'n' => self.consume(b"null"),
            _ => self.number(),
        }
    }

    /// A string of plain ASCII, without its quotes.
    #[inline(always)]
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        while PLAIN[usize::from(self.peek())] {
            self.at += 1;
        }
        let text = self.text.get(start..self.at);
        self.expect(b'"')?;
        text
    }

    /// A number without an exponent: an exponent is found where the number should have ended.
    #[inline(always)]
    fn number(&mut self) -> Option<()> {
        self.integer()?;
        if self.take(b'.') && self.digits() == 0 {
            return None;
        }
        Some(())
    }

    /// An integer with or without a sign; returns its number of digits.
    #[inline(always)]
    fn integer(&mut self) -> Option<usize> {
        self.take(b'-');
        let leading_zero = self.peek() == b'0';
        match self.digits() {
            0 => None,
            2.. if leading_zero => None,
            digits => Some(digits),
        }
    }

    #[inline(always)]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    #[inline(always)]
    fn json(&self, start: usize) -> Option<Json<'a>> {
        self.text.get(start..self.at).map(Json::validated)
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Consumes this byte, if it is next.
    #[inline(always)]
    fn take(&mut self, byte: u8) -> bool {
        let comes = self.peek() == byte;
        self.at += usize::from(comes);
        comes
    }

    #[inline(always)]
    fn spaces(&mut self) {
        while self.peek() == b' ' {
            self.at += 1;
        }
    }

    /// The next byte; at the end NUL, which no rule here accepts.
    #[inline(always)]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }
}

/// Bytes a string may contain unescaped: ASCII but controls, quotes and backslashes.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Message;
    use proptest::prelude::*;

    /// How the general parser reads the frame.
    fn general(frame: &[u8]) -> Option<Call<'_>> {
        match Message::parse(frame) {
            Ok(Message::Call(call)) => Some(call),
            _ => None,
        }
    }

    #[test]
    fn calls_as_clients_write_them_are_read_in_one_pass() {
        for frame in [
            r#"{"method_name": "add", "method_args": [1, 2], "method_kwargs": {"c": 5}}"#,
            r#"{"id":7,"method_name":"add","method_args":[1,-2.5,"x",null,true],"method_kwargs":{}}"#,
            r#"{"id":"a","method_name":"m","meta":{"deadline_ms":2500}}"#,
            r#"{"id":1,"method_name":"m","meta":{"token":"x"}}"#,
            r#"{"id":1,"method_name":"m","meta": {"deadline_ms": 9, "token": "x"}}"#,
            r#"{"method_name":"m","meta":{"token":"x"}}"#,
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1},"meta":{"deadline_ms":5}}"#,
            r#"{"jsonrpc":"2.0","id":"a","method":"m","meta":{"token":"x"}}"#,
        ] {
            let (call, length) = read(frame).unwrap();
            assert_eq!((Some(call), length), (general(frame.as_bytes()), frame.len()));
        }
    }

    #[test]
    fn unusual_or_invalid_calls_are_left_to_the_general_parser() {
        for frame in [
            r#"{"method_name":"m","method_args":[[1]],"method_kwargs":{}}"#,
            r#"{"method_name":"é","method_args":[],"method_kwargs":{}}"#,
            r#"{"method_name":"m","method_args":[01],"method_kwargs":{}}"#,
            r#"{"method_name":"m","method_args":[1e3],"method_kwargs":{}}"#,
            r#"{"method_name":"m","method_args":[1,],"method_kwargs":{}}"#,
            r#"{"method_name":"m","method_name":"n"}"#,
            r#"{"id":1.5,"method_name":"m"}"#,
            r#"{"id":null,"method_name":"m"}"#,
            r#"{"jsonrpc":"2.0","method_name":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","method_args":[]}"#,
            r#"{"jsonrpc":"2.0","method":"m"}"#,
            r#"{"jsonrpc":"2.1","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
            r#"{"method_name":"m","meta":{"stream":true}}"#,
            r#"{"id":1,"method_name":"m","meta":{"deadline_ms":01}}"#,
            r#"{"id":1,"method_name":"m","meta":{"deadline_ms":1,}}"#,
            r#"{"id":1,"method_name":"m","meta":{"token":1}}"#,
            r#"{"id":1,"method_name":"m","meta":{"token":"\u0061"}}"#,
            r#"{"id":1,"method_name":"m","meta":{}}"#,
            r#"{"cancel":1}"#,
            "{}",
            r#"{"method_name":"m""#,
        ] {
            assert!(read(frame).is_none(), "{frame}");
        }
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\n",
            "\"id\"",
            "\"method_name\"",
            "\"method_args\"",
            "\"method_kwargs\"",
            "\"meta\"",
            "\"deadline_ms\"",
            "\"token\"",
            "\"cancel\"",
            "\"jsonrpc\"",
            "\"2.0\"",
            "\"method\"",
            "\"params\"",
            "\"x\"",
            "\"\\n\"",
            "1",
            "-0",
            "0.5",
            "01",
            "1e5",
            "-",
            "true",
            "nul",
            "null",
            "é",
            "\"",
            "\u{7f}",
        ])
    }

    fn call() -> impl Strategy<Value = String> {
        let scalar =
            prop::sample::select(vec!["1", "-2.5", "\"x y\"", "null", "true", "1e2", "[]"]);
        let list = prop::collection::vec(scalar.clone(), 0..4);
        let object = prop::collection::vec(("[a-c]{1,2}", scalar.clone()), 0..4);
        (list, object, scalar, 0u64..100_000, any::<u8>(), any::<bool>()).prop_map(
            |(list, object, id, deadline, which, spaced)| {
                let object: Vec<_> =
                    object.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                let keys = [
                    format!("\"id\":{id}"),
                    "\"method_name\":\"add\"".to_owned(),
                    format!("\"method_args\":[{}]", list.join(",")),
                    format!("\"method_kwargs\":{{{}}}", object.join(",")),
                    match deadline % 3 {
                        0 => format!("\"meta\":{{\"deadline_ms\":{deadline}}}"),
                        1 => "\"meta\":{\"token\":\"x y\"}".to_owned(),
                        _ => format!("\"meta\":{{\"deadline_ms\":{deadline},\"token\":\"x\"}}"),
                    },
                ];
                let chosen = keys.iter().enumerate().filter(|(n, _)| which & (1 << n) == 0);
                let text = chosen.map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(",");
                let text = format!("{{{text}}}");
                if spaced { text.replace(':', ": ").replace(',', ", ") } else { text }
            },
        )
    }

    fn json_rpc() -> impl Strategy<Value = String> {
        let scalar = prop::sample::select(vec!["1", "-2.5", "\"x y\"", "null", "true", "1e2"]);
        let params =
            prop::sample::select(vec!["[1,\"x\"]", "{\"a\":1}", "[]", "null", "5", "[[1]]"]);
        (scalar, params, 0u64..100_000, any::<u8>(), any::<usize>()).prop_map(
            |(id, params, deadline, which, rotated)| {
                let mut keys = [
                    "\"jsonrpc\":\"2.0\"".to_owned(),
                    format!("\"id\":{id}"),
                    "\"method\":\"add\"".to_owned(),
                    format!("\"params\":{params}"),
                    format!("\"meta\":{{\"deadline_ms\":{deadline}}}"),
                    "\"method_args\":[]".to_owned(),
                ];
                keys.rotate_left(rotated % 6);
                // Of these, most have no `method_args`.
                let chosen = keys.iter().enumerate().filter(|(n, key)| {
                    which & (1 << n) == 0 && (which > 200 || !key.contains("_args"))
                });
                let text = chosen.map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(",");
                format!("{{{text}}}")
            },
        )
    }

    proptest! {
        #[test]
        fn both_parsers_read_the_same_from_what_this_one_accepts(
            frame in prop_oneof![
                call(),
                json_rpc(),
                prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()),
            ],
            tail in "[ {}\\n]{0,3}",
        ) {
            let text = format!("{frame}{tail}");
            if let Some((call, length)) = read(&text) {
                prop_assert_eq!(Some(call), general(&text.as_bytes()[..length]));
            }
        }
    }
}
