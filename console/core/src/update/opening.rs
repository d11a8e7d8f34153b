//! Opening a method's form, a call of the history, a comparison.

use super::show::show;
use crate::model::Now;
use crate::model::calls::Tab;
use crate::model::diff::diff;
use crate::model::{Model, Pane, View};
use crate::selectors::selected_call;

pub(super) fn open_method(model: &mut Model) {
    let Some(method) = model.methods.selected_method() else { return };
    let (signature, scope) = (method.signature.clone(), model.methods.scope.clone());
    let form = model.forms.open(&signature);
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
    let known = fill(model, &request.method, &request.args);
    if let Some(form) = model.forms.get_mut().filter(|_| known) {
        form.target = target.filter(|key| model.instances.get(key).is_some());
        form.timeout = request.timeout;
    }
    show(model, View::Methods);
    model.set_focus(Pane::Response);
    if !known {
        let method = crate::text::printable(&request.method).into_owned();
        model.notify_error(format!("no instance has {method}; no form"), now);
    }
}

/// Fills the form of a method with arguments; returns whether the method is known.
pub(super) fn fill(model: &mut Model, method: &str, args: &rpc_wire::call::Args) -> bool {
    let Some(method) = model.methods.get(method) else { return false };
    let signature = method.signature.clone();
    model.methods.selected = Some(signature.name.clone());
    model.saved.selected = None;
    model.methods.filter.reset();
    let form = model.forms.open(&signature);
    form.json = None;
    form.reset();
    form.fill(args.positional());
    form.fill(args.keyword());
    true
}
