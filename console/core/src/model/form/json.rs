//! The arguments of a form as one JSON text, and back.

use std::borrow::Cow;

use rpc_wire::call::Message;
use rpc_wire::exact;
use rpc_wire::json::Json;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Field, FieldValue, Form};
use crate::model::area::Area;
use crate::model::schema::{Schema, Visits};

/// The arguments as one JSON text.
#[derive(Debug, Clone)]
pub struct JsonText {
    /// The text area.
    pub area: Area,
    /// The text before any edit.
    pub before: String,
    /// Why the text is invalid.
    pub error: Option<String>,
}

impl Form {
    /// The arguments as a JSON object, one per line, in the order of the form. Missing required
    /// ones are `null`, objects and lists of objects a skeleton to fill in.
    pub fn to_json(&self) -> String {
        let mut lines = Vec::new();
        for field in &self.fields {
            let value = match (field.written(), field.written_json()) {
                (FieldValue::Omitted, _) => continue,
                (_, Some(json)) => json.get().to_owned(),
                (_, None) if field.input.value().is_empty() => missing(field),
                (_, None) => as_typed(field.input.value()),
            };
            lines.push(format!("  {}: {value}", Value::from(field.parameter.name.as_str())));
        }
        if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n}}", lines.join(",\n")) }
    }

    /// Switches to editing the arguments as JSON.
    pub fn open_json(&mut self, text: &str, error: Option<String>) {
        let area = Area::new(text);
        self.json = Some(JsonText { before: area.text(), area, error });
        self.editing = true;
    }

    /// Switches back to the fields; a text that was not changed changes none of them. Returns whether the
    /// text was valid; if not, its error is set.
    pub fn close_json(&mut self) -> bool {
        if self.json.as_ref().is_some_and(|json| json.area.text() == json.before) {
            self.json = None;
            return true;
        }
        self.apply_json()
    }

    /// Switches back to the fields with the values of the text, changed or not: what is shown is what is
    /// sent. Returns whether the text was valid; if not, its error is set.
    pub fn apply_json(&mut self) -> bool {
        let Some(json) = self.json.take() else { return true };
        match self.read_json(&json.area.text()) {
            Ok(()) => true,
            Err(error) => {
                self.json = Some(JsonText { error: Some(error), ..json });
                false
            }
        }
    }

    /// Fills every field from JSON: an object of arguments by name, a list by position, or a whole
    /// request. Fields not mentioned are reset to their default.
    ///
    /// # Errors
    /// Why the text is invalid; the fields are unchanged.
    pub fn read_json(&mut self, text: &str) -> Result<(), String> {
        let given = Given::read(text.trim())?;
        if given.positional.len() > self.fields.len() {
            return Err(format!("{} takes {} arguments", self.signature.name, self.fields.len()));
        }
        let is_unknown = |name: &&Cow<'_, str>| {
            self.fields.iter().all(|field| field.parameter.name != *name.as_ref())
        };
        if let Some(name) = given.keyword.iter().map(|(name, _)| name).find(is_unknown) {
            return Err(format!("{} has no parameter {name}", self.signature.name));
        }
        for (at, field) in self.fields.iter_mut().enumerate() {
            match given.of(at, &field.parameter.name) {
                Some(value) => field.set(value),
                None => field.clear(),
            }
        }
        Ok(())
    }

    /// Fills fields from pasted JSON: an object of arguments by name, an array by position, or a
    /// whole request. Returns whether any field was filled.
    pub fn fill(&mut self, text: &str) -> bool {
        let Ok(given) = Given::read(text.trim()) else { return false };
        let mut filled = false;
        for (at, field) in self.fields.iter_mut().enumerate() {
            if let Some(value) = given.of(at, &field.parameter.name) {
                field.set(value);
                filled = true;
            }
        }
        filled
    }
}

/// A missing required value: `null`, but a skeleton where there are properties to fill in.
fn missing(field: &Field) -> String {
    if field.has_properties() {
        Schema::new(&field.parameter.schema, &Visits::default()).skeleton(2)
    } else {
        Value::Null.to_string()
    }
}

/// An invalid value: as is if it is JSON, else as a JSON string.
fn as_typed(text: &str) -> String {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(json) => json.get().to_owned(),
        Err(_) if text.is_empty() => Value::Null.to_string(),
        Err(_) => Value::from(text).to_string(),
    }
}

/// The arguments in a text, as written there.
#[derive(Default)]
struct Given<'a> {
    positional: Vec<Json<'a>>,
    keyword: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Given<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let mut given = Self::default();
        match Message::parse(text.as_bytes()) {
            Ok(Message::Call(call)) => {
                for part in [call.args, call.kwargs].into_iter().flatten() {
                    given.add(part)?;
                }
            }
            _ => {
                let raw: &RawValue =
                    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
                if !raw.get().starts_with(['{', '[']) {
                    return Err("arguments must be an object or a list".to_owned());
                }
                given.add(raw.into())?;
            }
        }
        Ok(given)
    }

    fn add(&mut self, part: Json<'a>) -> Result<(), String> {
        exact::check(part).map_err(|error| error.to_string())?;
        self.positional.extend(part.elements().into_iter().flatten());
        for (name, value) in part.entries().into_iter().flatten() {
            self.keyword.push((name.as_string().unwrap_or_default(), value));
        }
        Ok(())
    }

    /// The value of the parameter with this name, at this place.
    fn of(&self, at: usize, name: &str) -> Option<Json<'a>> {
        // As elsewhere in JSON, the last of several equal names counts.
        let by_name = self.keyword.iter().rev().find(|(given, _)| given == name);
        by_name.map(|(_, value)| *value).or_else(|| self.positional.get(at).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::{Parameter, Signature};
    use serde_json::json;
    use tui_input::Input;

    fn form() -> Form {
        let number = || json!({"type": "number"});
        Form::new(Signature {
            name: "add".to_owned(),
            parameters: vec![
                Parameter::required("b", number()),
                Parameter::required("a", number()),
                Parameter::optional("c", number(), json!(10)),
            ],
            ..Signature::default()
        })
    }

    fn values(form: &Form) -> Vec<&str> {
        form.fields.iter().map(|field| field.input.value()).collect()
    }

    #[test]
    fn the_text_has_the_arguments_in_the_order_of_the_form() {
        let mut form = form();
        form.fields[1].input = Input::new("x".to_owned());
        assert_eq!(form.to_json(), "{\n  \"b\": null,\n  \"a\": \"x\"\n}");
        assert_eq!(Form::new(Signature::default()).to_json(), "{}");
    }

    #[test]
    fn the_text_fills_the_fields_and_clears_the_rest() {
        let mut form = form();
        form.fields[2].input = Input::new("7".to_owned());
        form.read_json(r#"{"a": 1, "b": 18446744073709551615}"#).unwrap();
        assert_eq!(values(&form), ["18446744073709551615", "1", ""]);
        form.read_json("[1, 2, 3]").unwrap();
        assert_eq!(values(&form), ["1", "2", "3"]);
    }

    #[test]
    fn objects_start_as_a_skeleton_and_keep_their_order_and_digits() {
        let order = json!({"type": "object", "required": ["id", "customer"], "properties": {
            "customer": {"type": "object", "properties": {"name": {"type": "string"}}},
            "id": {"type": "number"},
        }});
        let mut form = Form::new(Signature {
            parameters: vec![Parameter::required("order", order)],
            ..Signature::default()
        });
        let skeleton = form.to_json();
        let expected = "{\n  \"order\": {\n    \"id\": 0,\n    \"customer\": {\n      \"name\": \"\"\n    }\n  }\n}";
        assert_eq!(skeleton, expected);
        form.read_json(r#"{"order": {"id": 1.50, "customer": {"name": "Ann"}}}"#).unwrap();
        let sent = form.arguments().unwrap();
        assert_eq!(sent.positional(), r#"[{"id":1.50,"customer":{"name":"Ann"}}]"#);
        form.read_json(r#"{"order": {"id": 1, "customer": {"name": 5}}}"#).unwrap();
        assert_eq!(form.arguments(), None);
        assert_eq!(form.fields[0].error.as_deref(), Some("customer.name must be text"));
    }

    #[test]
    fn what_is_shown_is_sent_though_it_was_not_changed() {
        let order = json!({"type": "object", "properties": {"id": {"type": "number"}}});
        let mut form = Form::new(Signature {
            parameters: vec![Parameter::required("order", order)],
            ..Signature::default()
        });
        form.open_json(&form.to_json(), None);
        assert!(form.apply_json());
        assert_eq!(form.arguments().unwrap().positional(), r#"[{"id":0}]"#);
        let mut form = self::form();
        form.open_json(&form.to_json(), None);
        assert!(form.apply_json());
        assert_eq!(form.arguments(), None);
        assert_eq!(form.fields[0].error.as_deref(), Some("must be a number"), "null was shown");
    }

    #[test]
    fn an_invalid_text_keeps_its_input_and_has_an_error() {
        let mut form = form();
        for (text, error) in [
            ("{", "not JSON: EOF"),
            ("5", "an object or a list"),
            (r#"{"x": 1}"#, "no parameter x"),
            ("[1,2,3,4]", "takes 3"),
            (r#"{"a": 18446744073709551616}"#, "exactly"),
        ] {
            form.open_json("{}", None);
            form.json.as_mut().unwrap().area = Area::new(text);
            assert!(!form.close_json(), "{text}");
            let json = form.json.as_ref().unwrap();
            assert!(json.error.as_ref().unwrap().contains(error), "{:?}", json.error);
            assert_eq!(json.area.text(), text);
        }
    }

    #[test]
    fn leaving_an_unchanged_text_changes_no_field() {
        let mut form = form();
        form.open_json(&form.to_json(), None);
        assert!(form.close_json());
        assert_eq!(values(&form), ["", "", ""]);
        assert!(form.fields.iter().all(|field| !field.touched));
    }
}
