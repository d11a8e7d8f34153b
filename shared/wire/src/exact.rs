//! JSON values without rounded integers: a number that cannot be represented exactly is an error.

use serde_json::Value;

use crate::json::{Json, end_of_string};

/// A number that a [`Value`] cannot represent exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the number {0} cannot be held exactly (integers go from -2^63 to 2^64-1)")]
pub struct Inexact(
    /// The number as written, shortened if it is very long.
    pub String,
);

/// This many digits always fit, even if one of them is a sign.
const ALWAYS_EXACT: usize = 18;

/// The value, or the first number in it that would be rounded.
///
/// # Errors
/// An integer beyond the i64 and u64 ranges, or a float beyond f64's.
pub fn value<'a>(json: impl Into<Json<'a>>) -> Result<Value, Inexact> {
    let json = json.into();
    check(json)?;
    json.read().map_err(|_| {
        // The text is JSON, so this is a float out of range, a lone surrogate or deep nesting.
        Inexact(shorten(json.text()))
    })
}

/// Whether every integer of the value is in the i64 or u64 range.
///
/// # Errors
/// Names the first number that is not.
#[inline]
pub fn check<'a>(json: impl Into<Json<'a>>) -> Result<(), Inexact> {
    let text = json.into().text();
    if text.len() <= ALWAYS_EXACT { Ok(()) } else { check_numbers(text) }
}

fn check_numbers(text: &str) -> Result<(), Inexact> {
    let inexact = first_number(text, |number| !is_exact(number));
    inexact.map_or(Ok(()), |number| Err(Inexact(shorten(number))))
}

/// The first number of the value that is beyond those of f64, such as `1e999`: most readers make an infinity of it.
pub fn infinite<'a>(json: impl Into<Json<'a>>) -> Option<String> {
    let text = json.into().text();
    let bytes = text.as_bytes();
    let is_exponent = |at: usize| at > 0 && bytes[at - 1].is_ascii_digit();
    // Text has many an e, but few behind a digit.
    if !memchr::memchr2_iter(b'e', b'E', bytes).any(is_exponent) {
        return None;
    }
    let is_infinite = |number: &str| number.parse::<f64>().is_ok_and(f64::is_infinite);
    first_number(text, is_infinite).map(shorten)
}

/// The first number outside of strings of which that is so.
#[inline]
fn first_number(text: &str, is_it: impl Fn(&str) -> bool) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                let number = &text[at..at + length];
                if is_it(number) {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

fn is_exact(number: &str) -> bool {
    number.len() <= ALWAYS_EXACT
        || number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
        || number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
}

fn shorten(number: &str) -> String {
    const SHOWN: usize = 40;
    match number.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &number[..end]),
        None => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn parse(text: &str) -> Result<Value, Inexact> {
        value(serde_json::from_str::<&serde_json::value::RawValue>(text).unwrap())
    }

    #[test]
    fn integers_of_the_i64_and_u64_ranges_are_exact() {
        for text in ["18446744073709551615", "-9223372036854775808", "[1,{\"a\":-0.5}]", "1e300"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        assert_eq!(parse("18446744073709551615").unwrap(), u64::MAX);
    }

    #[test]
    fn an_integer_beyond_them_is_an_error_and_not_rounded() {
        for text in ["18446744073709551616", "[-9223372036854775809]", r#"{"a":[1e999]}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_beyond_floats_is_found_and_nothing_else() {
        let found = |text| infinite(serde_json::from_str::<&RawValue>(text).unwrap());
        for text in ["1e999", "[1,-1E+999]", r#"{"1e9":{"a":[0.5e1,1e999]}}"#] {
            assert!(found(text).is_some(), "{text}");
        }
        for text in ["1e308", "1e-999", "12", r#"["1e999","x\"1e999"]"#, r#"{"1e999":true}"#] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn digits_inside_strings_are_not_numbers() {
        let text = r#"{"18446744073709551616\"":"99999999999999999999"}"#;
        assert!(parse(text).is_ok());
    }
}
