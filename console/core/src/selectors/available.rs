//! Which actions are unavailable, and why.

use rpc_wire::instance::InstanceKey;

use super::candidates::candidates;
use super::effect::{called, is_read_only};
use crate::action::Action;
use crate::model::calls::Tab;
use crate::model::json::Document;
use crate::model::standing::Role;
use crate::model::{Model, Now, Pane};

/// Why `--readonly` refuses an action.
pub const READ_ONLY: &str = "the console is read-only (--readonly)";
/// Why `--readonly` refuses a call.
pub const NOT_READ_ONLY: &str = "read-only (--readonly): the method may change something";

/// Whether an action exists in this session: help and menus leave the others out.
pub fn exists(model: &Model, action: Action) -> bool {
    model.demo.is_some() || !is_of_demo(action)
}

fn is_of_demo(action: Action) -> bool {
    use Action::{DemoFault, DemoRegistry, DemoServer, DemoTraffic};
    matches!(action, DemoTraffic | DemoServer | DemoFault | DemoRegistry)
}

/// Why an action is unavailable; `None`: it is available.
pub fn unavailable(model: &Model, action: Action) -> Option<&'static str> {
    if model.readonly && calls_a_method(action) {
        match called(model, action) {
            Some(method) if is_read_only(model, &method) => {}
            Some(_) => return Some(NOT_READ_ONLY),
            None if action == Action::LoadTest => {}
            None => return Some(READ_ONLY),
        }
    }
    let only_demo = || model.demo.is_none().then_some("only with --demo");
    match action {
        action if is_of_demo(action) => only_demo(),
        Action::SwitchRegistry if model.registries.all().len() < 2 => {
            Some("no other registry in config.ini")
        }
        Action::OpenInstance if model.instances.selected_service.is_some() => None,
        Action::Fold | Action::Unfold | Action::FoldAll if model.focus() == Pane::Instances => {
            (!model.instances.is_grouped()).then_some("there is only one service")
        }
        Action::Drain => cannot_drain(model),
        Action::OpenInstance | Action::OpenLogs if model.instances.selected.is_none() => {
            Some("no instance selected")
        }
        Action::OpenLogs => {
            model.instances.selected_row().and_then(|row| row.standing.lacks(Role::Observe))
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
        Action::Example => match model.forms.get() {
            None => Some("no method selected"),
            Some(form) if form.signature.examples.is_empty() => Some("the method has no examples"),
            Some(_) => None,
        },
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

/// Why the selected instance can be neither drained nor brought back.
fn cannot_drain(model: &Model) -> Option<&'static str> {
    let row = model.instances.selected.as_ref().and_then(|key| model.instances.get(key));
    match row {
        _ if model.readonly => Some(READ_ONLY),
        _ if let Some(why) = model.link.lacks() => Some(why),
        None => Some("no instance selected"),
        Some(row) if row.gone.is_some() => Some("already gone"),
        Some(_) => model.link.standing.lacks(Role::Operate),
    }
}

/// Why an action that is available will probably be refused. It can be tried all the same: a method may ask
/// for another role than others.
pub fn not_allowed(model: &Model, action: Action, now: Now) -> Option<&'static str> {
    if !calls_a_method(action) {
        return None;
    }
    let chosen = model.forms.get().filter(|_| action == Action::Send);
    let candidates = match chosen.and_then(|form| form.target.clone()) {
        Some(target) => vec![target],
        None => candidates(model, &called(model, action)?, now),
    };
    let lacks =
        |key: &InstanceKey| model.instances.get(key).and_then(|row| row.standing.lacks(Role::Call));
    // One that allows it is enough.
    let all: Option<Vec<_>> = candidates.iter().map(lacks).collect();
    all.and_then(|all| all.first().copied())
}

/// Whether an action calls a method, once or many times.
fn calls_a_method(action: Action) -> bool {
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
