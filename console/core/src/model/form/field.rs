//! A field of the form: one parameter, its text, and the value it stands for.

use std::sync::Arc;

use rpc_wire::json::Json;
use rpc_wire::signature::Parameter;
use serde_json::Value;
use serde_json::value::RawValue;
use tui_input::Input;

use super::Kind;
use crate::editing::MAX_FIELD_BYTES;
use crate::model::schema::{Schema, Visits};
use crate::model::template::{Variables, has_reference, map_strings};

/// A field: one parameter.
#[derive(Debug, Clone)]
pub struct Field {
    /// The parameter.
    pub parameter: Parameter,
    /// The type of value it takes.
    pub kind: Kind,
    /// The text.
    pub input: Input,
    /// Whether its text was changed.
    pub touched: bool,
    /// The error of the last attempt to send.
    pub error: Option<String>,
    /// What its text may refer to.
    pub(super) variables: Arc<Variables>,
}

/// The value of a field, as it would be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// None: the server uses its default.
    Omitted,
    /// This value.
    Value(Value),
    /// Not a valid value, for this reason.
    Invalid(String),
}

impl Field {
    /// An empty field.
    pub(super) fn new(parameter: &Parameter) -> Self {
        Self {
            kind: Kind::of(&parameter.schema),
            parameter: parameter.clone(),
            input: Input::default(),
            touched: false,
            error: None,
            variables: Arc::default(),
        }
    }

    /// The value as it would be sent, with the variables it refers to.
    pub fn value(&self) -> FieldValue {
        match self.written() {
            FieldValue::Value(written) => self.fill(written),
            other => other,
        }
    }

    /// The value as it is written, with its references.
    pub fn written(&self) -> FieldValue {
        let text = self.input.value();
        if text.trim().is_empty() && !self.is_empty_text() {
            return if self.parameter.is_required() {
                FieldValue::Invalid("required".to_owned())
            } else {
                FieldValue::Omitted
            };
        }
        if has_reference(text) {
            return FieldValue::Value(self.kind.parse(text).unwrap_or_else(|_| Value::from(text)));
        }
        match self.parse(text) {
            Ok(value) => FieldValue::Value(value),
            Err(error) => FieldValue::Invalid(error),
        }
    }

    /// The value of a text without references.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.parse(text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Checks a value against the schema.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        Schema::new(&self.parameter.schema, &Visits::default()).check(value)
    }

    /// Whether it takes an object, or a list of objects, whose properties are known.
    pub fn has_properties(&self) -> bool {
        Schema::new(&self.parameter.schema, &Visits::default()).element().has_properties()
    }

    /// The value as the JSON that would be sent; `None` if it is omitted or invalid. Lists and
    /// objects keep the order and the digits they were typed with.
    pub fn json(&self) -> Option<Box<RawValue>> {
        let FieldValue::Value(value) = self.value() else { return None };
        self.raw(&value, |text| Ok(self.variables.fill(text)?.into_owned()))
    }

    /// The same with its references.
    pub fn written_json(&self) -> Option<Box<RawValue>> {
        let FieldValue::Value(value) = self.written() else { return None };
        self.raw(&value, |text| Ok(text.to_owned()))
    }

    /// The value as JSON; `fill` changes the strings of a list or an object as typed.
    fn raw(
        &self,
        value: &Value,
        fill: impl FnMut(&str) -> Result<String, String>,
    ) -> Option<Box<RawValue>> {
        let text = match (value, serde_json::from_str::<&RawValue>(self.input.value())) {
            (Value::Array(_) | Value::Object(_), Ok(typed)) => {
                map_strings(&Json::from(typed).compact(), fill).ok()?
            }
            _ => value.to_string(),
        };
        RawValue::from_string(text).ok()
    }

    /// Whether its value is a text of no characters, which is not the same as no value.
    pub fn is_empty_text(&self) -> bool {
        self.kind == Kind::Text && self.touched && self.input.value().trim().is_empty()
    }

    /// The error to show: not for a field that was not edited or is empty, until sent.
    pub fn visible_error(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.clone());
        }
        match self.value() {
            FieldValue::Invalid(error) if self.touched && !self.input.value().is_empty() => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Empties the field: its value is omitted.
    pub fn clear(&mut self) {
        self.input.reset();
        (self.touched, self.error) = (false, None);
    }

    /// Sets the text, as if it had been typed.
    pub fn set_text(&mut self, text: impl Into<String>) {
        self.input = Input::new(text.into());
        (self.touched, self.error) = (true, None);
    }

    /// Sets the value, as if it had been typed.
    pub fn set(&mut self, value: Json<'_>) {
        match value.as_string().filter(|text| self.kind.takes_unquoted(text) || has_reference(text))
        {
            Some(text) => self.set_text(text),
            None => self.set_text(value.compact()),
        }
    }

    /// Inserts a text exactly as it is, line breaks and tabs included; `false` if it is too long.
    pub fn paste(&mut self, text: &str) -> bool {
        let value = self.input.value();
        if value.len() + text.len() > MAX_FIELD_BYTES {
            return false;
        }
        let at = value.char_indices().nth(self.input.cursor()).map_or(value.len(), |(at, _)| at);
        let (before, after) = value.split_at(at);
        let cursor = self.input.cursor() + text.chars().count();
        self.input = Input::new(format!("{before}{text}{after}")).with_cursor(cursor);
        (self.touched, self.error) = (true, None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pasted_text_stays_as_it_was() {
        let mut field = Field::new(&Parameter::required("text", json!({"type": "string"})));
        field.input = Input::new("äz".to_owned()).with_cursor(1);
        assert!(field.paste("one\n\ttwo\n"));
        assert_eq!(field.value(), FieldValue::Value(json!("äone\n\ttwo\nz")));
        assert_eq!(field.input.cursor(), 10);
        assert!(!field.paste(&"x".repeat(MAX_FIELD_BYTES)), "the field has a limit");
    }
}
