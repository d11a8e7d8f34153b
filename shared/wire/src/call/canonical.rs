//! The fast way to read a call: one pass over the form that clients write.
//!
//! It knows the keys of a call, each at most once and in any order, with spaces or without, plain
//! ASCII strings without escapes, and lists and objects of scalars. Whatever else there is — and
//! whatever is wrong — it leaves to the general parser, which must find the same in what this one
//! accepts (a property test below).

use std::borrow::Cow;
use std::ops::Range;

use super::message::{Call, Meta};
use crate::json::Json;

/// A longer call gains nothing from being read in one pass, and must not be looked at twice.
const LONGEST: usize = 1024;

/// The call at the beginning of `bytes` and its length.
pub(super) fn read(bytes: &[u8]) -> Option<(Call<'_>, usize)> {
    let mut cursor = Cursor { bytes: bytes.get(..LONGEST).unwrap_or(bytes), at: 0 };
    let keys = cursor.keys()?;
    // Every byte passed is ASCII; this tells the compiler, and nobody has to trust the scanner.
    let text = std::str::from_utf8(bytes.get(..cursor.at)?).ok()?;
    let json = |range: Range<usize>| text.get(range).map(Json::validated);
    let optional = |range: Option<Range<usize>>| match range {
        Some(range) => json(range).map(Some),
        None => Some(None),
    };
    let id = optional(keys.id)?;
    let method = json(keys.method?)?.as_string()?;
    let has_arguments = keys.args.is_some() && keys.kwargs.is_some();
    let call = Call {
        method: match method {
            Cow::Borrowed(method) => Cow::Borrowed(method),
            Cow::Owned(_) => return None,
        },
        args: optional(keys.args)?,
        kwargs: optional(keys.kwargs)?,
        has_arguments,
        meta: match keys.deadline_ms {
            // A classic call has no envelope, whatever it carries.
            Some(_) if id.is_none() => Meta::default(),
            deadline_ms => Meta { deadline_ms, ..Meta::default() },
        },
        id,
    };
    Some((call, cursor.at))
}

/// Where the values of the known keys stand.
#[derive(Default)]
struct Keys {
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    args: Option<Range<usize>>,
    kwargs: Option<Range<usize>>,
    deadline_ms: Option<u64>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn keys(&mut self) -> Option<Keys> {
        let mut keys = Keys::default();
        self.expect(b'{')?;
        loop {
            self.spaces();
            let (slot, value) = if self.key(b"\"method_name\"")? {
                (&mut keys.method, self.string()?)
            } else if self.key(b"\"method_args\"")? {
                (&mut keys.args, self.container(b'[', b']')?)
            } else if self.key(b"\"method_kwargs\"")? {
                (&mut keys.kwargs, self.container(b'{', b'}')?)
            } else if self.key(b"\"id\"")? {
                (&mut keys.id, self.id()?)
            } else if keys.deadline_ms.is_none() && self.key(b"\"meta\"")? {
                keys.deadline_ms = Some(self.deadline()?);
                (&mut None, 0..0)
            } else {
                return None;
            };
            if slot.replace(value).is_some() {
                return None;
            }
            if !self.more()? {
                return Some(keys);
            }
        }
    }

    /// Whether this key and a colon come next, which are then passed.
    ///
    /// The length is part of the type: such a comparison is a few loads and no call.
    fn key<const N: usize>(&mut self, key: &[u8; N]) -> Option<bool> {
        if self.bytes.get(self.at..)?.first_chunk() != Some(key) {
            return Some(false);
        }
        self.at += N;
        self.spaces();
        self.expect(b':')?;
        self.spaces();
        Some(true)
    }

    /// Whether a comma or the closing brace follows.
    fn more(&mut self) -> Option<bool> {
        self.spaces();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// `{"deadline_ms":N}`, which is all that most calls carry.
    fn deadline(&mut self) -> Option<u64> {
        self.expect(b'{')?;
        self.spaces();
        if !self.key(b"\"deadline_ms\"")? {
            return None;
        }
        let digits = self.number()?;
        let mut value = 0_u64;
        // At most 18 digits, so that nothing overflows.
        if digits.len() > 18 {
            return None;
        }
        for digit in self.bytes.get(digits)? {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u64::from(digit - b'0');
        }
        self.spaces();
        self.expect(b'}')?;
        Some(value)
    }

    /// An integer or a string.
    fn id(&mut self) -> Option<Range<usize>> {
        if self.peek()? == b'"' {
            return self.string();
        }
        let number = self.number()?;
        (!self.bytes.get(number.clone())?.contains(&b'.')).then_some(number)
    }

    /// A list or an object of scalars.
    fn container(&mut self, open: u8, close: u8) -> Option<Range<usize>> {
        let start = self.at;
        self.expect(open)?;
        self.spaces();
        if self.peek()? == close {
            self.at += 1;
            return Some(start..self.at);
        }
        loop {
            self.spaces();
            if open == b'{' {
                self.string()?;
                self.spaces();
                self.expect(b':')?;
                self.spaces();
            }
            self.scalar()?;
            self.spaces();
            let byte = self.peek()?;
            self.at += 1;
            if byte == close {
                return Some(start..self.at);
            }
            if byte != b',' {
                return None;
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number().map(drop),
        }
    }

    /// A string of plain ASCII, quotes included.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|byte| !PLAIN[usize::from(*byte)])?;
        self.at += length;
        self.expect(b'"')?;
        Some(start..self.at)
    }

    /// A number without an exponent.
    fn number(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let first = self.peek()?;
        self.digits()?;
        if first == b'0' && self.at - start > 1 + usize::from(self.bytes[start] == b'-') {
            return None;
        }
        if self.peek()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        // What may follow a number here; an exponent, for one, may not.
        matches!(self.peek()?, b',' | b']' | b'}' | b' ').then_some(start..self.at)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn word<const N: usize>(&mut self, word: &[u8; N]) -> Option<()> {
        (self.bytes.get(self.at..)?.first_chunk() == Some(word)).then(|| self.at += N)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn spaces(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// What may stand in a string as it is: ASCII but controls, quotes and backslashes.
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

    /// What the general parser makes of the frame.
    fn general(frame: &[u8]) -> Option<Call<'_>> {
        match Message::parse(frame) {
            Ok(Message::Call(call)) => Some(call),
            _ => None,
        }
    }

    #[test]
    fn what_clients_write_is_read_in_one_pass() {
        for frame in [
            r#"{"method_name": "add", "method_args": [1, 2], "method_kwargs": {"c": 5}}"#,
            r#"{"id":7,"method_name":"add","method_args":[1,-2.5,"x",null,true],"method_kwargs":{}}"#,
            r#"{"id":"a","method_name":"m","meta":{"deadline_ms":2500}}"#,
        ] {
            let (call, length) = read(frame.as_bytes()).unwrap();
            assert_eq!((Some(call), length), (general(frame.as_bytes()), frame.len()));
        }
    }

    #[test]
    fn what_is_unusual_or_wrong_is_left_to_the_general_parser() {
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
            r#"{"method_name":"m","meta":{"stream":true}}"#,
            r#"{"cancel":1}"#,
            "{}",
            r#"{"method_name":"m""#,
        ] {
            assert!(read(frame.as_bytes()).is_none(), "{frame}");
        }
        let long = format!(r#"{{"method_name":"{}"}}"#, "m".repeat(LONGEST));
        assert!(read(long.as_bytes()).is_none());
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
            "\"cancel\"",
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
                    format!("\"meta\":{{\"deadline_ms\":{deadline}}}"),
                ];
                let chosen = keys.iter().enumerate().filter(|(n, _)| which & (1 << n) == 0);
                let text = chosen.map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(",");
                let text = format!("{{{text}}}");
                if spaced { text.replace(':', ": ").replace(',', ", ") } else { text }
            },
        )
    }

    proptest! {
        #[test]
        fn both_parsers_read_the_same_from_what_this_one_accepts(
            frame in prop_oneof![
                call(),
                prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat()),
            ],
            tail in "[ {}\\n]{0,3}",
        ) {
            let bytes = format!("{frame}{tail}").into_bytes();
            if let Some((call, length)) = read(&bytes) {
                prop_assert_eq!(Some(call), general(&bytes[..length]));
            }
        }
    }
}
