//! What cannot be done now, and why.

use super::{load, outside};
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
        Action::Save | Action::Page | Action::Edit => outside::nothing(model),
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
        | Action::Compare => load::unavailable(model, action),
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
