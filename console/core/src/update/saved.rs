//! Saved requests: naming, opening, renaming and deleting them, and switching the environment.

use tui_input::Input;

use super::show::show;
use super::{Effects, ask, opening};
use crate::action::{Action, Context};
use crate::message::Effect;
use crate::model::ask::{Choice, Prompt, Purpose};
use crate::model::saved::{Change, ChangeError, Contents, SavedRequest, check_name};
use crate::model::scroll::Step;
use crate::model::service::{MethodId, Service};
use crate::model::{Model, Now, Overlay, Pane, View};
use crate::selectors::{MethodRow, method_rows, selected_call, selected_row};
use crate::text;

pub(super) fn act(model: &mut Model, action: Action, now: Now) {
    let selected = model.saved.selected.clone();
    match (action, selected) {
        (Action::SaveRequest, _) => save(model, now),
        (Action::NextEnvironment, _) => {
            model.saved.next_environment();
            switched(model, now);
        }
        (Action::RenameRequest, Some(name)) => {
            let note = "⏎ renames; esc cancels".to_owned();
            prompt(
                model,
                format!("Rename {name}"),
                &name,
                note,
                Purpose::RenameRequest(name.clone()),
            );
        }
        (Action::DeleteRequest, Some(name)) => {
            let title = format!("Delete the saved request {name}?");
            let detail = "remove it from rpcd-requests.toml".to_owned();
            ask::confirm(model, title, "delete", detail, Choice::DeleteRequest(name));
        }
        _ => {}
    }
}

fn prompt(model: &mut Model, title: String, text: &str, note: String, purpose: Purpose) {
    let input = Input::new(text.to_owned());
    let is_proposal = matches!(purpose, Purpose::SaveRequest { .. });
    let prompt = Prompt { title, input, purpose, note, is_error: false, is_proposal };
    model.overlay = Some(Overlay::Prompt(prompt));
}

/// Asks for the name of the call in the form or of the history.
fn save(model: &mut Model, now: Now) {
    if let Some(error) = &model.saved.error {
        let text = format!("not saved: {error}; fix the file first");
        return model.notify_error(text, now);
    }
    let request = match model.focus() {
        Pane::History => Ok(from_history(model)),
        _ => from_form(model),
    };
    let request = match request {
        Ok(Some(request)) => Box::new(request),
        Ok(None) => return model.notify_error("not saved: no call", now),
        Err(error) => return model.notify_error(format!("not saved: {error}"), now),
    };
    let name = model.saved.free_name(&request.method);
    let note = "⏎ saves it in rpcd-requests.toml; typing replaces the name; esc cancels".to_owned();
    let purpose = Purpose::SaveRequest { request, exists: None };
    prompt(model, "Save request as".to_owned(), &name, note, purpose);
}

fn from_form(model: &Model) -> Result<Option<SavedRequest>, String> {
    let Some(form) = model.forms.get() else { return Ok(None) };
    let mut form = form.clone();
    if !form.close_json() {
        let error = form.json.and_then(|json| json.error);
        return Err(error.unwrap_or_else(|| "invalid arguments".to_owned()));
    }
    Ok(Some(SavedRequest {
        name: String::new(),
        service: ambiguous(model, form.id()),
        method: form.signature.name.clone(),
        args: form.written()?,
        target: form.target.clone(),
        timeout: form.timeout,
        stream: form.signature.stream,
    }))
}

/// The service of a method, if others have one of the same name.
fn ambiguous(model: &Model, method: MethodId) -> Service {
    let is_ambiguous = model.methods.is_ambiguous(&method.name);
    if is_ambiguous { method.service } else { Service::default() }
}

fn from_history(model: &Model) -> Option<SavedRequest> {
    let call = model.calls.get(selected_call(model)?)?;
    let request = &call.request;
    Some(SavedRequest {
        name: String::new(),
        service: ambiguous(model, request.method_id()),
        method: request.method.clone(),
        args: request.written.clone(),
        target: call.target().cloned().filter(|_| model.link.server.is_none()),
        timeout: request.timeout,
        stream: request.stream,
    })
}

/// Sends the change of a prompt; it stays open until the file is written.
pub(super) fn submit(model: &mut Model, mut prompt: Prompt, effects: &mut Effects) {
    let typed = prompt.input.value().trim().to_owned();
    let change = match &prompt.purpose {
        Purpose::SaveRequest { request, exists } => Change::Save {
            request: SavedRequest { name: typed.clone(), ..(**request).clone() },
            replace: exists.as_ref() == Some(&typed),
        },
        Purpose::RenameRequest(from) => Change::Rename { from: from.clone(), to: typed.clone() },
        Purpose::Save { .. } | Purpose::Unregister(_) | Purpose::Drain(_) => return,
    };
    match check_name(&typed) {
        Err(why) => (prompt.note, prompt.is_error) = (format!("{why}; esc cancels"), true),
        Ok(()) => {
            effects.push(Effect::ChangeRequests(Box::new(change)));
            (prompt.note, prompt.is_error) = ("saving …".to_owned(), false);
        }
    }
    model.overlay = Some(Overlay::Prompt(prompt));
}

/// Reads the file again where its requests are shown: it is meant to be edited, too.
pub(super) fn read_again(model: &Model, effects: &mut Effects) {
    if model.saved.is_read {
        effects.push(Effect::ReadRequests);
    }
}

/// Applies what was read from the file.
pub(super) fn loaded(model: &mut Model, read: Result<Contents, String>, now: Now) {
    let news = read.as_ref().err().filter(|error| model.saved.error.as_ref() != Some(error));
    if let Some(error) = news {
        let error = format!("saved requests not read: {error}");
        model.notify_error(error, now);
    }
    model.saved.apply(read);
    model.apply_variables();
}

/// Shows the result of a change.
pub(super) fn changed(
    model: &mut Model,
    change: &Change,
    result: Result<String, ChangeError>,
    now: Now,
) {
    let is_open = matches!(
        &model.overlay,
        Some(Overlay::Prompt(prompt))
            if matches!(prompt.purpose, Purpose::SaveRequest { .. } | Purpose::RenameRequest(_))
    );
    match (result, &mut model.overlay) {
        (Ok(path), _) => {
            if is_open {
                model.overlay = None;
            }
            let (name, what) = match change {
                Change::Save { request, .. } => (&request.name, "saved"),
                Change::Rename { to, .. } => (to, "renamed to"),
                Change::Delete(name) => (name, "deleted"),
            };
            // It was the selected one, until the file was read without its former name.
            if matches!(change, Change::Rename { .. }) {
                model.saved.selected = Some(name.clone());
            }
            model.notify(format!("{what} {name}; {path}"), now);
        }
        (Err(error), Some(Overlay::Prompt(prompt))) if is_open => {
            prompt.is_error = true;
            prompt.note = match error {
                ChangeError::Exists(name) => match &mut prompt.purpose {
                    Purpose::SaveRequest { exists, .. } => {
                        let note = format!("{name} exists; ⏎ again replaces it");
                        *exists = Some(name);
                        note
                    }
                    _ => format!("{name} exists; choose another name"),
                },
                ChangeError::Other(why) => why,
            };
        }
        (Err(ChangeError::Exists(name)), _) => {
            model.notify_error(format!("not changed: {name} exists"), now);
        }
        (Err(ChangeError::Other(why)), _) => {
            model.notify_error(format!("not changed: {why}"), now);
        }
    }
}

/// Fills the form of a saved request and shows it; nothing is sent.
pub(super) fn open(model: &mut Model, name: &str, now: Now) {
    let Some(request) = model.saved.get(name).cloned() else { return };
    let shown = text::printable(name).into_owned();
    if let Err(why) = opening::fill(model, &request.method_id(), &request.args) {
        return model.notify_error(format!("{shown} not opened: {why}"), now);
    }
    model.saved.selected = Some(request.name);
    // It is kept where it is not listed: the request was never meant for another server.
    let target = request.target;
    let unlisted = target.clone().filter(|key| !model.is_listed(key));
    if let Some(form) = model.forms.get_mut() {
        (form.target, form.timeout) = (target, request.timeout);
        (form.focus, form.editing) = (0, true);
    }
    show(model, View::Methods);
    model.set_focus(Pane::Form);
    match unlisted {
        None => model.notify(format!("filled from {shown}"), now),
        Some(key) => {
            let key = text::printable(&key.to_string()).into_owned();
            let next = model.keys.shown(Context::Form, Action::NextTarget);
            let text =
                format!("filled from {shown} for {key}, not listed; {next} for any instance");
            model.notify(text, now);
        }
    }
}

/// Switches to the environment of this name.
pub(super) fn switch(model: &mut Model, name: String, now: Now) {
    model.saved.environment = Some(name);
    switched(model, now);
}

fn switched(model: &mut Model, now: Now) {
    model.apply_variables();
    if let Some(current) = model.saved.current() {
        let names: Vec<_> = current.variables.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let text = format!("environment {}; variables: {names}", current.name);
        model.notify(text, now);
    }
}

/// Moves in the list of saved requests and methods.
pub(super) fn step(model: &mut Model, step: Step, height: usize) {
    let rows = method_rows(model);
    let at = selected_row(model, &rows);
    let to = at.map_or(0, |at| step.from(at, rows.len()));
    let top = crate::model::scroll::keep_visible(model.methods.top, to, height, rows.len());
    let (saved, method) = names_of(rows.get(to).copied());
    select(model, saved, method);
    model.methods.top = top;
}

/// The request and the method of a row.
pub(super) fn names_of(row: Option<MethodRow<'_>>) -> (Option<String>, Option<MethodId>) {
    match row {
        Some(MethodRow::Saved(request)) => (Some(request.name.clone()), Some(request.method_id())),
        Some(MethodRow::Method(method)) => (None, Some(method.id.clone())),
        None => (None, None),
    }
}

/// Selects a saved request and its method, or a method.
pub(super) fn select(model: &mut Model, saved: Option<String>, method: Option<MethodId>) {
    model.saved.selected = saved;
    let known = method.and_then(|id| Some(model.methods.find(&id)?.id.clone()));
    if known.is_some() || model.saved.selected.is_none() {
        model.methods.selected = known;
    }
}

/// Keeps the selection of a request only while its row is visible and it is the selected method.
pub(super) fn keep_selection(model: &mut Model) {
    if model.saved.selected.is_none() {
        return;
    }
    let rows = method_rows(model);
    if selected_row(model, &rows).is_none() {
        model.saved.selected = None;
    }
    // A filter may show the request and not its method.
    let method = model.saved.selected().map(|request| request.method_id());
    let method = method.and_then(|id| Some(model.methods.find(&id)?.id.clone()));
    let is_visible = |id: &MethodId| model.methods.visible().iter().any(|method| method.id == *id);
    let visible = method.filter(is_visible);
    if visible.is_some() {
        model.methods.selected = visible;
    }
}

/// Selects the first row, as after a change of the filter.
pub(super) fn select_first(model: &mut Model) {
    model.methods.keep_selection(true);
    let (saved, method) = names_of(method_rows(model).first().copied());
    select(model, saved, method);
}

#[cfg(test)]
mod tests;
