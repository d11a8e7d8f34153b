//! Which actions are unavailable, and why.

use crate::action::Action;
use crate::model::calls::Tab;
use crate::model::json::Document;
use crate::model::{Model, Pane};

/// Why `--readonly` refuses an action.
pub const READ_ONLY: &str = "the console is read-only (--readonly)";

/// Whether an action exists in this session: help and menus leave the others out.
pub fn exists(model: &Model, action: Action) -> bool {
    let is_demo = matches!(action, Action::DemoTraffic | Action::DemoServer | Action::DemoRegistry);
    model.demo.is_some() || !is_demo
}

/// Why an action is unavailable; `None`: it is available.
pub fn unavailable(model: &Model, action: Action) -> Option<&'static str> {
    if model.readonly && changes_something(action) {
        return Some(READ_ONLY);
    }
    let only_demo = || model.demo.is_none().then_some("only with --demo");
    match action {
        Action::DemoTraffic | Action::DemoServer | Action::DemoRegistry => only_demo(),
        Action::SwitchRegistry if model.registries.all().len() < 2 => {
            Some("no other registry in config.ini")
        }
        Action::OpenInstance | Action::OpenLogs if model.instances.selected.is_none() => {
            Some("no instance selected")
        }
        Action::OpenMethod
            if model.methods.selected_method().is_none() && model.saved.selected.is_none() =>
        {
            Some("no method selected")
        }
        Action::RenameRequest | Action::DeleteRequest if model.saved.selected.is_none() => {
            Some("no saved request selected")
        }
        Action::NextEnvironment if model.saved.error.is_some() => {
            Some("rpcd-requests.toml cannot be read; fix it first")
        }
        Action::NextEnvironment if model.saved.contents.environments.is_empty() => {
            Some("no [environments.NAME] in rpcd-requests.toml")
        }
        Action::SaveRequest => match model.focus() {
            Pane::History => model.calls.is_empty().then_some("no calls yet"),
            _ => model.forms.get().is_none().then_some("no method selected"),
        },
        Action::Send
        | Action::NextTarget
        | Action::NextTimeout
        | Action::ResetForm
        | Action::EditJson
            if model.forms.get().is_none() =>
        {
            Some("no method selected")
        }
        Action::CancelCall if model.calls.running().is_none() => Some("no call in flight"),
        Action::Docs if model.forms.get().is_none() => Some("no method selected"),
        Action::Fold | Action::Unfold | Action::ToggleFold | Action::FoldAll | Action::CopyPath
            if is_beside_body(model) =>
        {
            Some("only in the Body tab")
        }
        Action::Wrap if model.focus() == Pane::Response && is_beside_body(model) => {
            Some("only in the Body tab")
        }
        Action::ToggleFold
            if model.calls.shown_call().is_some_and(|call| !call.items.is_empty()) =>
        {
            None
        }
        Action::Fold | Action::Unfold | Action::ToggleFold | Action::FoldAll
            if document(model).is_none() =>
        {
            Some("no result to fold")
        }
        Action::FilterPath | Action::CopyPath if document(model).is_none() => Some("no result"),
        Action::Wrap if model.focus() == Pane::Response && document(model).is_none() => {
            Some("no result")
        }
        Action::Edit if model.focus() == Pane::Form => {
            model.forms.get().is_none().then_some("no method selected")
        }
        Action::Search if model.focus() == Pane::Logs => None,
        Action::Search => match model.calls.shown_call() {
            Some(call) if call.request.stream => call.items.is_empty().then_some("no items yet"),
            Some(call) if call.document().is_some() => None,
            _ => Some("no result"),
        },
        Action::NextMatch | Action::PreviousMatch if searched(model).is_empty() => {
            Some("no search; press /")
        }
        Action::Save | Action::Pager | Action::Edit => nothing_to_save(model),
        Action::Pick => {
            let form = model.forms.get();
            let field = form.and_then(|form| form.fields.get(form.focus));
            let few = field.is_some_and(|field| field.kind.choices().is_some());
            (!few).then_some("this field has no list of values")
        }
        Action::OpenCall | Action::Resend | Action::ResendTo if model.calls.is_empty() => {
            Some("no calls yet")
        }
        Action::LoadTest
        | Action::StartLoad
        | Action::StopLoad
        | Action::LoadMode
        | Action::LoadTarget
        | Action::Compare => load_unavailable(model, action),
        _ => None,
    }
}

/// Whether an action calls a method, once or many times. Methods do not declare what they change.
fn changes_something(action: Action) -> bool {
    matches!(
        action,
        Action::Send | Action::Resend | Action::ResendTo | Action::LoadTest | Action::StartLoad
    )
}

/// The result on screen; streams have none to fold.
fn document(model: &Model) -> Option<&Document> {
    let call = model.calls.shown_call().filter(|call| !call.request.stream)?;
    call.document().map(AsRef::as_ref)
}

/// Whether another tab of the response than its body is on screen.
fn is_beside_body(model: &Model) -> bool {
    model.calls.shown_call().is_some_and(|call| call.tab != Tab::Body)
}

/// The search text of the focused pane.
fn searched(model: &Model) -> &str {
    match model.focus() {
        Pane::Logs => model.logs.search.value(),
        _ => model.calls.search.value(),
    }
}

/// Why an action on load tests is unavailable.
fn load_unavailable(model: &Model, action: Action) -> Option<&'static str> {
    let running = model.load.is_running();
    match action {
        Action::LoadTest => match model.focus() {
            Pane::Instances if model.instances.selected.is_none() => Some("no instance selected"),
            Pane::Response if model.calls.shown_call().is_none() => Some("no calls yet"),
            Pane::History if model.calls.is_empty() => Some("no calls yet"),
            Pane::Methods | Pane::Form if model.forms.get().is_none() => Some("no method selected"),
            _ if running => Some("a load test is running; stop it first"),
            _ => None,
        },
        Action::StopLoad => (!running).then_some("no load test running"),
        Action::Compare => model.load.previous.is_none().then_some("no previous run"),
        _ if model.load.form.is_none() => Some("no call to load-test"),
        _ => running.then_some("a load test is running; stop it first"),
    }
}

/// Why the focused pane has nothing to save or open; `None`: it has something.
fn nothing_to_save(model: &Model) -> Option<&'static str> {
    match model.focus() {
        Pane::Logs if model.logs.unfiltered() > 0 => Some("still filtering older lines"),
        Pane::Logs => (model.logs.counts().0 == 0).then_some("no lines match"),
        _ => match model.calls.shown_call() {
            Some(call) if call.request.stream => call.items.is_empty().then_some("no items yet"),
            Some(call) if call.document().is_some() => None,
            _ => Some("no result"),
        },
    }
}
