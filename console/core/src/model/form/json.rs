//! The arguments of a form as one JSON text, and back.

use rpc_wire::call::Message;
use rpc_wire::exact;
use rpc_wire::json::Json;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{FieldValue, Form};
use crate::model::area::Area;

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
    /// ones are `null`.
    pub fn to_json(&self) -> String {
        let mut lines = Vec::new();
        for field in &self.fields {
            let value = match field.written() {
                FieldValue::Value(value) => value.to_string(),
                FieldValue::Invalid(_) => as_typed(field.input.value()),
                FieldValue::Omitted => continue,
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

    /// Switches back to the fields. Returns whether the text was valid; if not, its error is set.
    pub fn close_json(&mut self) -> bool {
        let Some(json) = self.json.take() else { return true };
        let text = json.area.text();
        if text == json.before {
            return true;
        }
        match self.read_json(&text) {
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
        let (by_position, by_name) = arguments(text.trim())?;
        if by_position.len() > self.fields.len() {
            return Err(format!("{} takes {} arguments", self.signature.name, self.fields.len()));
        }
        let unknown = by_name
            .keys()
            .find(|name| self.fields.iter().all(|field| field.parameter.name != **name));
        if let Some(name) = unknown {
            return Err(format!("{} has no parameter {name}", self.signature.name));
        }
        for (at, field) in self.fields.iter_mut().enumerate() {
            match by_name.get(&field.parameter.name).or_else(|| by_position.get(at)) {
                Some(value) => field.set(value),
                None => {
                    field.input.reset();
                    (field.touched, field.error) = (false, None);
                }
            }
        }
        Ok(())
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

/// The arguments by position and by name.
fn arguments(text: &str) -> Result<(Vec<Value>, Map<String, Value>), String> {
    let parse = |json: Json<'_>| exact::value(json).map_err(|error| error.to_string());
    let or_null = |json: Option<Json<'_>>| json.map_or(Ok(Value::Null), parse);
    let (positional, keyword) = match Message::parse(text.as_bytes()) {
        Ok(Message::Call(call)) => (or_null(call.args)?, or_null(call.kwargs)?),
        _ => {
            let raw: &RawValue =
                serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
            match parse(raw.into())? {
                list @ Value::Array(_) => (list, Value::Null),
                keyword @ Value::Object(_) => (Value::Null, keyword),
                _ => return Err("arguments must be an object or a list".to_owned()),
            }
        }
    };
    let positional =
        if let Value::Array(positional) = positional { positional } else { Vec::new() };
    let keyword = if let Value::Object(keyword) = keyword { keyword } else { Map::new() };
    Ok((positional, keyword))
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
