//! Keys, paste, and mouse.

use super::{search, show};
use crate::editing::{MAX_FIELD_BYTES, MAX_FILTER_BYTES, apply, apply_within, edit_request};
use crate::selectors::{self, is_typing, is_typing_load_field};
use tui_input::InputRequest;

use super::{Effects, act, ask, load, saved, send, steps};
use crate::action::{Action, Context};
use crate::key::Key;
use crate::message::Hit;
use crate::model::Now;
use crate::model::form::Field;
use crate::model::scroll::Step;
use crate::model::{Model, Overlay, Pane};
use crate::text;

pub(super) fn key(model: &mut Model, key: Key, now: Now, effects: &mut Effects) {
    if let Some(Overlay::Help { filter, .. }) = &model.overlay
        && filter.value().is_empty()
        && model.keys.lookup(Context::Everywhere, false, key) == Some(Action::Help)
    {
        model.overlay = None;
        return;
    }
    if form_key(model, key) || ask::choose_by_key(model, key, now, effects) {
        return;
    }
    let typing = is_typing(model);
    if typing && let Some(request) = edit_request(key) {
        edit(model, &[request]);
        return;
    }
    let found = model.keys.lookup(selectors::context(model), typing, key);
    let Some(action) = found else { return };
    if let Some(reason) = crate::selectors::unavailable(model, action) {
        model.notify_error(reason, now);
        return;
    }
    act::act(model, action, now, effects);
}

/// Handles keys of the form: JSON editing, and space in a field with a list of values. Returns
/// whether it did.
fn form_key(model: &mut Model, key: Key) -> bool {
    let in_form = model.overlay.is_none() && !model.filtering && model.focus() == Pane::Form;
    let Some(form) = model.forms.get_mut().filter(|form| in_form && form.is_typing()) else {
        return false;
    };
    if let Some(json) = &mut form.json {
        let done = json.area.key(key);
        if done {
            json.error = None;
        }
        return done;
    }
    let Some(field) = form.focused().filter(|_| key == Key::char(' ')) else { return false };
    if field.kind.is_bool() {
        let value = if field.input.value() == "true" { "false" } else { "true" };
        field.set_text(value);
        return true;
    }
    ask::pick(model)
}

fn edit(model: &mut Model, requests: &[InputRequest]) {
    if is_typing_load_field(model) && model.overlay.is_none() {
        return load::edit(model, requests);
    }
    match &mut model.overlay {
        Some(Overlay::Help { filter, top }) => {
            apply(filter, requests);
            *top = 0;
        }
        Some(Overlay::Palette(palette)) => {
            apply(&mut palette.input, requests);
            palette.selected = 0;
        }
        Some(Overlay::Registries { .. }) => {}
        Some(Overlay::Prompt(prompt)) => {
            let replaces = matches!(
                requests,
                [InputRequest::InsertChar(_) | InputRequest::DeletePrevChar, ..]
            );
            if std::mem::take(&mut prompt.is_proposal) && replaces {
                prompt.input.reset();
            }
            apply(&mut prompt.input, requests);
        }
        Some(Overlay::Menu(_) | Overlay::Reader(_)) => {}
        Some(Overlay::Resend(choice)) => {
            apply(&mut choice.filter, requests);
            choice.selected = 0;
        }
        Some(Overlay::Sources(choice)) => {
            apply(&mut choice.filter, requests);
            choice.selected = 0;
        }
        None if model.filtering => {
            if let Some(filter) = model.filter_mut() {
                apply_within(MAX_FILTER_BYTES, filter, requests);
            }
            search::filter_changed(model);
        }
        None => {
            let Some(field) = model.forms.get_mut().and_then(|form| form.focused()) else { return };
            edit_field(field, requests);
        }
    }
}

/// Edits a field. Deleting in an empty text omits it: it has nothing else to delete.
fn edit_field(field: &mut Field, requests: &[InputRequest]) {
    let before = field.input.value().to_owned();
    apply(&mut field.input, requests);
    let deletes = matches!(requests, [InputRequest::DeletePrevChar | InputRequest::DeleteNextChar]);
    if field.input.value() != before {
        (field.touched, field.error) = (true, None);
    } else if before.is_empty() && deletes {
        field.clear();
    }
}

pub(super) fn paste(model: &mut Model, text: &str, now: Now) {
    if !is_typing(model) {
        return;
    }
    let in_form = model.overlay.is_none() && !model.filtering && model.focus() == Pane::Form;
    if let Some(json) = model.forms.get_mut().and_then(|form| form.json.as_mut())
        && in_form
    {
        json.area.insert(&line_breaks(text));
        json.error = None;
        return;
    }
    if in_form && model.forms.get_mut().is_some_and(|form| is_object(text) && form.fill(text)) {
        model.notify("form filled from the pasted JSON", now);
        return;
    }
    if in_form && let Some(field) = model.forms.get_mut().and_then(|form| form.focused()) {
        if !field.paste(&line_breaks(text)) {
            let limit = text::bytes(MAX_FIELD_BYTES);
            model.notify_error(format!("not pasted: a field takes {limit}"), now);
        }
        return;
    }
    if model.overlay.is_none() && model.filtering {
        let before = model.filter().map_or(0, |filter| filter.value().len());
        // Half a path selects something else than the whole.
        if before + text.trim_end().len() > MAX_FILTER_BYTES {
            let (size, limit) = (text::bytes(text.len()), text::bytes(MAX_FILTER_BYTES));
            let why = format!("not pasted: it is {size}, a filter or search takes {limit}");
            return model.notify_error(why, now);
        }
    }
    // A filter, a path or a command is one line: a line break becomes a space, and other control
    // characters are dropped.
    let typed = text.trim_end_matches(['\r', '\n']).chars().take(MAX_FIELD_BYTES);
    let requests: Vec<_> = typed
        .map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c })
        .filter(|c| !c.is_control())
        .map(InputRequest::InsertChar)
        .collect();
    edit(model, &requests);
}

/// Terminals send a pasted line break as a carriage return.
fn line_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

pub(super) fn click(model: &mut Model, hit: Hit, now: Now, effects: &mut Effects) {
    if model.overlay.is_some() {
        model.overlay = None;
        return;
    }
    model.filtering = false;
    match hit {
        Hit::View(view) => show::show(model, view),
        Hit::Pane(pane) => model.set_focus(pane),
        Hit::Row(pane, index) => {
            model.set_focus(pane);
            click_row(model, pane, index, now, effects);
        }
        Hit::Column(column) => {
            let reverse = model.instances.sort == column || model.instances.reversed;
            act::sort(model, column, reverse, now);
        }
        Hit::Field(index) => {
            model.set_focus(Pane::Form);
            if let Some(form) = model.forms.get_mut().filter(|form| index < form.fields.len()) {
                (form.focus, form.editing) = (index, true);
            }
        }
        Hit::LoadField(index) => {
            model.set_focus(Pane::LoadPlan);
            load::focus_field(model, index);
        }
        Hit::ResponseTab(tab) => {
            model.set_focus(Pane::Response);
            if let Some(call) = model.calls.shown_call_mut() {
                call.tab = tab;
            }
        }
    }
}

/// A click selects a row; a click on the selected row opens it.
fn click_row(model: &mut Model, pane: Pane, index: usize, now: Now, effects: &mut Effects) {
    let (shown, live) = (model.shown_at(now).at, model.link.is_live());
    match pane {
        Pane::Instances => {
            let lines = model.instances.lines(shown, live);
            let is_selected = model.instances.selected_line(&lines) == Some(index);
            let line = lines.get(index).map(crate::model::instances::TableLine::key);
            if is_selected {
                act::act(model, Action::OpenInstance, now, effects);
            } else if line.is_some() {
                model.instances.select_line(line);
            }
        }
        Pane::Methods => {
            let rows = selectors::method_rows(model);
            let is_selected = selectors::selected_row(model, &rows) == Some(index);
            let (request, method) = saved::names_of(rows.get(index).copied());
            if is_selected {
                act::act(model, Action::OpenMethod, now, effects);
            } else if method.is_some() {
                saved::select(model, request, method);
                send::sync_form(model);
            }
        }
        Pane::History => {
            let id = model.calls.visible().get(index).map(|call| call.request.id);
            if id.is_some() && id == model.calls.selected {
                act::act(model, Action::OpenCall, now, effects);
            } else if id.is_some() {
                model.calls.selected = id;
            }
        }
        Pane::Response => {
            let Some(call) = model.calls.shown_call_mut() else { return };
            let Some(document) = call.body().cloned() else { return };
            let line = call.folding.line_of(index);
            if index < call.folding.rows(&document) {
                if call.folding.cursor == line {
                    call.folding.toggle(&document);
                }
                call.folding.cursor = line;
            }
        }
        Pane::Detail | Pane::Events | Pane::Form | Pane::Logs | Pane::LoadPlan | Pane::LoadRun => {}
    }
}

pub(super) fn wheel(model: &mut Model, pane: Option<Pane>, rows: i32, now: Now) {
    let rows = isize::try_from(rows).unwrap_or(0);
    if let Some(Overlay::Reader(reader)) = &mut model.overlay {
        return reader.step(Step::By(rows), model.size);
    }
    if let Some(Overlay::Help { top, .. }) = &mut model.overlay {
        *top = top.saturating_add_signed(rows);
        return;
    }
    if let (None, Some(pane)) = (&model.overlay, pane) {
        steps::step(model, pane, Step::By(rows), now);
    }
}
