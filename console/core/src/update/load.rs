//! Load tests: plan, start, stop, progress.

use super::show;
use crate::editing::apply;
use crate::selectors::{is_typing_knob, selected_call};
use rpc_load::Phase;
use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;
use rpc_wire::paths::RPC_HEALTH;
use tui_input::InputRequest;

use super::Effects;
use crate::action::Action;
use crate::message::{Effect, LoadNews};
use crate::model::Now;
use crate::model::calls::CallRequest;
use crate::model::load::{Knob, RunId, bench_command};
use crate::model::{Model, Pane, View};
use crate::text;

/// Makes a plan for the current call; starts nothing.
pub(super) fn bench(model: &mut Model, now: Now) {
    let found = match model.focus() {
        Pane::Response => model.calls.shown_call().map(|call| of_call(model, &call.request)),
        Pane::History => selected_call(model)
            .and_then(|id| model.calls.get(id))
            .map(|call| of_call(model, &call.request)),
        Pane::Instances => of_instance(model),
        _ => of_form(model),
    };
    let Some(found) = found else {
        let why = match model.focus() {
            Pane::Instances => "no call to load-test; fill one in first (2)",
            _ => "fill in the call first",
        };
        return model.complain(why, now);
    };
    if model.methods.get(&found.method).is_some_and(|method| method.signature.stream) {
        return model.complain("streaming methods cannot be load-tested", now);
    }
    // Settings are kept: the next run is usually like the last one.
    let mut sheet = model.load.sheet.take().unwrap_or_default();
    (sheet.method, sheet.args) = (found.method, found.args);
    (sheet.target, sheet.timeout) = (found.target, found.timeout);
    (sheet.focus, sheet.editing, sheet.error) = (1, true, None);
    model.load.sheet = Some(sheet);
    show::show(model, View::Load);
    model.set_focus(Pane::LoadPlan);
}

/// A call to be load-tested.
struct Found {
    method: String,
    args: Args,
    target: Option<InstanceKey>,
    timeout: std::time::Duration,
}

/// The call as it is filled in; errors show on their fields.
fn of_form(model: &mut Model) -> Option<Found> {
    let form = model.forms.get_mut()?;
    let Some(args) = form.arguments() else {
        model.set_focus(Pane::Form);
        return None;
    };
    Some(Found {
        method: form.signature.name.clone(),
        args,
        target: form.target.clone(),
        timeout: form.timeout,
    })
}

fn of_call(model: &Model, request: &CallRequest) -> Found {
    let target = match &request.candidates[..] {
        [one] if model.instances.get(one).is_some() => Some(one.clone()),
        _ => None,
    };
    Found {
        method: request.method.clone(),
        args: request.args.clone(),
        target,
        timeout: request.timeout,
    }
}

/// The call in the form, else the latest call the selected instance has a method for, else a
/// health check.
fn of_instance(model: &Model) -> Option<Found> {
    let key = model.instances.selected.clone()?;
    let knows =
        |method: &str| model.methods.get(method).is_some_and(|method| method.on.contains(&key));
    let form = model.forms.get().filter(|form| knows(&form.signature.name)).cloned();
    let filled = form.and_then(|mut form| {
        let args = form.arguments()?;
        Some(Found { method: form.signature.name, args, target: None, timeout: form.timeout })
    });
    let made = || {
        let mut calls = model.calls.visible().into_iter();
        calls.find(|call| knows(&call.request.method)).map(|call| of_call(model, &call.request))
    };
    let health = || {
        let row = model.instances.get(&key)?;
        row.instance.speaks_extended().then(|| Found {
            method: RPC_HEALTH.to_owned(),
            args: Args::none(),
            target: None,
            timeout: model.forms.default_timeout,
        })
    };
    let found = filled.or_else(made).or_else(health)?;
    Some(Found { target: Some(key), ..found })
}

pub(super) fn start(model: &mut Model, now: Now, effects: &mut Effects) {
    let (id, url) = (model.load.next_id(), model.link.url.clone());
    let live = model.link.is_live();
    let Some(sheet) = &mut model.load.sheet else { return };
    if sheet.target.is_none() && !live {
        return model.complain("registry unreachable; choose an instance (^t)", now);
    }
    match sheet.request(id, &url) {
        Ok(request) => {
            // Back in the plan, keys are commands until a field is edited.
            (sheet.error, sheet.editing) = (None, false);
            model.load.begin(request.clone());
            model.set_focus(Pane::LoadRun);
            effects.push(Effect::StartLoad(Box::new(request)));
        }
        Err(why) => {
            model.set_focus(Pane::LoadPlan);
            model.complain(why, now);
        }
    }
}

pub(super) fn stop(model: &Model, effects: &mut Effects) {
    if model.load.is_running() {
        effects.push(Effect::StopLoad);
    }
}

/// Whether Escape meant the load test.
pub(super) fn escape(model: &mut Model, effects: &mut Effects) -> bool {
    if model.load.is_running() {
        effects.push(Effect::StopLoad);
    } else if is_typing_knob(model) {
        leave_knob(model);
    } else if model.focus() == Pane::LoadRun && !model.full_screen {
        model.set_focus(Pane::LoadPlan);
    } else {
        return false;
    }
    true
}

/// Applies progress of the current run; that of an earlier one is ignored.
pub(super) fn news(model: &mut Model, id: RunId, news: LoadNews, now: Now) {
    let Some(run) = model.load.run.as_mut().filter(|run| run.request.id == id) else { return };
    match news {
        LoadNews::Progress(progress) => {
            if let Phase::Failed(error) = &progress.phase {
                run.failure = Some(error.to_string());
            }
            run.progress = Some(progress);
        }
        LoadNews::Failed(error) => run.failure = Some(error),
    }
    if !run.is_over() {
        return;
    }
    let (word, method) = (run.word(), text::printable(&run.request.method).into_owned());
    let failure = run.failure.clone();
    let figures = run.report().map(|report| {
        let (calls, rate) = (text::grouped(report.calls), text::rate(report.rate));
        format!("{calls} calls, {rate}/s, p99 {}", text::precise(report.latency.p99))
    });
    match (failure, figures) {
        (Some(why), _) => model.complain(format!("✗ load test of {method}: {why}"), now),
        (None, Some(figures)) => model.say(format!("load test of {method} {word}: {figures}"), now),
        (None, None) => {}
    }
}

/// The command line of the plan, or of what runs.
///
/// # Errors
/// Why there is none.
pub(super) fn command(model: &Model) -> Result<Option<String>, String> {
    if model.focus() == Pane::LoadRun
        && let Some(run) = &model.load.run
    {
        return bench_command(&run.request).map(Some);
    }
    let Some(sheet) = &model.load.sheet else { return Ok(None) };
    let request = sheet.read(0, &model.link.url);
    let request = request.map_err(|(knob, why)| format!("{} {why}", knob.title()))?;
    bench_command(&request).map(Some)
}

pub(super) fn edit(model: &mut Model, requests: &[InputRequest]) {
    let Some(sheet) = &mut model.load.sheet else { return };
    match sheet.focused() {
        Knob::Mode => {
            let turns = |request: &&InputRequest| {
                matches!(
                    request,
                    InputRequest::InsertChar(' ')
                        | InputRequest::GoToPrevChar
                        | InputRequest::GoToNextChar
                )
            };
            if requests.iter().any(|request| turns(&request)) {
                sheet.toggle_mode();
            }
        }
        knob => apply(sheet.value_mut(knob), requests),
    }
}

/// The other loop, or the next target.
pub(super) fn turn(model: &mut Model, action: Action) {
    let Some(sheet) = &mut model.load.sheet else { return };
    if action == Action::LoadMode {
        return sheet.toggle_mode();
    }
    let on: Vec<InstanceKey> = match model.methods.get(&sheet.method) {
        Some(method) => method.on.iter().cloned().collect(),
        // A method of the protocol: every instance has it.
        None => {
            let mut all: Vec<_> = model.instances.all().map(|row| row.key.clone()).collect();
            all.sort();
            all
        }
    };
    let at = sheet.target.as_ref().map(|key| on.iter().position(|on| on == key));
    sheet.target = match at {
        None => on.first().cloned(),
        Some(Some(at)) => on.get(at + 1).cloned(),
        Some(None) => None,
    };
}

pub(super) fn next_knob(model: &mut Model, by: isize) {
    let running = model.load.is_running();
    let Some(sheet) = &mut model.load.sheet else { return show::next_pane(model, by) };
    let to = sheet.focus.checked_add_signed(by).filter(|to| *to < sheet.knobs().len());
    match to.filter(|_| !running) {
        Some(to) => (sheet.focus, sheet.editing) = (to, true),
        None => show::next_pane(model, by),
    }
}

pub(super) fn focus_knob(model: &mut Model, index: usize) {
    if let Some(sheet) = model.load.sheet.as_mut().filter(|sheet| index < sheet.knobs().len()) {
        (sheet.focus, sheet.editing) = (index, true);
    }
}

pub(super) fn edit_knob(model: &mut Model) {
    if let Some(sheet) = &mut model.load.sheet {
        sheet.editing = true;
    }
}

pub(super) fn leave_knob(model: &mut Model) {
    if let Some(sheet) = &mut model.load.sheet {
        sheet.editing = false;
    }
}

#[cfg(test)]
mod tests;
