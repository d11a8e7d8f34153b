//! The arguments of a call as typed: words, or one JSON document; the method's schema decides how a
//! word is read, where it is known.

pub mod schema;

use rpc_wire::call::{Args, IntoArgs};
use rpc_wire::signature::{Parameter, Signature};
use serde_json::value::{RawValue, to_raw_value};

use crate::failure::Failure;
use schema::Types;

/// Characters of a wrong value that an error repeats.
const SHOWN: usize = 60;

/// What was typed; [`read`](Self::read) makes arguments of it.
#[derive(Debug, Clone)]
pub struct Arguments(Form);

#[derive(Debug, Clone)]
enum Form {
    Words(Vec<Word>),
    Document(Args),
}

/// One word: `VALUE`, `NAME=VALUE` or `NAME:=JSON`.
#[derive(Debug, Clone)]
struct Word {
    name: Option<String>,
    text: String,
    /// The value, where it is JSON whatever the schema says.
    json: Option<Box<RawValue>>,
}

impl Arguments {
    /// Splits words into names and values.
    ///
    /// # Errors
    /// A name is given twice, or a value after `:=` is not JSON.
    pub fn of_words(words: &[String]) -> Result<Self, Failure> {
        let words: Vec<Word> =
            words.iter().map(|word| Word::new(word)).collect::<Result<_, _>>()?;
        let names: Vec<&str> = words.iter().filter_map(|word| word.name.as_deref()).collect();
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(Failure::usage(format!("the argument {name} is given twice")));
            }
        }
        Ok(Self(Form::Words(words)))
    }

    /// Reads one JSON document: an array of positional arguments, or an object of named ones.
    ///
    /// # Errors
    /// It is not JSON, or something else; the message names `source`.
    pub fn of_document(text: &str, source: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Failure::usage(format!(
                "{source} is empty; write a JSON array (positional) or object (by name)"
            )));
        }
        let raw = RawValue::from_string(text.to_owned())
            .map_err(|error| Failure::usage(format!("bad JSON in {source}: {error}")))?;
        if !raw.get().starts_with(['[', '{']) {
            return Err(Failure::usage(format!(
                "{source} must be a JSON array (positional) or object (by name), not {}",
                shortened(raw.get())
            )));
        }
        // A line break would end the message for a peer that reads lines.
        let raw = RawValue::from_string(crate::output::pretty::compact(raw.get())).unwrap_or(raw);
        let args = raw.into_args().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self(Form::Document(args)))
    }

    /// Whether the schema of the method can make a difference.
    pub fn need_schema(&self) -> bool {
        match &self.0 {
            Form::Document(_) => false,
            Form::Words(words) => words.iter().any(|word| !word.is_certain()),
        }
    }

    /// The arguments of a call of `method`; `None`: its schema is unknown.
    ///
    /// # Errors
    /// A word cannot be what the schema says, or begins like JSON and is not.
    pub fn read(&self, method: Option<&Signature>) -> Result<Args, Failure> {
        let words = match &self.0 {
            Form::Document(args) => return Ok(args.clone()),
            Form::Words(words) => words,
        };
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for word in words {
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
    fn new(word: &str) -> Result<Self, Failure> {
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
            Failure::usage(format!(
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
    ) -> Result<Box<RawValue>, Failure> {
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

    fn string(&self) -> Result<Box<RawValue>, Failure> {
        to_raw_value(&self.text).map_err(|error| Failure::usage(error.to_string()))
    }

    fn mismatch(
        &self,
        method: Option<&Signature>,
        parameter: Option<&Parameter>,
        types: Types,
    ) -> Failure {
        let method = method.map_or("", |method| method.name.as_str());
        let parameter = parameter.map_or("", |parameter| parameter.name.as_str());
        Failure::usage(format!(
            "the argument {parameter} of {method} must be {types}, not '{}'; see rpcd describe {method}",
            shortened(&self.text)
        ))
    }

    fn bad_json(&self) -> Failure {
        let why = match serde_json::from_str::<&RawValue>(self.text.trim()) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        Failure::usage(format!(
            "the argument '{}' begins like JSON and is not: {why}; to send a string, put it in quotes: \
             '\"…\"'",
            shortened(&self.text)
        ))
    }
}

fn is_string(json: &RawValue) -> bool {
    json.get().starts_with('"')
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
