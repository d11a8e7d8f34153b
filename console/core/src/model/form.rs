//! The form of a call: a typed field per parameter, built from the method's signature.

mod changed;
mod example;
mod field;
mod json;
mod kind;
mod references;

pub use field::{Field, FieldValue};
pub use json::JsonText;
pub use kind::Kind;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;
use rpc_wire::signature::Signature;

use crate::model::service::{MethodId, Service};
use crate::model::template::Variables;

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
    forms: BTreeMap<MethodId, Form>,
    /// The timeout of a new form.
    pub default_timeout: Duration,
    /// How an instance is chosen for a call, as settings name it.
    pub balance: &'static str,
    /// The method whose form is on screen.
    pub current: Option<MethodId>,
    variables: Arc<Variables>,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            forms: BTreeMap::new(),
            default_timeout: DEFAULT_TIMEOUT,
            balance: "random",
            current: None,
            variables: Arc::default(),
        }
    }
}

impl Forms {
    /// Opens the form of a method, with its previous input.
    pub fn open(&mut self, service: &Service, signature: &Arc<Signature>) -> &mut Form {
        let id = MethodId::new(service, signature.name.clone());
        self.current = Some(id.clone());
        // Walking through a long list leaves nothing behind.
        self.forms.retain(|other, form| *other == id || form.has_input());
        let timeout = self.default_timeout;
        let new = || Form { service: service.clone(), ..Form::new(Arc::clone(signature)) };
        let form = self.forms.entry(id).or_insert_with(|| new().with_timeout(timeout));
        if form.has_input() {
            form.relearn(signature);
        } else if !form.is_of(signature) {
            *form = new().with_timeout(timeout);
        }
        form.set_variables(&self.variables);
        form
    }

    /// Takes the signature that the method on screen has now; what was typed stays. Nobody is told of a change of
    /// an empty form that is not `focused`.
    pub fn relearn(&mut self, signature: &Arc<Signature>, focused: bool) {
        let current = self.current.as_ref().and_then(|id| self.forms.get_mut(id));
        if let Some(form) = current.filter(|form| !Arc::ptr_eq(&form.signature, signature)) {
            form.relearn(signature);
            form.set_variables(&self.variables);
            if !focused && !form.has_input() {
                form.accept_changes();
            }
        }
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
        self.forms.get(self.current.as_ref()?)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self) -> Option<&mut Form> {
        self.forms.get_mut(self.current.as_ref()?)
    }
}

/// The form of a call.
#[derive(Debug, Clone)]
pub struct Form {
    /// The service of the method.
    pub service: Service,
    /// The method's signature.
    pub signature: Arc<Signature>,
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
    /// The method before it changed.
    before: Option<changed::Before>,
    /// The example that is filled in next.
    next_example: usize,
    /// The timeout it was opened with.
    default_timeout: Duration,
}

impl Form {
    /// An empty form.
    pub fn new(signature: impl Into<Arc<Signature>>) -> Self {
        let signature = signature.into();
        Self {
            fields: signature.parameters.iter().map(Field::new).collect(),
            signature,
            service: Service::default(),
            focus: 0,
            editing: true,
            json: None,
            target: None,
            timeout: DEFAULT_TIMEOUT,
            before: None,
            next_example: 0,
            default_timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Whether it is a form of this signature.
    pub fn is_of(&self, signature: &Arc<Signature>) -> bool {
        Arc::ptr_eq(&self.signature, signature) || self.signature == *signature
    }

    /// Whether anything in it differs from an empty form.
    fn has_input(&self) -> bool {
        self.fields.iter().any(|field| field.touched)
            || self.json.is_some()
            || self.target.is_some()
            || self.timeout != self.default_timeout
    }

    /// The method.
    pub fn id(&self) -> MethodId {
        MethodId::new(&self.service, self.signature.name.clone())
    }

    /// Sets the timeout and its default.
    fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, default_timeout: timeout, ..self }
    }

    /// The focused field.
    pub fn focused(&mut self) -> Option<&mut Field> {
        self.fields.get_mut(self.focus)
    }

    /// The error below a field: not while it is typed, when most values are not complete yet.
    pub fn shown_error(&self, index: usize) -> Option<String> {
        let field = self.fields.get(index)?;
        let is_typed = self.editing && index == self.focus && field.error.is_none();
        if is_typed { None } else { field.visible_error() }
    }

    /// Whether keys edit a field.
    pub fn is_typing(&self) -> bool {
        self.editing && (self.json.is_some() || !self.fields.is_empty())
    }

    /// Resets every field to its default.
    pub fn reset(&mut self) {
        for field in &mut self.fields {
            field.clear();
        }
        self.focus = 0;
        self.accept_changes();
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

    /// The arguments as they would be sent: required ones by position, others by name.
    ///
    /// # Errors
    /// The names of the invalid fields: without one of them the others would move to its place.
    pub fn preview(&self) -> Result<Args, Vec<&str>> {
        let (mut positional, mut keyword, mut invalid) = (Vec::new(), Vec::new(), Vec::new());
        for field in &self.fields {
            let name = field.parameter.name.as_str();
            match (field.value(), field.json()) {
                (FieldValue::Invalid(_), _) => invalid.push(name),
                (_, Some(text)) if field.parameter.is_required() => positional.push(text),
                (_, Some(text)) => keyword.push((name, text)),
                (_, None) => {}
            }
        }
        if invalid.is_empty() { Ok(Args::from_raw(&positional, &keyword)) } else { Err(invalid) }
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
        self.preview().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::signature::Parameter;
    use serde_json::json;
    use tui_input::Input;

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
    fn an_invalid_field_leaves_no_arguments_to_copy() {
        let mut form = add();
        type_into(&mut form, 0, "151x");
        type_into(&mut form, 1, "2");
        assert_eq!(form.preview(), Err(vec!["a"]), "2 must not move to the place of a");
        type_into(&mut form, 0, "151");
        assert_eq!(form.preview().unwrap().positional(), "[151,2]");
    }

    #[test]
    fn an_error_is_shown_once_the_field_is_left_or_sent() {
        let mut form = add();
        type_into(&mut form, 0, "x");
        assert_eq!(form.shown_error(0), None, "it is being typed");
        form.focus = 1;
        assert_eq!(form.shown_error(0).as_deref(), Some("must be a number"));
        form.focus = 0;
        form.arguments();
        assert_eq!(form.shown_error(0).as_deref(), Some("must be a number"));
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
        let service = Service::default();
        type_into(forms.open(&service, &signature), 0, "7");
        forms.open(&service, &Arc::default());
        let other = forms.open(&Service::named("other"), &signature);
        assert_eq!(other.fields[0].input.value(), "", "the same name in another service");
        assert_eq!(forms.open(&service, &signature).fields[0].input.value(), "7");
        assert_eq!(forms.forms.len(), 1, "the untouched ones are forgotten");
    }
}
