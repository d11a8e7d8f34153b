//! Arguments of a call as typed: JSON where they parse as JSON, else texts.

use rpc_wire::call::Args;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// Positional and keyword arguments.
///
/// # Errors
/// A keyword is given twice.
pub(super) fn parse(typed: &[String]) -> Result<Args, Failure> {
    let mut positional = Vec::new();
    let mut keyword: Vec<(&str, Box<RawValue>)> = Vec::new();
    for text in typed {
        match as_keyword(text) {
            Some((name, _)) if keyword.iter().any(|(known, _)| *known == name) => {
                return Err(Failure::usage(format!("the argument {name}= is given twice")));
            }
            Some((name, text)) => keyword.push((name, value(text)?)),
            None => positional.push(value(text)?),
        }
    }
    Ok(Args::from_raw(&positional, &keyword))
}

/// `key=value` with a key like `[A-Za-z_]\w*`.
fn as_keyword(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some((name, value))
}

/// The text as it stands where it is JSON (so that no number loses a digit), else as a string.
fn value(text: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text.trim().to_owned()).or_else(|_| {
        serde_json::value::to_raw_value(text)
            .map_err(|error| Failure::usage(format!("cannot send {text:?}: {error}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(typed: &[&str]) -> (String, String) {
        let typed: Vec<String> = typed.iter().map(|text| (*text).to_owned()).collect();
        let args = parse(&typed).unwrap();
        (args.positional().to_owned(), args.keyword().to_owned())
    }

    #[test]
    fn what_is_json_stays_as_it_is_and_the_rest_is_text() {
        for (typed, json) in [
            ("1", "1"),
            ("-2.50", "-2.50"),
            ("true", "true"),
            ("null", "null"),
            ("[1, \"a\"]", "[1, \"a\"]"),
            ("\"1\"", "\"1\""),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("Ada", "\"Ada\""),
            ("", "\"\""),
            ("01", "\"01\""),
            ("NaN", "\"NaN\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("[1", "\"[1\""),
            ("-x", "\"-x\""),
        ] {
            assert_eq!(parsed(&[typed]).0, format!("[{json}]"), "{typed}");
        }
    }

    #[test]
    fn a_name_and_an_equals_sign_make_a_keyword() {
        assert_eq!(
            parsed(&["1", "c=3", "2", "_d1=x=y", "e="]),
            ("[1,2]".to_owned(), r#"{"c":3,"_d1":"x=y","e":""}"#.to_owned())
        );
        for typed in ["=1", "1a=1", "a b=1", "a-b=1", "{\"a\":\"b=c\"}", "ä=1"] {
            assert_eq!(parsed(&[typed]).1, "{}", "{typed}");
        }
    }

    #[test]
    fn a_keyword_given_twice_is_a_usage_error() {
        let typed = ["a=1".to_owned(), "a=2".to_owned()];
        assert_eq!(parse(&typed).unwrap_err().message, "the argument a= is given twice");
    }
}
