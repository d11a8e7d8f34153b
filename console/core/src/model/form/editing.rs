//! Typing and pasting into a field.

use tui_input::{Input, InputRequest};

use super::Field;
use crate::editing::{MAX_FIELD_BYTES, apply};

impl Field {
    /// Applies edits. A field that stays empty is still omitted.
    pub fn edit(&mut self, requests: &[InputRequest]) {
        let before = self.input.value().to_owned();
        apply(&mut self.input, requests);
        if self.input.value() != before {
            self.touched = true;
        } else if before.is_empty() && requests.contains(&InputRequest::DeletePrevChar) {
            // From an empty text back to none.
            self.touched = false;
        }
        self.error = None;
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
    use crate::model::form::tests::add;
    use crate::model::form::{FieldValue, Form, Kind};
    use rpc_wire::signature::{Parameter, Signature};
    use serde_json::json;

    #[test]
    fn backspace_in_an_empty_field_sends_no_empty_text() {
        let text = json!({"type": "string"});
        let mut form = Form::new(Signature {
            parameters: vec![Parameter::optional("name", text, json!("Ann"))],
            ..Signature::default()
        });
        let field = &mut form.fields[0];
        field.edit(&[InputRequest::DeletePrevChar]);
        assert_eq!(field.value(), FieldValue::Omitted);
        field.edit(&[InputRequest::InsertChar('x')]);
        field.edit(&[InputRequest::DeletePrevChar]);
        assert_eq!(field.value(), FieldValue::Value("\"\"".to_owned()), "an empty text was typed");
        field.edit(&[InputRequest::DeletePrevChar]);
        assert_eq!(field.value(), FieldValue::Omitted, "and is taken back");
    }

    #[test]
    fn a_pasted_text_stays_as_it_was() {
        let mut form = add();
        let field = &mut form.fields[0];
        field.kind = Kind::Text;
        field.input = Input::new("äz".to_owned()).with_cursor(1);
        assert!(field.paste("one\n\ttwo\n"));
        assert_eq!(field.value(), FieldValue::Value(r#""äone\n\ttwo\nz""#.to_owned()));
        assert_eq!(field.input.cursor(), 10);
        assert!(!field.paste(&"x".repeat(MAX_FIELD_BYTES)), "the field has a limit");
    }
}
