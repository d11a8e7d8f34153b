//! What cannot be done now, and why.

use crate::action::Action;
use crate::model::{Model, Pane};

/// Why an action cannot be done now; `None` when it can.
pub fn unavailable(model: &Model, action: Action) -> Option<&'static str> {
    let only_demo = || model.demo.is_none().then_some("only with --demo");
    match action {
        Action::DemoTraffic | Action::DemoServer | Action::DemoRegistry => only_demo(),
        Action::SwitchRegistry if model.registries.all().len() < 2 => {
            Some("config.ini names no other registry")
        }
        Action::OpenInstance | Action::LogsOf if model.instances.selected.is_none() => {
            Some("no instance is selected")
        }
        Action::OpenMethod if model.methods.selected_method().is_none() => {
            Some("no method is selected")
        }
        Action::Send
        | Action::NextTarget
        | Action::NextTimeout
        | Action::ResetForm
        | Action::EditJson
            if model.forms.get().is_none() =>
        {
            Some("no method is chosen")
        }
        Action::Fold | Action::Unfold | Action::ToggleFold | Action::FoldAll
            if model.calls.shown_call().and_then(|call| call.document()).is_none() =>
        {
            Some("there is no result to fold")
        }
        Action::Edit if model.focus() == Pane::Form => {
            model.forms.get().is_none().then_some("no method is chosen")
        }
        Action::Find if model.focus() == Pane::Logs => None,
        Action::Find => match model.calls.shown_call() {
            Some(call) if call.request.stream => {
                call.items.is_empty().then_some("no item came yet")
            }
            Some(call) if call.document().is_some() => None,
            _ => Some("there is no result"),
        },
        Action::NextHit | Action::PreviousHit if searched(model).is_empty() => {
            Some("nothing is searched: / does")
        }
        Action::Save | Action::Page | Action::Edit => nothing_to_save(model),
        Action::Pick => {
            let form = model.forms.get();
            let field = form.and_then(|form| form.fields.get(form.focus));
            let few = field.is_some_and(|field| field.kind.choices().is_some());
            (!few).then_some("this field takes anything of its type")
        }
        Action::OpenCall | Action::Replay | Action::ReplayElsewhere if model.calls.is_empty() => {
            Some("no call was made yet")
        }
        Action::Bench
        | Action::StartLoad
        | Action::StopLoad
        | Action::LoadMode
        | Action::LoadTarget
        | Action::Compare => load_unavailable(model, action),
        _ => None,
    }
}

/// What is searched in the focused pane.
fn searched(model: &Model) -> &str {
    match model.focus() {
        Pane::Logs => model.logs.search.value(),
        _ => model.calls.search.value(),
    }
}

/// The same of an action of load tests.
fn load_unavailable(model: &Model, action: Action) -> Option<&'static str> {
    let running = model.load.is_running();
    match action {
        Action::Bench => match model.focus() {
            Pane::Instances if model.instances.selected.is_none() => {
                Some("no instance is selected")
            }
            Pane::Response if model.calls.shown_call().is_none() => Some("no call was made yet"),
            Pane::History if model.calls.is_empty() => Some("no call was made yet"),
            Pane::Methods | Pane::Form if model.forms.get().is_none() => {
                Some("no method is chosen")
            }
            _ if running => Some("a load test is running; stop it first"),
            _ => None,
        },
        Action::StopLoad => (!running).then_some("no load test is running"),
        Action::Compare => {
            model.load.previous.is_none().then_some("there is no earlier run to compare with")
        }
        _ if model.load.sheet.is_none() => Some("choose a call first, and bench it"),
        _ => running.then_some("a load test is running; stop it first"),
    }
}

/// Why the focused pane has nothing to save or to read; `None` when it has.
fn nothing_to_save(model: &Model) -> Option<&'static str> {
    match model.focus() {
        Pane::Logs if model.logs.unfiltered() > 0 => {
            Some("older lines are still being looked through")
        }
        Pane::Logs => (model.logs.counts().0 == 0).then_some("no line passes"),
        _ => match model.calls.shown_call() {
            Some(call) if call.request.stream => {
                call.items.is_empty().then_some("no item came yet")
            }
            Some(call) if call.document().is_some() => None,
            _ => Some("there is no result"),
        },
    }
}
