//! The arguments of a call as JSON text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::is_hidden;
use crate::json::Json;

/// The arguments of one call: positional ones as the text of a JSON array, keyword ones as the
/// text of a JSON object. Cheap to clone for a retry; written without serialising again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    positional: Cow<'static, str>,
    keyword: Cow<'static, str>,
}

const NO_POSITIONAL: &str = "[]";
const NO_KEYWORD: &str = "{}";

/// Why a value cannot be the arguments of a call.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// It cannot be written as JSON.
    #[error("the arguments cannot be written as JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It is one bare value: no sequence, map or nothing.
    #[error(
        "arguments must be a tuple, an array or a list (positional), or a map or struct (keyword), not {0}"
    )]
    NotArguments(String),
    /// A keyword argument is given twice.
    #[error("the argument {0}= is given twice")]
    GivenTwice(String),
    /// A keyword argument has a name that cannot be written on a command line.
    #[error("`{0}` cannot be named on a command line")]
    NoName(String),
}

impl Args {
    /// No arguments.
    pub fn none() -> Self {
        Self { positional: NO_POSITIONAL.into(), keyword: NO_KEYWORD.into() }
    }

    /// Adds a positional argument.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn push(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), ArgsError> {
        append(&mut self.positional, &serde_json::to_string(value)?, ']');
        Ok(())
    }

    /// Adds a keyword argument; one of that name must not be there yet.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn insert(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), ArgsError> {
        let name = serde_json::to_string(name)?;
        append(&mut self.keyword, &format!("{name}:{}", serde_json::to_string(value)?), '}');
        Ok(())
    }

    /// Positional and keyword values.
    pub fn from_values(positional: &[Value], keyword: &Map<String, Value>) -> Self {
        let text = |value: serde_json::Result<String>, empty: &'static str| {
            // Writing a `Value` to memory cannot fail; the empty form is the fallback.
            value.map_or(Cow::Borrowed(empty), Cow::Owned)
        };
        Self {
            positional: text(serde_json::to_string(positional), NO_POSITIONAL),
            keyword: text(serde_json::to_string(keyword), NO_KEYWORD),
        }
    }

    /// Positional and keyword values as they were written, without losing a digit.
    pub fn from_raw(positional: &[Box<RawValue>], keyword: &[(&str, Box<RawValue>)]) -> Self {
        let positional: Vec<&str> = positional.iter().map(|value| value.get()).collect();
        let pair = |(name, value): &(&str, Box<RawValue>)| {
            format!("{}:{}", Value::from(*name), value.get())
        };
        let keyword: Vec<String> = keyword.iter().map(pair).collect();
        Self {
            positional: format!("[{}]", positional.join(",")).into(),
            keyword: format!("{{{}}}", keyword.join(",")).into(),
        }
    }

    /// Positional and keyword values as they were written, on one line.
    pub fn from_parts<'a>(
        positional: impl IntoIterator<Item = Json<'a>>,
        keyword: impl IntoIterator<Item = (&'a str, Json<'a>)>,
    ) -> Self {
        let (mut list, mut object) = ("[".to_owned(), "{".to_owned());
        for value in positional {
            separate(&mut list);
            list.push_str(&value.compact());
        }
        for (name, value) in keyword {
            separate(&mut object);
            object.push_str(&Value::from(name).to_string());
            object.push(':');
            object.push_str(&value.compact());
        }
        list.push(']');
        object.push('}');
        Self { positional: list.into(), keyword: object.into() }
    }

    /// The texts of a JSON array and of a JSON object.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_json(positional: &RawValue, keyword: &RawValue) -> Result<Self, ArgsError> {
        match (positional.get().as_bytes(), keyword.get().as_bytes()) {
            ([b'[', ..], [b'{', ..]) => Ok(Self {
                positional: positional.get().to_owned().into(),
                keyword: keyword.get().to_owned().into(),
            }),
            _ => Err(ArgsError::NotArguments("two bare values".to_owned())),
        }
    }

    /// Command-line arguments: JSON where one parses as JSON (kept as written, without losing a
    /// digit), else a string; `key=value` with a [name](is_name) before it is a keyword argument.
    ///
    /// # Errors
    /// A keyword is given twice.
    pub fn from_words<'a>(
        words: impl IntoIterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>,
    ) -> Result<Self, ArgsError> {
        let mut positional = Vec::new();
        let mut keyword: Vec<(&str, Box<RawValue>)> = Vec::new();
        for word in words {
            match as_keyword(word.as_ref()) {
                Some((name, _)) if keyword.iter().any(|(known, _)| *known == name) => {
                    return Err(ArgsError::GivenTwice(name.to_owned()));
                }
                Some((name, text)) => keyword.push((name, json_or_text(text)?)),
                None => positional.push(json_or_text(word.as_ref())?),
            }
        }
        Ok(Self::from_raw(&positional, &keyword))
    }

    /// The command line that [`Args::from_words`] reads back, every value as JSON.
    ///
    /// # Errors
    /// A keyword has a name that cannot be written there.
    pub fn to_words(&self) -> Result<Vec<String>, ArgsError> {
        let positional: Vec<&RawValue> = serde_json::from_str(&self.positional)?;
        let Keyword(keyword) = serde_json::from_str(&self.keyword)?;
        let mut words: Vec<String> =
            positional.iter().map(|value| value.get().to_owned()).collect();
        for (name, value) in keyword {
            if !is_name(&name) {
                return Err(ArgsError::NoName(name));
            }
            words.push(format!("{name}={}", value.get()));
        }
        Ok(words)
    }

    /// The positional arguments, a JSON array.
    pub fn positional(&self) -> &str {
        &self.positional
    }

    /// The keyword arguments, a JSON object.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The same with a name for each; `None` if there are more positional ones than names, or one is given twice.
    pub fn by_name<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let positional: Vec<&RawValue> = serde_json::from_str(&self.positional).ok()?;
        let Keyword(keyword) = serde_json::from_str(&self.keyword).ok()?;
        let mut names = names.into_iter();
        let mut all = Self::none();
        for value in positional {
            let name =
                names.next().filter(|name| keyword.iter().all(|(known, _)| known != name))?;
            all.insert(name, value).ok()?;
        }
        for (name, value) in &keyword {
            all.insert(name, value).ok()?;
        }
        Some(all)
    }

    /// The same in the order of the parameters, given by their names and the defaults of those that have one, with
    /// defaults between those that are given; `None` if one that must be given is not, is given twice, or has an
    /// unknown name.
    pub(crate) fn by_position<'a>(
        &self,
        parameters: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>,
    ) -> Option<Self> {
        let positional: Vec<&RawValue> = serde_json::from_str(&self.positional).ok()?;
        let Keyword(mut keyword) = serde_json::from_str(&self.keyword).ok()?;
        let mut all = Self { positional: self.positional.clone(), ..Self::none() };
        for (wanted, default) in parameters.into_iter().skip(positional.len()) {
            if keyword.is_empty() {
                break;
            }
            match keyword.iter().position(|(name, _)| *name == wanted) {
                Some(at) => all.push(keyword.swap_remove(at).1).ok()?,
                None => all.push(default?).ok()?,
            }
        }
        keyword.is_empty().then_some(all)
    }

    /// The text of one array or object with all of them; `None` if some have names and others have not.
    pub fn in_one(&self) -> Option<&str> {
        let is_empty =
            |text: &str| text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() == 2;
        match (is_empty(&self.positional), is_empty(&self.keyword)) {
            (_, true) => Some(&self.positional),
            (true, false) => Some(&self.keyword),
            (false, false) => None,
        }
    }
}

/// A comma behind an element that is there already.
fn separate(list: &mut String) {
    if list.len() > 1 {
        list.push(',');
    }
}

/// Adds an element to the text of an array or object that ends with `close`.
fn append(list: &mut Cow<'static, str>, element: &str, close: char) {
    let list = list.to_mut();
    list.pop();
    if list.len() > 1 {
        list.push(',');
    }
    list.push_str(element);
    list.push(close);
}

/// Keyword arguments in the order of their JSON object.
struct Keyword<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Keyword<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of arguments")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

fn as_keyword(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then_some((name, value))
}

/// Whether it can be the name of `NAME=VALUE`: letters of any alphabet, digits and `_`, and no digit first.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| (c.is_alphanumeric() || c == '_') && !is_hidden(c))
}

fn json_or_text(text: &str) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(text.trim().to_owned()).or_else(|_| serde_json::value::to_raw_value(text))
}

/// What can be given as arguments: [`Args`]; `()` for none; a tuple, array or `Vec` for
/// positional ones; a map or a struct for keyword ones; a [`Value`] of either shape.
pub trait IntoArgs {
    /// The arguments as JSON text.
    ///
    /// # Errors
    /// One bare value, or one that JSON cannot represent.
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
            Some(b'[') => Ok(Args { positional: text.into(), ..none }),
            Some(b'{') => Ok(Args { keyword: text.into(), ..none }),
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
    fn arguments_fit_into_one_value_if_all_have_names_or_none_has() {
        let of = |words: &[&str]| {
            Args::from_words(words.iter().copied()).unwrap().in_one().map(str::to_owned)
        };
        assert_eq!(of(&[]).unwrap(), "[]");
        assert_eq!(of(&["1", "b"]).unwrap(), r#"[1,"b"]"#);
        assert_eq!(of(&["a=1"]).unwrap(), r#"{"a":1}"#);
        assert_eq!(of(&["1", "a=1"]), None);
        let args = Args::from_words(["1.50", "c=3"]).unwrap();
        let named = args.by_name(["a", "b", "c"]).unwrap();
        assert_eq!(named.in_one().unwrap(), r#"{"a":1.50,"c":3}"#);
        assert_eq!((args.by_name([]), args.by_name(["c"])), (None, None));
    }

    #[test]
    fn arguments_are_added_one_by_one() {
        let mut args = Args::none();
        args.push("a").unwrap();
        args.push(&[1, 2]).unwrap();
        args.insert("b\"", &()).unwrap();
        args.insert("c", "}").unwrap();
        assert_eq!(
            (args.positional(), args.keyword()),
            (r#"["a",[1,2]]"#, r#"{"b\"":null,"c":"}"}"#)
        );
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
    fn one_bare_value_is_refused_with_a_hint() {
        let error = 5.into_args().unwrap_err().to_string();
        assert!(error.contains("must be a tuple"), "{error}");
    }

    fn parsed(typed: &[&str]) -> (String, String) {
        let args = Args::from_words(typed.iter().copied()).unwrap();
        (args.positional().to_owned(), args.keyword().to_owned())
    }

    #[test]
    fn a_name_has_letters_of_any_alphabet() {
        for name in ["a", "_1", "wört", "語", "上限", "имя_2", "größe", "اسم"] {
            let keyword = parsed(&[&format!("{name}=1")]).1;
            assert_eq!(keyword, format!("{{\"{name}\":1}}"));
        }
        for text in ["1a", "", "a b", "a-b", "x\u{3164}", "\u{200b}", "²"] {
            assert!(!is_name(text), "{text:?}");
        }
    }

    #[test]
    fn json_stays_as_it_is_and_the_rest_becomes_strings() {
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
        for typed in ["=1", "1a=1", "a b=1", "a-b=1", "{\"a\":\"b=c\"}"] {
            assert_eq!(parsed(&[typed]).1, "{}", "{typed}");
        }
    }

    #[test]
    fn words_round_trip_and_an_invalid_name_is_refused() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let values = [raw("123456789012345678901234567890"), raw(r#""c=3""#), raw(r#""-x""#)];
        let args = Args::from_raw(&values, &[("b", raw(r#""it's""#)), ("a", raw("[1, 2]"))]);
        let words = args.to_words().unwrap();
        assert_eq!(words[1..], [r#""c=3""#, r#""-x""#, r#"b="it's""#, "a=[1, 2]"], "in order");
        assert_eq!(Args::from_words(&words).unwrap(), args);
        let odd = Args::from_raw(&[], &[("a b", raw("1"))]);
        assert!(odd.to_words().unwrap_err().to_string().contains("`a b` cannot be named"));
    }

    #[test]
    fn a_keyword_given_twice_is_an_error() {
        let error = Args::from_words(["a=1", "a=2"]).unwrap_err();
        assert_eq!(error.to_string(), "the argument a= is given twice");
    }
}
