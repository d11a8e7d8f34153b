//! Applies messages to the model and requests effects: no I/O, no clock, deterministic.

mod act;
mod ask;
mod closing;
mod copy;
mod drain;
mod external;
mod feeds;
mod fields;
mod json_path;
mod load;
mod opening;
mod press;
mod reading;
mod registries;
mod saved;
mod search;
mod send;
mod show;
mod silence;
mod steps;

pub use search::MAX_MATCHES;

use crate::message::{Effect, Msg, RegistryUpdate};
use crate::model::Now;
use crate::model::{MAX_QUEUED, MAX_QUEUED_BYTES, Model, View};
use crate::selectors::sampled;

/// The effects to carry out, in order.
pub type Effects = Vec<Effect>;

/// Applies a message to the model.
pub fn update(model: &mut Model, msg: Msg, now: Now) -> Effects {
    let mut effects = Effects::new();
    // Between the reconnect and the new list, ages are from before the outage: nothing is late.
    let list_is_current = !matches!(msg, Msg::Registry(RegistryUpdate::Live { .. }));
    if let (None, Some(toast)) = (&model.overlay, &mut model.toast) {
        // Of the dialog that this message may open.
        toast.is_earlier = true;
    }
    apply(model, msg, now, &mut effects);
    if list_is_current {
        tick(model, now, &mut effects);
    }
    model.sampled = sampled(model);
    effects
}

fn apply(model: &mut Model, msg: Msg, now: Now, effects: &mut Effects) {
    if is_live_data(&msg)
        && let Some(paused) = &mut model.paused
    {
        paused.bytes += msg.bytes();
        paused.queued.push_back(msg);
        if paused.queued.len() > MAX_QUEUED || paused.bytes > MAX_QUEUED_BYTES {
            resume(model, now, effects);
            model.notify("resumed: too many updates were waiting", now);
        }
        return;
    }
    if matches!(msg, Msg::Key(_) | Msg::Click(_) | Msg::Wheel(..)) {
        model.instances.follow_first = false;
        model.methods.is_chosen |= model.view == View::Methods;
    }
    match msg {
        Msg::Key(key) => press::key(model, key, now, effects),
        Msg::Paste(text) => press::paste(model, &text, now),
        Msg::Click(hit) => press::click(model, hit, now, effects),
        Msg::Wheel(pane, rows) => press::wheel(model, pane, rows, now),
        Msg::Resize(columns, rows) => model.size = (columns, rows),
        Msg::Tick => {}
        Msg::Drawn(heights, shown) => {
            model.set_heights(heights);
            if model.view == View::Instances {
                model.shown = shown;
            }
        }
        Msg::Traffic(samples) => feeds::traffic(model, samples),
        Msg::Registry(update) => feeds::registry(model, update, now, effects),
        Msg::Logs(source, lines) => model.logs.push(&source, lines),
        Msg::LogSource(source, state) => model.logs.set_source(source, state),
        Msg::Contract(digest, methods) => feeds::contract(model, digest, methods),
        Msg::Instance(key, update) => feeds::instance(model, key, update, now),
        Msg::OwnClient(own) => feeds::own_client(model, own, now),
        Msg::CallEnded(id, outcome) => send::ended(model, id, *outcome, now, effects),
        Msg::History(past) => {
            let shift_ms = model.logs.shift_ms;
            model.calls.restore(past, now.at, shift_ms);
        }
        Msg::StreamItem(id, item, dropped) => model.calls.push_item(id, item, dropped),
        Msg::Load(id, update) => load::apply_update(model, id, update, now),
        Msg::Demo(update) => feeds::demo(model, update, now),
        Msg::Receiving(id, bytes) => {
            if let Some(call) = model.calls.get_mut(id) {
                call.received_bytes = Some(bytes);
            }
        }
        Msg::Wire(id, messages) => model.calls.push_wire(id, messages),
        Msg::Parsing(id, bytes) => {
            if let Some(call) = model.calls.get_mut(id) {
                call.parsing_bytes = Some(bytes);
            }
        }
        Msg::Found(id, needle, matches) => search::found(model, id, needle, matches),
        Msg::Selected(id, path, selection) => json_path::selected(model, id, &path, selection),
        Msg::Saved(path, result) => ask::saved(model, path, result, now),
        Msg::Edited(method, result) => external::edited(model, &method, result, now),
        Msg::Requests(read) => saved::loaded(model, read, now),
        Msg::RequestsChanged(change, result) => saved::changed(model, &change, result, now),
        Msg::Notice(text) => model.notify(text, now),
        Msg::Error(text) => model.notify_error(text, now),
    }
}

/// Applies the passing of time and restores the model's invariants.
fn tick(model: &mut Model, now: Now, effects: &mut Effects) {
    if model.toast.as_ref().is_some_and(|toast| now.at >= toast.until) {
        model.toast = None;
    }
    if model.paused.is_none() {
        silence::look(model, now);
    }
    let live = model.link.is_live();
    if model.paused.is_none() {
        let changes = model.instances.tick(now.at, live, model.link.heard);
        feeds::report(model, changes, now, effects);
    }
    model.methods.refresh();
    model.instances.keep_selection(model.shown_at(now).at, live);
    if model.methods.is_chosen {
        model.methods.keep_selection(false);
        saved::keep_selection(model);
    } else {
        saved::select_first(model);
    }
    send::sync_form(model);
    opening::compute_diff(model);
    json_path::sync(model, effects);
    search::sync(model, effects);
    let height = model.height(crate::model::Pane::Logs);
    model.logs.tick(height);
}

fn is_live_data(msg: &Msg) -> bool {
    matches!(
        msg,
        Msg::Registry(_)
            | Msg::Logs(..)
            | Msg::LogSource(..)
            | Msg::Contract(..)
            | Msg::Traffic(..)
            | Msg::Instance(..)
            | Msg::OwnClient(_)
    )
}

/// Ends the pause and applies the queued updates.
fn resume(model: &mut Model, now: Now, effects: &mut Effects) {
    let Some(paused) = model.paused.take() else { return };
    for msg in paused.queued {
        apply(model, msg, now, effects);
    }
}

#[cfg(test)]
mod changed_tests;
#[cfg(test)]
mod confirm_tests;
#[cfg(test)]
mod copy_tests;
#[cfg(test)]
mod external_tests;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod own_client_tests;
#[cfg(test)]
mod palette_tests;
#[cfg(test)]
mod pane_tests;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod role_tests;
#[cfg(test)]
mod safety_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod tests;
