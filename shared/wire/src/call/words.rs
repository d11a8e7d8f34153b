//! The arguments of a call as typed, word by word; the method's schema decides how a word is read, where
//! it is known.

mod types;

use serde_json::value::{RawValue, to_raw_value};

use super::args::is_name;
use super::{Args, ArgsError};
use crate::signature::{Parameter, Signature};
pub use types::Types;

/// Characters of a wrong value that an error repeats.
const SHOWN: usize = 60;

/// The words of a call: `VALUE`, `NAME=VALUE` or `NAME:=JSON`.
///
/// ```
/// # use rpc_wire::call::Words;
/// # use rpc_wire::signature::{Parameter, Signature};
/// let method = Signature {
///     name: "to_uppercase".to_owned(),
///     parameters: vec![Parameter::required("string", serde_json::json!({"type": "string"}))],
///     ..Signature::default()
/// };
/// let words = Words::new(["12"]).unwrap();
/// assert_eq!(words.read(Some(&method)).unwrap().positional(), r#"["12"]"#);
/// assert_eq!(words.read(None).unwrap().positional(), "[12]");
/// ```
#[derive(Debug, Clone)]
pub struct Words(Vec<Word>);

/// Why words are not the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A name is given twice.
    #[error("the argument {0} is given twice")]
    GivenTwice(String),
    /// A value after `:=` is not JSON, or one begins like JSON and is not.
    #[error("{0}")]
    NotJson(String),
    /// A word cannot be what the schema says.
    #[error("the argument {parameter} of {method} must be {types}, not '{text}'")]
    Mismatch {
        /// The method.
        method: String,
        /// The parameter.
        parameter: String,
        /// What the schema says.
        types: String,
        /// The start of the word.
        text: String,
    },
}

#[derive(Debug, Clone)]
struct Word {
    name: Option<String>,
    text: String,
    /// The value, where it is JSON whatever the schema says.
    json: Option<Box<RawValue>>,
}

impl Words {
    /// Splits words into names and values.
    ///
    /// # Errors
    /// A name is given twice, or a value after `:=` is not JSON.
    pub fn new(words: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, WordsError> {
        let words: Vec<Word> =
            words.into_iter().map(|word| Word::new(word.as_ref())).collect::<Result<_, _>>()?;
        let names: Vec<&str> = words.iter().filter_map(|word| word.name.as_deref()).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(WordsError::GivenTwice((*name).to_owned()));
            }
        }
        Ok(Self(words))
    }

    /// Whether the schema of the method can make a difference.
    pub fn need_schema(&self) -> bool {
        self.0.iter().any(|word| !word.is_certain())
    }

    /// The arguments of a call of `method`; `None`: its schema is unknown.
    ///
    /// # Errors
    /// A word cannot be what the schema says, or begins like JSON and is not.
    pub fn read(&self, method: Option<&Signature>) -> Result<Args, WordsError> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for word in &self.0 {
            let parameter = method.and_then(|method| match &word.name {
                Some(name) => method.parameters.iter().find(|known| known.name == *name),
                None => method.parameters.get(positional.len()),
            });
            let value = word.value(method, parameter)?;
            match &word.name {
                Some(name) => named.push((name.as_str(), value)),
                None => positional.push(value),
            }
        }
        Ok(Args::from_raw(&positional, &named))
    }
}

impl Word {
    fn new(word: &str) -> Result<Self, WordsError> {
        let named = |name: &str, text: &str, json| Self {
            name: Some(name.to_owned()),
            text: text.to_owned(),
            json,
        };
        let Some((before, text)) = word.split_once('=') else { return Ok(Self::positional(word)) };
        if is_name(before) {
            return Ok(named(before, text, None));
        }
        let Some(name) = before.strip_suffix(':').filter(|name| is_name(name)) else {
            return Ok(Self::positional(word));
        };
        let json = RawValue::from_string(text.trim().to_owned()).map_err(|error| {
            WordsError::NotJson(format!(
                "{name}:= takes JSON, not '{}' ({error}); for a string write {name}=TEXT",
                shortened(text)
            ))
        })?;
        Ok(named(name, text, Some(json)))
    }

    fn positional(text: &str) -> Self {
        Self { name: None, text: text.to_owned(), json: None }
    }

    /// Whether it is the same with every schema.
    fn is_certain(&self) -> bool {
        self.json.is_some() || self.as_json().is_some_and(|json| is_string(&json))
    }

    fn as_json(&self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.text.trim().to_owned()).ok()
    }

    fn value(
        &self,
        method: Option<&Signature>,
        parameter: Option<&Parameter>,
    ) -> Result<Box<RawValue>, WordsError> {
        if let Some(json) = &self.json {
            return Ok(json.clone());
        }
        let types = parameter.and_then(|parameter| Types::of(&parameter.schema));
        let json = self.as_json();
        // Quotes are typed on purpose: what the console copies as a command has them.
        if let Some(json) = json.as_ref().filter(|json| is_string(json)) {
            return Ok(json.clone());
        }
        match (json, types) {
            (Some(json), None) => Ok(json),
            (Some(json), Some(types)) if types.include(json.get()) => Ok(json),
            (_, Some(types)) if types.string => self.string(),
            // Of another type than the schema's: the method decides.
            (Some(json), Some(_)) => Ok(json),
            (None, Some(types)) => Err(self.mismatch(method, parameter, types)),
            (None, None) if self.text.trim_start().starts_with(['{', '[']) => Err(self.bad_json()),
            (None, None) => self.string(),
        }
    }

    fn string(&self) -> Result<Box<RawValue>, WordsError> {
        to_raw_value(&self.text)
            .map_err(|error| WordsError::NotJson(ArgsError::from(error).to_string()))
    }

    fn mismatch(
        &self,
        method: Option<&Signature>,
        parameter: Option<&Parameter>,
        types: Types,
    ) -> WordsError {
        WordsError::Mismatch {
            method: method.map_or_else(String::new, |method| method.name.clone()),
            parameter: parameter.map_or_else(String::new, |parameter| parameter.name.clone()),
            types: types.to_string(),
            text: shortened(&self.text),
        }
    }

    fn bad_json(&self) -> WordsError {
        let why = match serde_json::from_str::<&RawValue>(self.text.trim()) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        WordsError::NotJson(format!(
            "the argument '{}' begins like JSON and is not: {why}; to send a string, put it in quotes: \
             '\"…\"'",
            shortened(&self.text)
        ))
    }
}

fn is_string(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
