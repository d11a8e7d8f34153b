//! What a stranger's JSON takes in memory: many times its text.

use serde_json::{Map, Value};

/// What an entry of an object takes beside its name and its value.
const ENTRY_BYTES: usize = 32;

/// What a value takes beside itself, nearly, in bytes.
pub(crate) fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => {
            values.iter().map(|value| size_of::<Value>() + of_value(value)).sum()
        }
        Value::Object(entries) => of_entries(entries),
    }
}

/// What the entries of an object take.
pub(crate) fn of_entries(entries: &Map<String, Value>) -> usize {
    entries.iter().map(|(name, value)| of_entry(name, value)).sum()
}

/// What an entry of an object takes.
pub(crate) fn of_entry(name: &str, value: &Value) -> usize {
    ENTRY_BYTES + size_of::<String>() + name.len() + size_of::<Value>() + of_value(value)
}
