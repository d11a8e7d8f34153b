//! The arguments of a call, already as JSON text.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The arguments of one call: positional ones as the text of a JSON array, keyword ones as the
/// text of a JSON object. Cheap to clone for a retry, written without another pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    positional: String,
    keyword: String,
}

/// Something that is neither a sequence, a map nor nothing was given as arguments.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// It cannot be written as JSON at all.
    #[error("the arguments cannot be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It is one bare value.
    #[error(
        "arguments must be a tuple, an array or a list (positional), or a map or struct (keyword), not {0}"
    )]
    NotArguments(String),
}

impl Args {
    /// No arguments.
    pub fn none() -> Self {
        Self { positional: "[]".to_owned(), keyword: "{}".to_owned() }
    }

    /// Positional and keyword values.
    pub fn from_values(positional: &[Value], keyword: &Map<String, Value>) -> Self {
        let text = |value: serde_json::Result<String>, empty: &str| {
            // Writing a `Value` to memory cannot fail; the empty form is the honest fallback.
            value.unwrap_or_else(|_| empty.to_owned())
        };
        Self {
            positional: text(serde_json::to_string(positional), "[]"),
            keyword: text(serde_json::to_string(keyword), "{}"),
        }
    }

    /// Positional and keyword values as they were written, no digit lost.
    pub fn from_raw(positional: &[Box<RawValue>], keyword: &[(&str, Box<RawValue>)]) -> Self {
        let positional: Vec<&str> = positional.iter().map(|value| value.get()).collect();
        let pair = |(name, value): &(&str, Box<RawValue>)| {
            format!("{}:{}", Value::from(*name), value.get())
        };
        let keyword: Vec<String> = keyword.iter().map(pair).collect();
        Self {
            positional: format!("[{}]", positional.join(",")),
            keyword: format!("{{{}}}", keyword.join(",")),
        }
    }

    /// The positional arguments, a JSON array.
    pub fn positional(&self) -> &str {
        &self.positional
    }

    /// The keyword arguments, a JSON object.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }
}

/// What can be given as arguments: [`Args`]; `()` for none; a tuple, array or `Vec` for
/// positional ones; a map or a struct for keyword ones; a [`Value`] of either shape.
pub trait IntoArgs {
    /// The arguments as JSON text.
    ///
    /// # Errors
    /// One bare value, or something JSON cannot hold.
    fn into_args(self) -> Result<Args, ArgsError>;
}

impl IntoArgs for Args {
    fn into_args(self) -> Result<Args, ArgsError> {
        Ok(self)
    }
}

impl<T: Serialize> IntoArgs for T {
    fn into_args(self) -> Result<Args, ArgsError> {
        let text = serde_json::to_string(&self)?;
        let none = Args::none();
        match text.as_bytes().first() {
            Some(b'[') => Ok(Args { positional: text, ..none }),
            Some(b'{') => Ok(Args { keyword: text, ..none }),
            _ if text == "null" => Ok(none),
            _ => Err(ArgsError::NotArguments(text.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sequences_are_positional_and_maps_are_keywords() {
        let args = (1, "b").into_args().unwrap();
        assert_eq!((args.positional(), args.keyword()), (r#"[1,"b"]"#, "{}"));
        let args = json!({"a": 1}).into_args().unwrap();
        assert_eq!((args.positional(), args.keyword()), ("[]", r#"{"a":1}"#));
        assert_eq!(().into_args().unwrap(), Args::none());
    }

    #[test]
    fn values_as_written_keep_every_digit() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let digits = "123456789012345678901234567890";
        let args = Args::from_raw(&[raw(digits), raw("1.50")], &[("a\"", raw("[1, 2]"))]);
        assert_eq!(args.positional(), format!("[{digits},1.50]"));
        assert_eq!(args.keyword(), r#"{"a\"":[1, 2]}"#);
    }

    #[test]
    fn one_bare_value_is_refused_with_a_way_out() {
        let error = 5.into_args().unwrap_err().to_string();
        assert!(error.contains("must be a tuple"), "{error}");
    }
}
