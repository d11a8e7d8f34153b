//! Fields that refer to variables: filled before a call is sent, kept as written when it is saved.

use std::sync::Arc;

use rpc_wire::call::Args;
use serde_json::Value;

use super::{Field, FieldValue, Form, Kind};
use crate::model::template::{Variables, has_reference, has_secret};

impl Form {
    pub(super) fn set_variables(&mut self, variables: &Arc<Variables>) {
        for field in &mut self.fields {
            field.variables = Arc::clone(variables);
        }
    }

    /// The arguments as they are written, with their references, to be saved. A missing required one
    /// is left out; those after it go by name.
    ///
    /// # Errors
    /// The first field with an invalid text, and why.
    pub fn written(&self) -> Result<Args, String> {
        let (mut positional, mut keyword) = (Vec::new(), Vec::new());
        let mut complete = true;
        for field in &self.fields {
            if let Some(json) = field.written_json() {
                match complete && field.parameter.is_required() {
                    true => positional.push(json),
                    false => keyword.push((field.parameter.name.as_str(), json)),
                }
                continue;
            }
            match field.written() {
                FieldValue::Invalid(error) if !field.input.value().trim().is_empty() => {
                    return Err(format!("{} {error}", field.parameter.name));
                }
                FieldValue::Invalid(_) => complete = false,
                FieldValue::Omitted | FieldValue::Value(_) => {}
            }
        }
        Ok(Args::from_raw(&positional, &keyword))
    }
}

impl Field {
    /// Puts the variables into a written value.
    pub(super) fn fill(&self, written: Value) -> FieldValue {
        let text = self.input.value();
        if !has_reference(text) {
            return FieldValue::Value(written);
        }
        // In a list or an object, references stand in strings; in a text field, in the text.
        if written.is_array() || written.is_object() || self.is_text() {
            return match self.variables.fill_value(written) {
                // What comes from the process environment is not known yet.
                Ok(value) if has_secret(text) => FieldValue::Value(value),
                Ok(value) => match self.check(&value) {
                    Ok(()) => FieldValue::Value(value),
                    Err(error) => FieldValue::Invalid(error),
                },
                Err(error) => FieldValue::Invalid(error),
            };
        }
        match self.variables.fill(text) {
            Err(error) => FieldValue::Invalid(error),
            // Its type is not known before the call is sent.
            Ok(filled) if has_secret(&filled) && self.kind == Kind::Auto => {
                FieldValue::Value(Value::from(filled))
            }
            Ok(filled) if has_secret(&filled) => FieldValue::Invalid(format!(
                "takes no {{{{env:…}}}}: it is not a text but {}",
                self.kind.label()
            )),
            // As if the value of the variable had been typed.
            Ok(filled) => match self.parse(&filled) {
                Ok(value) => FieldValue::Value(value),
                Err(error) => FieldValue::Invalid(format!("{error}, not {filled}")),
            },
        }
    }

    fn is_text(&self) -> bool {
        match &self.kind {
            Kind::Text => true,
            Kind::Nullable(kind) => **kind == Kind::Text,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::{Parameter, Signature};
    use serde_json::json;
    use tui_input::Input;

    fn form(texts: &[&str]) -> Form {
        let mut form = Form::new(Signature {
            name: "order".to_owned(),
            parameters: vec![
                Parameter::required("user", json!({"type": "string"})),
                Parameter::required("count", json!({"type": "integer"})),
                Parameter::required("tags", json!({"type": "array"})),
                Parameter::optional("any", json!(true), json!(null)),
            ],
            ..Signature::default()
        });
        let values = [("user", "Ann \"A\""), ("count", "3"), ("list", "[1]")];
        form.set_variables(&Arc::new(Variables {
            environment: Some("local".to_owned()),
            values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            process: ["TOKEN".to_owned()].into(),
        }));
        for (field, text) in form.fields.iter_mut().zip(texts) {
            field.input = Input::new((*text).to_owned());
            field.touched = true;
        }
        form
    }

    #[test]
    fn references_are_filled_as_if_the_value_had_been_typed() {
        let sent = |texts: &[&str]| {
            let args = form(texts).arguments().unwrap();
            format!("{} {}", args.positional(), args.keyword())
        };
        assert_eq!(
            sent(&["{{user}}!", "{{count}}", r#"["{{user}}", 1]"#, "{{count}}"]),
            r#"["Ann \"A\"!",3,["Ann \"A\"",1]] {"any":3}"#
        );
        assert_eq!(
            sent(&["{{env:TOKEN}}", "1{{count}}", "{{list}}", "{{env:TOKEN}}"]),
            r#"["{{env:TOKEN}}",13,[1]] {"any":"{{env:TOKEN}}"}"#
        );
    }

    #[test]
    fn an_unknown_or_unfit_variable_is_an_error_of_its_field() {
        for (text, error) in [
            ("{{cuont}}", "did you mean count?"),
            ("{{user}}", "must be a whole number, not Ann"),
            ("{{env:TOKEN}}", "takes no {{env:…}}: it is not a text but int"),
            ("{{env:NONE}}", "NONE is not set"),
        ] {
            let mut form = form(&["x", text, "[]"]);
            assert_eq!(form.arguments(), None, "{text}");
            assert_eq!(form.focus, 1);
            let found = form.fields[1].visible_error().unwrap();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn references_are_saved_and_edited_as_written() {
        let texts = ["{{env:TOKEN}}", "{{count}}", r#"["{{user}}"]"#, "{{any}}"];
        let mut before = form(&texts);
        let args = before.written().unwrap();
        assert_eq!(args.positional(), r#"["{{env:TOKEN}}","{{count}}",["{{user}}"]]"#);
        assert_eq!(args.keyword(), r#"{"any":"{{any}}"}"#);
        let mut after = form(&[]);
        after.fill(args.positional());
        after.fill(args.keyword());
        let texts_of = |form: &Form| {
            form.fields.iter().map(|field| field.input.value().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts_of(&after), texts);
        let json = before.to_json();
        before.read_json(&json).unwrap();
        assert_eq!(texts_of(&before), texts);
    }

    #[test]
    fn a_missing_field_is_left_out_and_an_invalid_one_is_not_saved() {
        let args = form(&["x", "", "[]"]).written().unwrap();
        assert_eq!((args.positional(), args.keyword()), (r#"["x"]"#, r#"{"tags":[]}"#));
        assert_eq!(form(&["x", "1x"]).written().unwrap_err(), "count must be a whole number");
    }
}
