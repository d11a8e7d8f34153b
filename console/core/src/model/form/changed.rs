//! A form whose method has changed: what was typed stays where its field still exists, and the difference is told.

use std::mem;
use std::sync::Arc;

use rpc_wire::signature::{Parameter, Signature};

use super::{Field, Form};
use crate::text;

/// Bytes of a default in the description of a change; the rest is cut.
const MAX_DEFAULT_BYTES: usize = 60;
/// Cells of what was typed into a field that is gone; the rest is cut.
const MAX_TYPED: usize = 20;

/// The method as it was when the form was last sent or reset.
#[derive(Debug, Clone)]
pub(super) struct Before {
    signature: Arc<Signature>,
    /// Fields that it had then, with what was typed: the method may get them back.
    lost: Vec<Field>,
}

impl Form {
    /// Takes the signature that the method has now.
    pub(super) fn relearn(&mut self, signature: &Arc<Signature>) {
        let old = mem::replace(&mut self.signature, Arc::clone(signature));
        if old == *signature {
            return;
        }
        let is_untouched_json =
            self.json.as_ref().is_some_and(|json| json.area.text() == json.before);
        let focused = self.fields.get(self.focus).map(|field| field.parameter.name.clone());
        let lost = || Before { signature: old, lost: Vec::new() };
        let before = self.before.get_or_insert_with(lost);
        let mut known = mem::take(&mut self.fields);
        known.append(&mut before.lost);
        for parameter in &signature.parameters {
            let mut field = Field::new(parameter);
            if let Some(at) = known.iter().position(|field| field.parameter.name == parameter.name)
            {
                let typed = known.remove(at);
                (field.input, field.touched) = (typed.input, typed.touched);
            }
            self.fields.push(field);
        }
        known.retain(|field| !field.input.value().is_empty());
        before.lost = known;
        let same =
            self.fields.iter().position(|field| Some(&field.parameter.name) == focused.as_ref());
        self.focus = same.unwrap_or(self.focus.min(self.fields.len().saturating_sub(1)));
        if is_untouched_json {
            let editing = self.editing;
            self.open_json(&self.to_json(), None);
            self.editing = editing;
        }
    }

    /// Whoever sends or resets the form has seen how the method has changed.
    pub fn accept_changes(&mut self) {
        self.before = None;
    }

    /// How calls of the method differ from those when the form was last sent or reset; `None`: they do not.
    pub fn changes(&self) -> Option<String> {
        let before = self.before.as_ref()?;
        let (old, new) = (&before.signature, &self.signature);
        let was = |name: &str| old.parameters.iter().find(|parameter| parameter.name == name);
        let mut changes = Vec::new();
        for parameter in &new.parameters {
            let name = &parameter.name;
            match was(name) {
                None if parameter.is_required() => {
                    changes.push(format!("{name} is new and required"))
                }
                None => changes.push(format!("{name} is new")),
                Some(old) => {
                    changes.extend(change(old, parameter).map(|how| format!("{name} {how}")))
                }
            }
        }
        for Parameter { name, .. } in &old.parameters {
            if new.parameters.iter().all(|parameter| parameter.name != *name) {
                let typed = before.lost.iter().find(|field| field.parameter.name == *name);
                let typed =
                    typed.map(|field| text::cut(field.input.value(), MAX_TYPED).into_owned());
                let typed = typed.map(|typed| format!(" (was {typed})")).unwrap_or_default();
                changes.push(format!("{name} is gone{typed}"));
            }
        }
        match (old.stream, new.stream) {
            (false, true) => changes.push("it streams".to_owned()),
            (true, false) => changes.push("it streams no more".to_owned()),
            _ => {}
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }
}

/// How a parameter differs.
fn change(old: &Parameter, new: &Parameter) -> Option<String> {
    match (&old.default, &new.default) {
        _ if old.required != new.required && new.required => Some("is required".to_owned()),
        (before, Some(default)) if before.as_ref() != Some(default) => {
            Some(format!("has the default {}", text::json_cut(default, MAX_DEFAULT_BYTES)))
        }
        _ if old.required != new.required => Some("is optional".to_owned()),
        (Some(_), None) => Some("has another default".to_owned()),
        _ => (old.schema != new.schema).then(|| "takes other values".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tui_input::Input;

    fn number(name: &str) -> Parameter {
        Parameter::required(name, json!({"type": "number"}))
    }

    fn optional(name: &str, default: i64) -> Parameter {
        Parameter::optional(name, json!({"type": "number"}), json!(default))
    }

    fn method(parameters: Vec<Parameter>) -> Arc<Signature> {
        Arc::new(Signature { parameters, ..Signature::default() })
    }

    fn values(form: &Form) -> Vec<&str> {
        form.fields.iter().map(|field| field.input.value()).collect()
    }

    #[test]
    fn what_was_typed_moves_with_its_field_and_comes_back_with_it() {
        let before = method(vec![number("price"), optional("percent", 10), optional("old", 1)]);
        let mut form = Form::new(Arc::clone(&before));
        form.fields[0].set_text("200");
        form.fields[2].set_text("3");
        form.focus = 2;
        form.relearn(&method(vec![number("id"), number("price"), optional("percent", 20)]));
        assert_eq!(values(&form), ["", "200", ""]);
        assert_eq!(form.focus, 2, "at most the last one");
        let said = "id is new and required, percent has the default 20, old is gone (was 3)";
        assert_eq!(form.changes().as_deref(), Some(said));
        form.fields[1].set_text("201");
        form.focus = 1;
        form.relearn(&before);
        assert_eq!((values(&form), form.focus), (vec!["201", "", "3"], 0));
        assert_eq!(form.changes(), None);
    }

    #[test]
    fn each_difference_of_a_call_is_told_and_one_of_the_documentation_is_not() {
        let old = || method(vec![number("a"), optional("b", 1)]);
        let text = Parameter::required("a", json!({"type": "string"}));
        let unsaid = Parameter { default: None, ..optional("b", 1) };
        for (new, said) in [
            (vec![number("a"), number("b")], Some("b is required")),
            (vec![optional("a", 2), optional("b", 1)], Some("a has the default 2")),
            (
                vec![Parameter { required: false, ..number("a") }, optional("b", 1)],
                Some("a is optional"),
            ),
            (vec![number("a"), unsaid], Some("b has another default")),
            (vec![text, optional("b", 1)], Some("a takes other values")),
            (vec![Parameter { doc: "new".to_owned(), ..number("a") }, optional("b", 1)], None),
        ] {
            let mut form = Form::new(old());
            form.relearn(&method(new));
            assert_eq!(form.changes().as_deref(), said);
        }
        let mut form = Form::new(old());
        form.relearn(&Arc::new(Signature { stream: true, ..Signature::clone(&old()) }));
        assert_eq!(form.changes().as_deref(), Some("it streams"));
        form.reset();
        assert_eq!(form.changes(), None, "the form is as empty as a new one");
    }

    #[test]
    fn json_that_was_edited_stays_and_other_json_follows_the_method() {
        let mut form = Form::new(method(vec![number("a")]));
        form.fields[0].input = Input::new("1".to_owned());
        form.open_json(&form.to_json(), None);
        let next = method(vec![number("a"), number("b")]);
        let mut edited = form.clone();
        edited.json.as_mut().unwrap().area.insert(" ");
        let typed = edited.json.as_ref().unwrap().area.text();
        for form in [&mut form, &mut edited] {
            form.relearn(&next);
        }
        let text = |form: &Form| form.json.as_ref().unwrap().area.text();
        assert_eq!(text(&form), "{\n  \"a\": 1,\n  \"b\": null\n}");
        assert_eq!(text(&edited), typed);
    }
}
