//! Sending and finishing calls.

use crate::selectors::{NOT_READ_ONLY, candidates, is_read_only, request_text};

use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;

use super::{Effects, ask};
use crate::message::Effect;
use crate::model::Now;
use crate::model::ask::{Choice, PendingCall};
use crate::model::calls::CallRequest;
use crate::model::calls::{CallId, Outcome, PastCall};
use crate::model::instances::Row;
use crate::model::json::decoded;
use crate::model::methods::Method;
use crate::model::service::MethodId;
use crate::model::{Model, Pane, View};
use crate::text;

/// Bytes of a call shown in a question.
const SHOWN_BYTES: usize = 200;

/// Shows the form of the selected method, unless another one is being filled in.
pub(super) fn sync_form(model: &mut Model) {
    if let Some(id) = &model.forms.current
        && model.focus() != Pane::Methods
    {
        if let Some(method) = model.methods.get(id) {
            model.forms.relearn(&method.signature, model.focus() == Pane::Form);
        }
        return;
    }
    let Some(method) = model.methods.selected_method() else { return };
    if model.forms.current.as_ref() == Some(&method.id)
        && model.forms.get().is_some_and(|form| form.is_of(&method.signature))
    {
        return;
    }
    model.forms.open(&method.id.service, &method.signature);
}

/// Sends the call in the form.
pub(super) fn form(model: &mut Model, now: Now, effects: &mut Effects) {
    let Some(form) = model.forms.get_mut() else {
        model.notify_error("no method selected", now);
        return;
    };
    let json = form.json.clone();
    if !form.apply_json() {
        model.notify_error("not sent: invalid arguments", now);
        return;
    }
    let args = form.arguments();
    let written = form.written();
    if let Some(json) = json {
        // The form stays JSON; the error of a field is shown below the text.
        let error = form
            .fields
            .iter()
            .find_map(|field| Some(format!("{}: {}", field.parameter.name, field.error.as_ref()?)));
        let before = json.area.text();
        form.json = Some(crate::model::form::JsonText { before, error, ..json });
    }
    let Some(args) = args else {
        let invalid = form.fields.iter().filter(|field| field.error.is_some());
        let names: Vec<_> = invalid.map(|field| field.parameter.name.as_str()).collect();
        let why = text::fix(&names);
        model.notify_error(format!("not sent: {why}"), now);
        return;
    };
    form.accept_changes();
    let pending = PendingCall {
        method: form.id(),
        written: written.unwrap_or_else(|_| args.clone()),
        args,
        target: form.target.clone(),
        timeout: form.timeout,
    };
    call(model, pending, now, effects);
}

/// Sends a call. Asks first where the settings want it.
pub(super) fn call(model: &mut Model, call: PendingCall, now: Now, effects: &mut Effects) {
    if model.readonly && !is_read_only(model, &call.method) {
        return model.notify_error(format!("not sent: {NOT_READ_ONLY}"), now);
    }
    match name_to_confirm(model) {
        None => confirmed(model, call, now, effects),
        Some(name) => {
            let title = format!("Send {} to {name}?", model.methods.label(&call.method));
            let detail = request_text(model, call.target.as_ref(), &call.method, &call.args);
            let detail = text::prefix(&detail, SHOWN_BYTES).to_owned();
            ask::confirm(model, title, "send", detail, Choice::Send(Box::new(call)));
        }
    }
}

/// The name of the current registry, if calls and load tests ask first there.
pub(super) fn name_to_confirm(model: &Model) -> Option<String> {
    let current = model.registries.current().filter(|current| current.confirm)?;
    Some(current.name.clone())
}

/// Sends a call.
pub(super) fn confirmed(model: &mut Model, call: PendingCall, now: Now, effects: &mut Effects) {
    let PendingCall { method, args, written, target, timeout } = call;
    let candidates = match target {
        Some(key) => vec![key],
        None => candidates(model, &method, now),
    };
    if candidates.is_empty() {
        let label = model.methods.label(&method);
        model.notify_error(format!("not sent: no instance has {label}"), now);
        return;
    }
    let known = model.methods.find(&method);
    let stream = known.is_some_and(|method| method.signature.stream);
    let MethodId { service, name } = known.map_or(method, |method| method.id.clone());
    let args = arranged(model, args, known, &candidates);
    let id = model.calls.next_id();
    let request =
        CallRequest { id, service, method: name, args, written, candidates, timeout, stream };
    model.calls.start(request.clone(), now.at, now.wall_ms);
    effects.push(Effect::Call(Box::new(request)));
}

/// The arguments in a form that the method takes of all who may be called: those who speak JSON-RPC take them by
/// position or by name, and not some of each.
pub(super) fn arranged(
    model: &Model,
    args: Args,
    method: Option<&Method>,
    candidates: &[InstanceKey],
) -> Args {
    let takes_one = |key| model.instances.get(key).is_some_and(Row::speaks_json_rpc);
    match method {
        Some(method) => method.signature.arranged(args, !candidates.iter().any(takes_one)),
        None => args,
    }
}

/// Resends a call, to the same instance if it was sent to one.
pub(super) fn resend(model: &mut Model, id: CallId, now: Now, effects: &mut Effects) {
    let Some(old) = model.calls.get(id) else { return };
    let target = old.target().filter(|key| model.instances.get(key).is_some()).cloned();
    resend_to(model, id, target, now, effects);
}

/// Resends a call to `target`, or to any instance that has the method.
pub(super) fn resend_to(
    model: &mut Model,
    id: CallId,
    target: Option<InstanceKey>,
    now: Now,
    effects: &mut Effects,
) {
    let Some(old) = model.calls.get(id) else { return };
    // A call that changes nothing needs no question.
    if old.past.is_some() && !model.readonly && !is_read_only(model, &old.request.method_id()) {
        return ask::resend(model, id, target);
    }
    confirmed_resend(model, id, target, now, effects);
}

/// Resends a call, which was confirmed if it is from an earlier session.
pub(super) fn confirmed_resend(
    model: &mut Model,
    id: CallId,
    target: Option<InstanceKey>,
    now: Now,
    effects: &mut Effects,
) {
    let Some(old) = model.calls.get(id) else { return };
    let old = old.request.clone();
    let method = old.method_id();
    let CallRequest { args, written, timeout, .. } = old;
    call(model, PendingCall { method, args, written, target, timeout }, now, effects);
    if model.view == View::History {
        model.calls.selected = model.calls.shown;
    }
}

/// Applies the outcome of a call.
pub(super) fn ended(
    model: &mut Model,
    id: CallId,
    mut outcome: Outcome,
    now: Now,
    effects: &mut Effects,
) {
    let Some(call) = model.calls.get(id).filter(|call| call.is_running()) else { return };
    if outcome.elapsed.is_zero() {
        // A cancelled call has no measured time.
        outcome.elapsed = now.at.saturating_duration_since(call.started);
    }
    let method = text::printable(&call.request.method).into_owned();
    let took = text::latency(outcome.elapsed);
    let via = outcome.peer.as_ref().map_or_else(String::new, |peer| format!(" via {peer}"));
    let (text, failed) = match &outcome.result {
        Ok(_) if call.request.stream => {
            (format!("✓ {method} → {} in {took}{via}", call.items.counted()), false)
        }
        Ok(document) => {
            let body = decoded(text::prefix(document.text(), 200));
            let body = text::printable(&body);
            let rest = text::width(&format!(" ✓ {method} →  in {took}{via}"));
            let room = usize::from(model.size.0).saturating_sub(rest).clamp(12, 40);
            (format!("✓ {method} → {} in {took}{via}", text::cut(&body, room)), false)
        }
        Err(failure) => {
            let why = text::printable(&failure.text);
            (format!("✗ {method}: {why}"), true)
        }
    };
    effects.push(Effect::RecordCall(Box::new(PastCall::of(call, &outcome, model.logs.shift_ms))));
    model.calls.finish(id, outcome);
    if failed { model.notify_error(text, now) } else { model.notify(text, now) }
}
