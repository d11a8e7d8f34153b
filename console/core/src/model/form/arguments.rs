//! From the fields of a form to the arguments of a call, and why there may be none.

use rpc_wire::call::Args;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{FieldValue, Form};
use crate::text;

impl Form {
    /// The arguments as they would be sent: required ones by position, others by name, each as it was
    /// typed.
    ///
    /// # Errors
    /// Which fields to complete. A call without them would have its other arguments at wrong
    /// positions.
    pub fn preview(&self) -> Result<Args, String> {
        let (mut positional, mut keyword) = (Vec::new(), Vec::new());
        let (mut missing, mut invalid) = (Vec::new(), Vec::new());
        for field in &self.fields {
            let name = field.parameter.name.as_str();
            match field.value() {
                FieldValue::Value(json) => match RawValue::from_string(json) {
                    Ok(json) if field.parameter.is_required() => positional.push(json),
                    Ok(json) => keyword.push((name, json)),
                    Err(_) => invalid.push(name),
                },
                FieldValue::Omitted => {}
                FieldValue::Missing => missing.push(name),
                FieldValue::Invalid(_) => invalid.push(name),
            }
        }
        let names = |names: &[&str]| text::printable(&names.join(", ")).into_owned();
        match (&missing[..], &invalid[..]) {
            ([], []) => Ok(Args::from_raw(&positional, &keyword)),
            (missing, []) => Err(format!("fill in {} first", names(missing))),
            (_, invalid) => Err(format!("fix {} first", names(invalid))),
        }
    }

    /// The arguments, or as [`preview`](Self::preview): then errors are set and the first field to
    /// complete is focused.
    ///
    /// # Errors
    /// Which fields to complete.
    pub fn arguments(&mut self) -> Result<Args, String> {
        let args = self.preview();
        for field in &mut self.fields {
            field.error = match field.value() {
                FieldValue::Invalid(error) => Some(error),
                FieldValue::Missing => Some("required".to_owned()),
                FieldValue::Omitted | FieldValue::Value(_) => None,
            };
        }
        if let Some(at) = self.fields.iter().position(|field| field.error.is_some()) {
            (self.focus, self.editing) = (at, true);
        }
        args
    }
}

/// The JSON of a value typed as `text`: keys in the order typed, no digit lost.
pub(super) fn as_typed(value: &Value, text: &str) -> String {
    match value {
        Value::String(_) => value.to_string(),
        _ => compact(text.trim()),
    }
}

/// A JSON text without white space between its parts.
pub(super) fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keeps = |c: &char| {
        let keeps = in_string || !c.is_ascii_whitespace();
        match c {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *c == '\\' && !escaped;
        keeps
    };
    json.chars().filter(keeps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::form::tests::{add, type_into};
    use rpc_wire::signature::{Parameter, Signature};
    use serde_json::json;

    #[test]
    fn an_incomplete_field_never_shifts_the_arguments() {
        let mut form = add();
        type_into(&mut form, 1, "2");
        assert_eq!(form.preview(), Err("fill in a first".to_owned()));
        type_into(&mut form, 0, "151x");
        assert_eq!(form.preview(), Err("fix a first".to_owned()));
        type_into(&mut form, 2, "c");
        assert_eq!(form.preview(), Err("fix a, c first".to_owned()));
        type_into(&mut form, 0, "151");
        assert_eq!(form.preview(), Err("fix c first".to_owned()), "optional ones too");
        type_into(&mut form, 2, "3");
        let args = form.preview().unwrap();
        assert_eq!((args.positional(), args.keyword()), ("[151,2]", r#"{"c":3}"#));
    }

    #[test]
    fn keys_and_digits_are_sent_as_typed() {
        let mut form = Form::new(Signature {
            parameters: vec![
                Parameter::required("order", json!({"type": "object"})),
                Parameter::optional("z", json!({"type": "number"}), json!(0)),
                Parameter::optional("a", json!(true), json!(0)),
            ],
            ..Signature::default()
        });
        type_into(&mut form, 0, "{\"id\": 1,\n \"customer\": {\"b\": \" \\\" \", \"a\": [1, 2]}}");
        type_into(&mut form, 1, "1.50");
        type_into(&mut form, 2, "123456789012345678901234567890");
        let args = form.preview().unwrap();
        assert_eq!(args.positional(), r#"[{"id":1,"customer":{"b":" \" ","a":[1,2]}}]"#);
        assert_eq!(args.keyword(), r#"{"z":1.50,"a":123456789012345678901234567890}"#);
    }
}
