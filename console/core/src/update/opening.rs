//! Opening a method's form, a call of the history, a comparison.

use rpc_wire::json::Json;
use rpc_wire::signature::Signature;
use serde_json::value::RawValue;

use super::show::show;
use super::{Effects, reading};
use crate::model::Now;
use crate::model::calls::Tab;
use crate::model::diff::diff;
use crate::model::service::MethodId;
use crate::model::{Model, Pane, View};
use crate::selectors::selected_call;
use crate::text;

pub(super) fn open_method(model: &mut Model, effects: &mut Effects) {
    let Some(method) = model.methods.selected_method() else { return };
    reading::ask_again(method, effects);
    let (id, signature) = (method.id.clone(), method.signature.clone());
    let scope = model.methods.scope.clone();
    let form = model.forms.open(&id.service, &signature);
    (form.focus, form.editing) = (0, true);
    if scope.is_some() {
        form.target = scope;
    }
    model.filtering = false;
    model.set_focus(Pane::Form);
}

/// Compares the result on screen with the previous one, if its tab is open.
pub(super) fn compute_diff(model: &mut Model) {
    let Some(call) = model.calls.shown_call() else { return };
    if call.tab != Tab::Diff || call.diff.is_some() {
        return;
    }
    let before = model.calls.previous_result(call.request.id).and_then(|call| call.document());
    let (Some(old), Some(new)) = (before, call.document()) else { return };
    let found = diff(old, new);
    if let Some(call) = model.calls.shown_call_mut() {
        call.diff = Some(found);
    }
}

pub(super) fn open_call(model: &mut Model, now: Now) {
    let Some(id) = selected_call(model) else { return };
    model.calls.shown = Some(id);
    let Some(call) = model.calls.get(id) else { return };
    let (request, target) = (call.request.clone(), call.target().cloned());
    let filled = fill(model, &request.method_id(), &request.args);
    if let Some(form) = model.forms.get_mut().filter(|_| filled.is_ok()) {
        form.target = target.filter(|key| model.instances.get(key).is_some());
        form.timeout = request.timeout;
    }
    show(model, View::Methods);
    model.set_focus(Pane::Response);
    if let Err(why) = filled {
        model.notify_error(format!("no form: {why}"), now);
    }
}

/// Fills the form of a method with arguments.
///
/// # Errors
/// The method is unknown, or takes other arguments.
pub(super) fn fill(
    model: &mut Model,
    method: &MethodId,
    args: &rpc_wire::call::Args,
) -> Result<(), String> {
    let shown = text::printable(&method.name).into_owned();
    let Some(method) = model.methods.find(method) else {
        return Err(format!("no instance has {shown}"));
    };
    let (id, signature) = (method.id.clone(), method.signature.clone());
    if let Some(surplus) = surplus(&signature, args) {
        return Err(format!("{shown} takes no {surplus}"));
    }
    (model.methods.selected, model.methods.is_chosen) = (Some(id.clone()), true);
    model.saved.selected = None;
    model.methods.filter.reset();
    let form = model.forms.open(&id.service, &signature);
    form.json = None;
    form.reset();
    form.fill(args.positional());
    form.fill(args.keyword());
    Ok(())
}

/// An argument that the form has no field for: without it another call would be sent.
fn surplus(signature: &Signature, args: &rpc_wire::call::Args) -> Option<String> {
    let raw = |json: &str| serde_json::from_str::<Box<RawValue>>(json).ok();
    let (positional, keyword) = (raw(args.positional())?, raw(args.keyword())?);
    let parameters = &signature.parameters;
    let count = Json::from(&positional).elements().into_iter().flatten().count();
    if count > parameters.len() {
        return Some(format!("argument {}", parameters.len() + 1));
    }
    let names = Json::from(&keyword).entries().into_iter().flatten();
    let names = names.filter_map(|(name, _)| name.as_string());
    let unknown =
        names.into_iter().find(|name| parameters.iter().all(|known| known.name != **name));
    unknown.map(|name| text::printable(&name).into_owned())
}
