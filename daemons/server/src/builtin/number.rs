//! A number that stays an integer while it can, and is never rounded silently.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Failure;

/// An integer of the i64 or u64 range, or a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Integer(i128),
    /// A float.
    Float(f64),
}

impl Number {
    /// The sum.
    ///
    /// # Errors
    /// It cannot be represented, exactly if both are integers: a bad argument.
    #[inline]
    pub fn plus(self, other: Self) -> Result<Self, Failure> {
        self.with(other, i128::checked_add, |a, b| a + b)
    }

    /// The difference.
    ///
    /// # Errors
    /// It cannot be represented, exactly if both are integers: a bad argument.
    pub fn minus(self, other: Self) -> Result<Self, Failure> {
        self.with(other, i128::checked_sub, |a, b| a - b)
    }

    /// The product.
    ///
    /// # Errors
    /// It cannot be represented, exactly if both are integers: a bad argument.
    pub fn times(self, other: Self) -> Result<Self, Failure> {
        self.with(other, i128::checked_mul, |a, b| a * b)
    }

    /// The nearest float.
    pub fn to_float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    #[inline]
    fn with(
        self,
        other: Self,
        integers: impl Fn(i128, i128) -> Option<i128>,
        floats: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, Failure> {
        const HELD: std::ops::RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => integers(a, b)
                .filter(|result| HELD.contains(result))
                .map(Self::Integer)
                .ok_or_else(|| beyond("the result cannot be held exactly (from -2^63 to 2^64-1)")),
            (a, b) => finite(floats(a.to_float(), b.to_float())).map(Self::Float),
        }
    }
}

/// A result that JSON can carry.
///
/// # Errors
/// It is infinite, or no number.
pub(super) fn finite(result: f64) -> Result<f64, Failure> {
    let text = "the result cannot be held (beyond about 1.8e308)";
    if result.is_finite() { Ok(result) } else { Err(beyond(text)) }
}

/// Of these methods nothing fails but what the caller asks of them.
#[cold]
fn beyond(text: &str) -> Failure {
    Failure::bad_arguments(format!("{text}; give smaller numbers"))
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match *self {
            // Values in range fit one of the two; JSON does not care about the width.
            Self::Integer(integer) => match i64::try_from(integer) {
                Ok(integer) => output.serialize_i64(integer),
                Err(_) => output.serialize_i128(integer),
            },
            Self::Float(float) => output.serialize_f64(float),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Number, E> {
                Ok(Number::Integer(integer.into()))
            }

            fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Number, E> {
                Ok(Number::Integer(integer.into()))
            }

            fn visit_f64<E: de::Error>(self, float: f64) -> Result<Number, E> {
                Ok(Number::Float(float))
            }
        }
        input.deserialize_any(NumberVisitor)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    fn check(sum: Result<Number, Failure>, expected: &str) {
        let text = sum.map_or_else(
            |failure| failure.into_fault().message,
            |sum| serde_json::to_string(&sum).unwrap(),
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn integers_stay_integers_and_floats_floats() {
        check(number("1").plus(number("2")), "3");
        check(number("1").plus(number("2.0")), "3.0");
        check(number("9223372036854775807").plus(number("1")), "9223372036854775808");
        check(number("-3").times(number("4")), "-12");
    }

    #[test]
    fn an_inexact_result_is_an_error() {
        let exact =
            "the result cannot be held exactly (from -2^63 to 2^64-1); give smaller numbers";
        check(number("18446744073709551615").plus(number("1")), exact);
        check(number("18446744073709551615").times(number("18446744073709551615")), exact);
        check(number("-9223372036854775808").minus(number("1")), exact);
        let beyond = "the result cannot be held (beyond about 1.8e308); give smaller numbers";
        check(number("1e300").times(number("1e300")), beyond);
        check(number("-1.7e308").minus(number("1e308")), beyond);
    }

    #[test]
    fn true_is_not_one() {
        assert!(serde_json::from_str::<Number>("true").is_err());
        assert!(serde_json::from_str::<Number>("\"1\"").is_err());
    }
}
