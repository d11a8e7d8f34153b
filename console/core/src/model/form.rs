//! The form of a call: a typed field per parameter, built from the method's signature.

mod json;
mod kind;
mod references;

pub use json::JsonText;
pub use kind::Kind;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::{Args, Message};
use rpc_wire::exact;
use rpc_wire::instance::InstanceKey;
use rpc_wire::json::Json;
use rpc_wire::signature::{Parameter, Signature};
use serde_json::{Map, Value};
use tui_input::Input;

use crate::model::template::{Variables, has_reference};

/// The timeouts offered beside the default.
const TIMEOUTS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];
/// Default timeout of a call.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// One form per method, so that input survives switching between methods.
#[derive(Debug)]
pub struct Forms {
    forms: BTreeMap<String, Form>,
    /// The timeout of a new form.
    pub default_timeout: Duration,
    /// The method whose form is on screen.
    pub current: Option<String>,
    variables: Arc<Variables>,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            forms: BTreeMap::new(),
            default_timeout: DEFAULT_TIMEOUT,
            current: None,
            variables: Arc::default(),
        }
    }
}

impl Forms {
    /// Opens the form of a method, with its previous input.
    pub fn open(&mut self, signature: &Signature) -> &mut Form {
        self.current = Some(signature.name.clone());
        let form = self
            .forms
            .entry(signature.name.clone())
            .or_insert_with(|| Form::new(signature.clone()).with_timeout(self.default_timeout));
        if form.signature != *signature {
            *form = Form::new(signature.clone()).with_timeout(self.default_timeout);
        }
        form.set_variables(&self.variables);
        form
    }

    /// Sets the variables that the fields may refer to.
    pub fn set_variables(&mut self, variables: Arc<Variables>) {
        for form in self.forms.values_mut() {
            form.set_variables(&variables);
        }
        self.variables = variables;
    }

    /// The form on screen.
    pub fn get(&self) -> Option<&Form> {
        self.forms.get(self.current.as_deref()?)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self) -> Option<&mut Form> {
        self.forms.get_mut(self.current.as_deref()?)
    }

    /// Clears the target of forms for an instance that is gone.
    pub fn clear_target(&mut self, key: &InstanceKey) {
        for form in self.forms.values_mut() {
            if form.target.as_ref() == Some(key) {
                form.target = None;
            }
        }
    }
}

/// The form of a call.
#[derive(Debug, Clone)]
pub struct Form {
    /// The method's signature.
    pub signature: Signature,
    /// One field per parameter.
    pub fields: Vec<Field>,
    /// The index of the focused field.
    pub focus: usize,
    /// Whether keys edit the field.
    pub editing: bool,
    /// The arguments as JSON, while they are edited as such.
    pub json: Option<JsonText>,
    /// One instance; `None`: any that has the method.
    pub target: Option<InstanceKey>,
    /// The timeout.
    pub timeout: Duration,
    /// The timeout it was opened with.
    default_timeout: Duration,
}

/// A field: one parameter.
#[derive(Debug, Clone)]
pub struct Field {
    /// The parameter.
    pub parameter: Parameter,
    /// The type of value it takes.
    pub kind: Kind,
    /// The text.
    pub input: Input,
    /// Whether it was ever edited.
    pub touched: bool,
    /// The error of the last attempt to send.
    pub error: Option<String>,
    /// What its text may refer to.
    variables: Arc<Variables>,
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

impl Form {
    /// An empty form.
    pub fn new(signature: Signature) -> Self {
        let field = |parameter: &Parameter| Field {
            kind: Kind::of(&parameter.schema),
            parameter: parameter.clone(),
            input: Input::default(),
            touched: false,
            error: None,
            variables: Arc::default(),
        };
        Self {
            fields: signature.parameters.iter().map(field).collect(),
            signature,
            focus: 0,
            editing: true,
            json: None,
            target: None,
            timeout: DEFAULT_TIMEOUT,
            default_timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Sets the timeout and its default.
    fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, default_timeout: timeout, ..self }
    }

    /// The focused field.
    pub fn focused(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.focus)
    }

    /// Whether keys edit a field.
    pub fn is_typing(&self) -> bool {
        self.editing && (self.json.is_some() || !self.fields.is_empty())
    }

    /// Resets every field to its default.
    pub fn reset(&mut self) {
        for field in &mut self.fields {
            field.input.reset();
            (field.touched, field.error) = (false, None);
        }
        self.focus = 0;
        if self.json.is_some() {
            self.open_json(&self.to_json(), None);
        }
    }

    /// Selects the next longer timeout, after the longest the shortest.
    pub fn next_timeout(&mut self) {
        let offered = || TIMEOUTS.into_iter().chain([self.default_timeout]);
        let longer = offered().filter(|timeout| *timeout > self.timeout).min();
        self.timeout = longer.or_else(|| offered().min()).unwrap_or(self.timeout);
    }

    /// The arguments as they would be sent: required ones by position, others by name. Invalid
    /// fields are left out.
    pub fn preview(&self) -> Args {
        let (mut positional, mut keyword) = (Vec::new(), Map::new());
        for field in &self.fields {
            if let FieldValue::Value(value) = field.value() {
                if field.parameter.is_required() {
                    positional.push(value);
                } else {
                    keyword.insert(field.parameter.name.clone(), value);
                }
            }
        }
        Args::from_values(&positional, &keyword)
    }

    /// The arguments; `None` if a field is invalid: errors are set and the first invalid field is
    /// focused.
    pub fn arguments(&mut self) -> Option<Args> {
        let mut first_invalid = None;
        for (at, field) in self.fields.iter_mut().enumerate() {
            field.error = match field.value() {
                FieldValue::Invalid(error) => {
                    first_invalid.get_or_insert(at);
                    Some(error)
                }
                FieldValue::Omitted | FieldValue::Value(_) => None,
            };
        }
        if let Some(at) = first_invalid {
            (self.focus, self.editing) = (at, true);
            return None;
        }
        Some(self.preview())
    }

    /// Fills fields from pasted JSON: an object of arguments by name, an array by position, or a
    /// whole request. Returns whether any field was filled.
    pub fn fill(&mut self, text: &str) -> bool {
        let value = |json: Json<'_>| exact::value(json).ok();
        let (by_position, by_name) = match Message::parse(text.trim().as_bytes()) {
            Ok(Message::Call(call)) => (call.args.and_then(value), call.kwargs.and_then(value)),
            _ => match serde_json::from_str::<Value>(text) {
                Ok(list @ Value::Array(_)) => (Some(list), None),
                Ok(names @ Value::Object(_)) => (None, Some(names)),
                _ => return false,
            },
        };
        let mut filled = false;
        for (at, field) in self.fields.iter_mut().enumerate() {
            let given = by_name
                .as_ref()
                .and_then(|names| names.get(&field.parameter.name))
                .or_else(|| by_position.as_ref().and_then(|values| values.get(at)));
            if let Some(given) = given {
                field.set(given);
                filled = true;
            }
        }
        filled
    }
}

impl Field {
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
        let empty = text.trim().is_empty();
        let accepts_empty = self.kind == Kind::Text && self.touched;
        if empty && !accepts_empty {
            return if self.parameter.is_required() {
                FieldValue::Invalid("required".to_owned())
            } else {
                FieldValue::Omitted
            };
        }
        match self.kind.parse(text) {
            Ok(value) => FieldValue::Value(value),
            Err(_) if has_reference(text) => FieldValue::Value(Value::from(text)),
            Err(error) => FieldValue::Invalid(error),
        }
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

    /// Sets the value, as if it had been typed.
    pub fn set(&mut self, value: &Value) {
        let text = match value {
            Value::String(text) if self.kind.takes_unquoted(text) || has_reference(text) => {
                text.clone()
            }
            other => other.to_string(),
        };
        self.input = Input::new(text);
        (self.touched, self.error) = (true, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn add() -> Form {
        let number = || json!({"type": "number"});
        Form::new(Signature {
            name: "add".to_owned(),
            parameters: vec![
                Parameter::required("a", number()),
                Parameter::required("b", number()),
                Parameter::optional("c", number(), json!(10)),
            ],
            ..Signature::default()
        })
    }

    fn type_into(form: &mut Form, field: usize, text: &str) {
        form.fields[field].input = Input::new(text.to_owned());
        form.fields[field].touched = true;
    }

    #[test]
    fn a_default_is_omitted_unless_touched() {
        let mut form = add();
        type_into(&mut form, 0, "1");
        type_into(&mut form, 1, "2");
        let args = form.arguments().unwrap();
        assert_eq!((args.positional(), args.keyword()), ("[1,2]", "{}"));
        type_into(&mut form, 2, "5");
        let args = form.arguments().unwrap();
        assert_eq!((args.positional(), args.keyword()), ("[1,2]", r#"{"c":5}"#));
        type_into(&mut form, 2, "");
        assert_eq!(form.fields[2].value(), FieldValue::Omitted);
    }

    #[test]
    fn an_invalid_field_has_its_own_error_and_gets_the_focus() {
        let mut form = add();
        type_into(&mut form, 0, "1");
        type_into(&mut form, 1, "two");
        assert_eq!(form.arguments(), None);
        assert_eq!(form.focus, 1);
        assert!(form.fields[0].error.is_none());
        assert!(form.fields[1].error.is_some());
    }

    #[test]
    fn a_missing_required_field_is_no_error_before_sending() {
        let mut form = add();
        assert_eq!(form.fields[0].visible_error(), None);
        form.arguments();
        assert_eq!(form.fields[0].visible_error().as_deref(), Some("required"));
    }

    #[test]
    fn pasted_json_fills_the_form() {
        for text in [
            r#"{"a": 1, "b": 2, "c": 3}"#,
            "[1, 2, 3]",
            r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{"c":3}}"#,
        ] {
            let mut form = add();
            assert!(form.fill(text), "{text}");
            let values: Vec<_> = form.fields.iter().map(|field| field.input.value()).collect();
            assert_eq!(values, ["1", "2", "3"], "{text}");
        }
        assert!(!add().fill("hello"));
        assert!(!add().fill(r#"{"x": 1}"#));
    }

    #[test]
    fn a_form_keeps_its_input() {
        let mut forms = Forms::default();
        let signature = add().signature;
        type_into(forms.open(&signature), 0, "7");
        forms.open(&Signature::default());
        assert_eq!(forms.open(&signature).fields[0].input.value(), "7");
    }
}
