//! The arguments of a call as typed: words, or one JSON document; the method's schema decides how a
//! word is read, where it is known.

pub mod fit;
pub mod schema;

use rpc_wire::call::{Args, IntoArgs, Words, WordsError};
use rpc_wire::shell_word;
use rpc_wire::signature::Signature;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::shell;

/// Characters of a wrong value that an error repeats.
const SHOWN: usize = 60;

/// What was typed; [`read`](Self::read) makes arguments of it.
#[derive(Debug, Clone)]
pub struct Arguments(Form);

#[derive(Debug, Clone)]
enum Form {
    Words(Words),
    Document(Args),
}

impl Arguments {
    /// Splits words into names and values.
    ///
    /// # Errors
    /// A name is given twice, or a value after `:=` is not JSON.
    pub fn of_words(words: &[String]) -> Result<Self, Failure> {
        Ok(Self(Form::Words(Words::new(words).map_err(|error| failure(&error, ""))?)))
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
            Form::Words(words) => words.need_schema(),
        }
    }

    /// The arguments of a call of `method`; `None`: its schema is unknown. `flags` choose the target, for the
    /// command that is advised.
    ///
    /// # Errors
    /// A word cannot be what the schema says, or begins like JSON and is not.
    pub fn read(&self, method: Option<&Signature>, flags: &str) -> Result<Args, Failure> {
        match &self.0 {
            Form::Document(args) => Ok(args.clone()),
            Form::Words(words) => words.read(method).map_err(|error| failure(&error, flags)),
        }
    }
}

fn failure(error: &WordsError, flags: &str) -> Failure {
    match error {
        WordsError::Mismatch { method, .. } => {
            let see = shell::command("rpcd describe", &[shell_word(method)], flags);
            Failure::usage(format!("{error}; see {see}"))
        }
        _ => Failure::usage(error.to_string()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
