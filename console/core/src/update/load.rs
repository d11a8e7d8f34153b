//! Load tests: form, start, stop, progress.

mod unnamed;

use super::{ask, send, show};
use crate::editing::apply;
use crate::selectors::{self, is_typing_load_field, selected_call};
use rpc_load::Phase;
use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;
use rpc_wire::paths::RPC_HEALTH;
use tui_input::InputRequest;

use super::Effects;
use crate::action::{Action, Context};
use crate::message::{Effect, LoadUpdate};
use crate::model::Now;
use crate::model::ask::Choice;
use crate::model::calls::{CallId, CallRequest};
use crate::model::form::Form;
use crate::model::load::{LoadField, LoadForm, LoadRequest, RunId, bench_command};
use crate::model::service::MethodId;
use crate::model::{Model, Pane, View};
use crate::text;

/// Calls in flight per connection, if the settings do not say.
const MAX_IN_FLIGHT: usize = 240;

/// Opens the load test form for the current call; starts nothing.
pub(super) fn plan(model: &mut Model, now: Now) {
    let call = match model.focus() {
        Pane::Response => from_call(model, model.calls.shown),
        Pane::History => from_call(model, selected_call(model)),
        Pane::Instances => from_instance(model),
        _ => from_form(model),
    };
    let call = match call {
        Ok(call) => call,
        Err(why) => return model.notify_error(why, now),
    };
    let known = model.methods.find(&call.method);
    if known.is_some_and(|method| method.signature.stream) {
        return model.notify_error("streaming methods cannot be load-tested", now);
    }
    // Without a registry there is only one server to call.
    let target = call.target.or_else(|| model.link.server.clone());
    let args = send::arranged(model, call.args, known, target.as_slice());
    let method = known.map_or(call.method, |method| method.id.clone());
    // The settings are kept: the next run is usually like the previous one.
    let per_connection = model.load.max_in_flight.unwrap_or(MAX_IN_FLIGHT);
    let form = model.load.form.take();
    let mut form = form.unwrap_or_else(|| LoadForm::new(per_connection));
    (form.service, form.method) = (method.service, method.name);
    (form.args, form.target) = (args, target);
    form.timeout = call.timeout;
    (form.focus, form.editing, form.error) = (1, true, None);
    model.load.form = Some(form);
    show::show(model, View::Load);
    model.set_focus(Pane::LoadPlan);
}

/// A call to load-test.
struct PlannedCall {
    method: MethodId,
    args: Args,
    target: Option<InstanceKey>,
    timeout: std::time::Duration,
}

/// The call in the form; errors are shown on its fields.
fn from_form(model: &mut Model) -> Result<PlannedCall, String> {
    let form = model.forms.get_mut().ok_or("fill in the call first")?;
    let json = form.json.clone();
    if !form.apply_json() {
        model.set_focus(Pane::Form);
        return Err("fix the JSON first".to_owned());
    }
    form.json = json;
    let Some(args) = form.arguments() else {
        let why = form.preview().err().map(|invalid| text::fix(&invalid));
        model.set_focus(Pane::Form);
        return Err(why.unwrap_or_default());
    };
    Ok(PlannedCall { method: form.id(), args, target: form.target.clone(), timeout: form.timeout })
}

/// A call of this session. One of an earlier session is never taken: nobody has looked at it.
fn from_call(model: &Model, id: Option<CallId>) -> Result<PlannedCall, String> {
    let call = id.and_then(|id| model.calls.get(id)).ok_or("no calls yet")?;
    if call.past.is_some() {
        let context = Context::of(model.focus());
        let key = model.keys.shown(context, Action::Resend);
        return Err(format!(
            "this call is from an earlier session; press {key} to resend it first"
        ));
    }
    Ok(planned(model, &call.request))
}

fn planned(model: &Model, request: &CallRequest) -> PlannedCall {
    let target = match &request.candidates[..] {
        [one] if model.instances.get(one).is_some() => Some(one.clone()),
        _ => None,
    };
    PlannedCall {
        method: request.method_id(),
        args: request.args.clone(),
        target,
        timeout: request.timeout,
    }
}

/// The call typed in the form, else this session's latest call of a method that the selected instance
/// has, else a health check.
fn from_instance(model: &Model) -> Result<PlannedCall, String> {
    let key = model.instances.selected.clone().ok_or("no instance selected")?;
    let has_method =
        |id: &MethodId| model.methods.find(id).is_some_and(|method| method.on.contains(&key));
    // A form opens by itself when its method is selected: only one with input is meant.
    let is_typed =
        |form: &&Form| has_method(&form.id()) && form.fields.iter().any(|field| field.touched);
    let filled = model.forms.get().filter(is_typed).and_then(|form| {
        let (method, timeout) = (form.id(), form.timeout);
        Some(PlannedCall { method, args: form.preview().ok()?, target: None, timeout })
    });
    let latest = || {
        let mut calls = model.calls.visible().into_iter();
        let call =
            calls.find(|call| call.past.is_none() && has_method(&call.request.method_id()))?;
        Some(planned(model, &call.request))
    };
    let health = || {
        let row = model.instances.get(&key)?;
        row.speaks_extended().then(|| PlannedCall {
            method: RPC_HEALTH.into(),
            args: Args::none(),
            target: None,
            timeout: model.forms.default_timeout,
        })
    };
    let call = filled.or_else(latest).or_else(health);
    let call = call.ok_or("no call to load-test; fill one in first (2)")?;
    Ok(PlannedCall { target: Some(key), ..call })
}

/// Starts the load test of the form. Asks first where the settings want it.
pub(super) fn start(model: &mut Model, now: Now, effects: &mut Effects) {
    let Some(name) = send::name_to_confirm(model) else { return confirmed(model, now, effects) };
    let Some(form) = &model.load.form else { return };
    let title = format!("Load-test {} on {name}?", form.method);
    let length = form.value(LoadField::Length).value();
    let detail = match form.open {
        true => format!("{} calls/s, {length}", form.value(LoadField::Rate).value()),
        false => format!("{} callers, {length}", form.value(LoadField::Callers).value()),
    };
    ask::confirm(model, title, "start", detail, Choice::StartLoad);
}

/// Starts the load test of the form.
pub(super) fn confirmed(model: &mut Model, now: Now, effects: &mut Effects) {
    let id = model.load.next_id();
    let live = model.link.is_live();
    let method = model.load.form.as_ref().map(|form| form.method_id());
    if model.readonly && !method.is_some_and(|id| selectors::is_read_only(model, &id)) {
        return model.notify_error(format!("not started: {}", selectors::NOT_READ_ONLY), now);
    }
    let Some(form) = &mut model.load.form else { return };
    if form.target.is_none() && !live {
        return model.notify_error("registry unreachable; choose an instance (^t)", now);
    }
    let request = form.submit(id, &model.link);
    let request = request.and_then(|mut request| {
        unnamed::aim(model, &mut request)?;
        Ok(request)
    });
    match request {
        Ok(request) => match selectors::remote_target(model, &request) {
            // Where the settings want a question, it was answered.
            Some(remote)
                if send::name_to_confirm(model).is_none()
                    && !selectors::is_read_only(model, &request.method_id()) =>
            {
                ask::load_test(model, request, &remote)
            }
            _ => run(model, request, effects),
        },
        Err(why) => {
            model.set_focus(Pane::LoadPlan);
            model.notify_error(why, now);
        }
    }
}

/// Starts a load test that needs no confirmation, or has it.
pub(super) fn run(model: &mut Model, request: LoadRequest, effects: &mut Effects) {
    if let Some(form) = &mut model.load.form {
        // Back in the form, keys are commands until a field is edited.
        (form.error, form.editing) = (None, false);
    }
    model.load.start(request.clone());
    model.set_focus(Pane::LoadRun);
    effects.push(Effect::StartLoad(Box::new(request)));
}

pub(super) fn stop(model: &Model, effects: &mut Effects) {
    if model.load.is_running() {
        effects.push(Effect::StopLoad);
    }
}

/// Handles Escape; returns whether it concerned the load test. It never stops one: that has a key of its
/// own, and a person presses Escape without looking.
pub(super) fn escape(model: &mut Model) -> bool {
    if is_typing_load_field(model) {
        leave_field(model);
    } else if model.focus() == Pane::LoadRun && !model.full_screen {
        model.set_focus(Pane::LoadPlan);
    } else {
        return false;
    }
    true
}

/// Applies the progress of the current run; that of an earlier one is ignored.
pub(super) fn apply_update(model: &mut Model, id: RunId, update: LoadUpdate, now: Now) {
    let Some(run) = model.load.run.as_mut().filter(|run| run.request.id == id) else { return };
    match update {
        LoadUpdate::Progress(progress) => {
            if let Phase::Failed(error) = &progress.phase {
                run.failure = Some(error.to_string());
            }
            run.progress = Some(progress);
        }
        LoadUpdate::Failed(error) => run.failure = Some(error),
    }
    if !run.is_over() {
        return;
    }
    let (status, method) = (run.status(), text::printable(&run.request.method).into_owned());
    let failure = run.failure.clone();
    let results = run.report().map(|report| {
        let (calls, rate) = (text::grouped(report.calls), text::rate(report.rate));
        format!("{calls} calls, {rate}/s, p99 {}", text::precise(report.latency.p99))
    });
    match (failure, results) {
        (Some(why), _) => model.notify_error(format!("✗ load test of {method}: {why}"), now),
        (None, Some(results)) => {
            model.notify(format!("load test of {method} {status}: {results}"), now)
        }
        (None, None) => {}
    }
}

/// The command line of the form, or of the current run.
///
/// # Errors
/// Why there is none.
pub(super) fn command(model: &Model) -> Result<Option<String>, String> {
    if model.focus() == Pane::LoadRun
        && let Some(run) = &model.load.run
    {
        return bench_command(&run.request, &model.registries.access()).map(Some);
    }
    let Some(form) = &model.load.form else { return Ok(None) };
    let request = form.to_request(0, &model.link);
    let request = request.map_err(|(field, why)| format!("{} {why}", field.title()))?;
    bench_command(&request, &model.registries.access()).map(Some)
}

pub(super) fn edit(model: &mut Model, requests: &[InputRequest]) {
    let Some(form) = &mut model.load.form else { return };
    match form.focused() {
        LoadField::Mode => {
            let switches = |request: &&InputRequest| {
                matches!(
                    request,
                    InputRequest::InsertChar(' ')
                        | InputRequest::GoToPrevChar
                        | InputRequest::GoToNextChar
                )
            };
            if requests.iter().any(|request| switches(&request)) {
                form.toggle_mode();
            }
        }
        field => apply(form.value_mut(field), requests),
    }
}

/// Switches to the other loop, or to the next target.
pub(super) fn switch(model: &mut Model, action: Action) {
    let Some(form) = &mut model.load.form else { return };
    if action == Action::LoadMode {
        return form.toggle_mode();
    }
    let on: Vec<InstanceKey> = match model.methods.find(&form.method_id()) {
        Some(method) => method.on.sorted(),
        // Every instance has the methods of the protocol.
        None => {
            let mut all: Vec<_> = model.instances.all().map(|row| row.key.clone()).collect();
            all.sort();
            all
        }
    };
    let at = form.target.as_ref().map(|key| on.iter().position(|on| on == key));
    form.target = match at {
        _ if model.link.server.is_some() => model.link.server.clone(),
        None => on.first().cloned(),
        Some(Some(at)) => on.get(at + 1).cloned(),
        Some(None) => None,
    };
}

pub(super) fn next_field(model: &mut Model, by: isize) {
    let running = model.load.is_running();
    let Some(form) = &mut model.load.form else { return show::next_pane(model, by) };
    let to = form.focus.checked_add_signed(by).filter(|to| *to < form.fields().len());
    match to.filter(|_| !running) {
        Some(to) => (form.focus, form.editing) = (to, true),
        None => show::next_pane(model, by),
    }
}

pub(super) fn focus_field(model: &mut Model, index: usize) {
    if let Some(form) = model.load.form.as_mut().filter(|form| index < form.fields().len()) {
        (form.focus, form.editing) = (index, true);
    }
}

pub(super) fn edit_field(model: &mut Model) {
    if let Some(form) = &mut model.load.form {
        form.editing = true;
    }
}

pub(super) fn leave_field(model: &mut Model) {
    if let Some(form) = &mut model.load.form {
        form.editing = false;
    }
}

#[cfg(test)]
mod tests;
