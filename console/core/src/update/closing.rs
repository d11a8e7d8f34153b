//! Leaving views, fields, filters and overlays, by confirming or cancelling.

use super::act::act;
use super::opening::{fill, open_method};
use super::search;
use super::show::show;
use super::{Effects, ask, load, registries, saved, send};
use crate::message::Effect;
use crate::model::Now;
use crate::model::ask::PendingCall;
use crate::model::palette::{Entry, Labelled, Palette};
use crate::model::resend::Resend;
use crate::model::{Model, Overlay, Pane, View};
use crate::selectors::{palette_entries, resend_targets, sources};

/// Goes back. At the top it quits; while something runs, it asks first.
pub(super) fn back(model: &mut Model, effects: &mut Effects) {
    if model.full_screen {
        model.full_screen = false;
        return;
    }
    match model.focus() {
        Pane::Instances => match running(model) {
            Some(what) => ask::quit(model, what),
            None => effects.push(Effect::Quit),
        },
        Pane::Detail | Pane::Events => model.set_focus(Pane::Instances),
        Pane::Methods | Pane::History | Pane::Logs | Pane::LoadPlan => {
            show(model, View::Instances);
        }
        Pane::LoadRun => model.set_focus(Pane::LoadPlan),
        Pane::Form => model.set_focus(Pane::Methods),
        Pane::Response => model.set_focus(Pane::Form),
    }
    // After going back, `q` must be a command again, not text.
    load::leave_field(model);
    if let Some(form) = model.forms.get_mut() {
        form.editing = false;
    }
}

/// What would stop with the console.
fn running(model: &Model) -> Option<&'static str> {
    match (model.load.is_running(), model.calls.running().is_some()) {
        (true, _) => Some("a load test is running"),
        (_, true) => Some("a call is in flight"),
        _ => None,
    }
}

/// Cancels the call on screen that is in flight.
pub(super) fn cancel_call(model: &mut Model, now: Now, effects: &mut Effects) {
    match model.calls.running() {
        Some(call) => effects.push(Effect::Cancel(call.request.id)),
        None => model.notify("no call in flight", now),
    }
}

pub(super) fn escape(model: &mut Model, now: Now) {
    if model.view == View::Load && load::escape(model) {
        return;
    }
    if model.focus() == Pane::Form {
        match model.forms.get_mut() {
            Some(form) if form.is_typing() => form.editing = false,
            _ => model.set_focus(Pane::Methods),
        }
        return;
    }
    model.logs.searching = false;
    let has_path = !model.calls.path.value().is_empty();
    model.calls.is_typing_path = has_path && model.calls.search.value().is_empty();
    if model.full_screen {
        model.full_screen = false;
    } else if model.focus() == Pane::Logs && !model.logs.search.value().is_empty() {
        model.logs.searching = true;
        close(model);
    } else if model.filter().is_some_and(|filter| !filter.value().is_empty()) {
        close(model);
    } else if model.focus() == Pane::Methods && model.methods.scope.is_some() {
        model.methods.scope = None;
    } else if model.focus() == Pane::Logs && model.logs.source.is_some() {
        model.logs.show_source(None);
    } else if matches!(model.focus(), Pane::Detail | Pane::Events) {
        model.set_focus(Pane::Instances);
    } else if model.focus() == Pane::Response {
        model.set_focus(Pane::Methods);
    } else {
        model.notify("nothing to close; q goes back or quits", now);
    }
}

/// Applies the filter, or runs the selected entry.
pub(super) fn accept(model: &mut Model, now: Now, effects: &mut Effects) {
    let palette = match model.overlay.take() {
        Some(Overlay::Palette(palette)) => palette,
        Some(Overlay::Registries { selected }) => {
            return registries::switch(model, selected, now, effects);
        }
        asking @ Some(Overlay::Menu(_) | Overlay::Prompt(_)) => {
            model.overlay = asking;
            return ask::accept(model, now, effects);
        }
        Some(Overlay::Resend(choice)) => return resend_to(model, &choice, now, effects),
        Some(Overlay::Sources(choice)) => {
            if let Some(source) = sources(model, &choice).into_iter().nth(choice.selected) {
                model.logs.show_source(source);
            }
            return;
        }
        Some(Overlay::Help { .. } | Overlay::Reader(_)) | None => {
            model.filtering = false;
            return;
        }
    };
    let entry = palette_entries(model, &palette).into_iter().nth(palette.selected);
    match entry {
        None => model.notify_error("no such command or method", now),
        Some(Entry::Call(_, Err(why))) => model.notify_error(format!("not sent: {why}"), now),
        Some(Entry::Call(Labelled { id: method, .. }, Ok(args))) => {
            let written = args;
            let args = match model.saved.variables().fill_args(&written) {
                Ok(args) => args,
                Err(why) => return model.notify_error(format!("not sent: {why}"), now),
            };
            show(model, View::Methods);
            model.set_focus(Pane::Response);
            (model.methods.selected, model.methods.is_chosen) = (Some(method.clone()), true);
            // Only the form of a known method can be filled; the call is sent as typed.
            let _ = fill(model, &method, &args);
            let timeout = model.forms.default_timeout;
            let call = PendingCall { method, args, written, target: None, timeout };
            send::call(model, call, now, effects);
        }
        Some(Entry::Method(Labelled { id, .. }, _)) => {
            model.methods.scope = None;
            model.methods.filter.reset();
            (model.methods.selected, model.methods.is_chosen) = (Some(id), true);
            model.saved.selected = None;
            show(model, View::Methods);
            open_method(model, effects);
        }
        Some(Entry::Correct(_, text)) => {
            let input = tui_input::Input::new(text);
            model.overlay = Some(Overlay::Palette(Palette { input, selected: 0 }));
        }
        Some(Entry::Saved(name, _)) => saved::open(model, &name, now),
        Some(Entry::Environment(name)) => saved::switch(model, name, now),
        Some(Entry::Instance(key)) => {
            model.instances.filter.reset();
            model.instances.show(key);
            show(model, View::Instances);
            model.set_focus(Pane::Instances);
        }
        Some(Entry::Unregister(instance)) => ask::unregister(model, instance),
        Some(Entry::Action(action, ..)) => act(model, action, now, effects),
    }
}

fn resend_to(model: &mut Model, choice: &Resend, now: Now, effects: &mut Effects) {
    match resend_targets(model, choice).into_iter().nth(choice.selected) {
        Some(key) => send::resend_to(model, choice.call, Some(key), now, effects),
        None => model.notify_error("not sent: no instance matches", now),
    }
}

/// Closes the overlay, or clears the filter.
pub(super) fn close(model: &mut Model) {
    if model.overlay.take().is_some() {
        return;
    }
    model.filtering = false;
    if let Some(filter) = model.filter_mut() {
        filter.reset();
    }
    match model.focus() {
        // What was found stays selected among all.
        Pane::Methods if model.saved.selected.is_some() => {}
        Pane::Methods => model.methods.keep_selection(false),
        _ => search::filter_changed(model),
    }
}
