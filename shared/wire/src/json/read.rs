//! Reads a value as a Rust type; short integers and plain strings without a parser.
//!
//! Most arguments and results are one of these. Everything else, and every error message, is
//! serde_json's.

use serde::de::{Deserializer, Visitor};
use serde_json::Error;

/// The text of one valid value.
pub(super) struct Reader<'de>(pub(super) &'de str);

/// A value that needs no parser.
enum Plain<'de> {
    Unsigned(u64),
    Signed(i64),
    Text(&'de str),
}

impl<'de> Reader<'de> {
    #[inline]
    fn plain(&self) -> Option<Plain<'de>> {
        match self.0.as_bytes() {
            [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
                self.0.get(1..=text.len()).map(Plain::Text)
            }
            [b'-', digits @ ..] => match short_integer(digits)? {
                0 => None, // serde_json reads it as a float, the only type with a negative zero.
                integer => Some(Plain::Signed(-integer)),
            },
            digits => short_integer(digits).map(|integer| Plain::Unsigned(integer.unsigned_abs())),
        }
    }

    #[inline]
    fn visit<V: Visitor<'de>>(
        self,
        visitor: V,
        parsed: impl FnOnce(Parser<'_, 'de>, V) -> Result<V::Value, Error>,
    ) -> Result<V::Value, Error> {
        match self.plain() {
            Some(Plain::Unsigned(integer)) => visitor.visit_u64(integer),
            Some(Plain::Signed(integer)) => visitor.visit_i64(integer),
            Some(Plain::Text(text)) => visitor.visit_borrowed_str(text),
            None => self.parse(|parser| parsed(parser, visitor)),
        }
    }

    fn parse<T>(
        self,
        parsed: impl FnOnce(Parser<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut parser = serde_json::Deserializer::from_str(self.0);
        let value = parsed(&mut parser)?;
        parser.end()?;
        Ok(value)
    }
}

type Parser<'p, 'de> = &'p mut serde_json::Deserializer<serde_json::de::StrRead<'de>>;

/// An integer with so few digits that it cannot overflow.
#[inline]
fn short_integer(digits: &[u8]) -> Option<i64> {
    const SHORT: usize = 18;
    if digits.is_empty() || digits.len() > SHORT {
        return None;
    }
    digits.iter().try_fold(0, |integer, digit| {
        digit.is_ascii_digit().then(|| integer * 10 + i64::from(digit - b'0'))
    })
}

macro_rules! plain_if_it_is {
    ($($method:ident)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.visit(visitor, |parser, visitor| parser.$method(visitor))
        })*
    };
}

macro_rules! parsed {
    ($($method:ident($($name:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(
            self,
            $($name: $type,)*
            visitor: V,
        ) -> Result<V::Value, Error> {
            self.parse(|parser| parser.$method($($name,)* visitor))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    plain_if_it_is! {
        deserialize_any
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
        deserialize_str deserialize_string
    }

    parsed! {
        deserialize_i128()
        deserialize_u128()
        deserialize_bool()
        deserialize_char()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier()
        deserialize_ignored_any()
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0 == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use std::fmt::Debug;

    /// The value, or the error without its position.
    fn describe<T: Debug>(result: Result<T, Error>) -> String {
        let text = format!("{:?}", result.map_err(|error| error.to_string()));
        text.split(" at line ").next().unwrap().trim_end_matches("\")").to_owned()
    }

    fn same<T: DeserializeOwned + Debug>(text: &str) {
        let ours = describe(T::deserialize(Reader(text)));
        assert_eq!(ours, describe(serde_json::from_str::<T>(text)), "{text}");
    }

    fn same_as_any_type(text: &str) {
        #[derive(Debug, Deserialize)]
        struct Newtype(#[allow(dead_code, reason = "shown when a test fails")] f64);
        same::<Value>(text);
        same::<i8>(text);
        same::<u64>(text);
        same::<i64>(text);
        same::<i128>(text);
        same::<f32>(text);
        same::<f64>(text);
        same::<bool>(text);
        same::<char>(text);
        same::<String>(text);
        same::<Option<i32>>(text);
        same::<Vec<u8>>(text);
        same::<Newtype>(text);
        same::<()>(text);
        same::<Box<serde_json::value::RawValue>>(text);
    }

    #[test]
    fn edge_cases_are_read_like_serde_json() {
        for text in [
            "0",
            "-0",
            "-1",
            "255",
            "256",
            "-128",
            "-129",
            "999999999999999999",
            "-999999999999999999",
            "1000000000000000000",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "1.5",
            "1e3",
            "-0.0",
            "null",
            "true",
            "\"\"",
            "\"x\"",
            "\"é\"",
            "\"\\n\"",
            "\"\\ud800\"",
            "[]",
            "[1]",
            "{}",
            "[null]",
        ] {
            same_as_any_type(text);
        }
    }

    proptest! {
        #[test]
        fn integers_and_strings_are_read_like_serde_json(integer: i64, text: String) {
            same_as_any_type(&integer.to_string());
            same_as_any_type(&(integer % 1000).to_string());
            same_as_any_type(&Value::from(text).to_string());
        }
    }
}
