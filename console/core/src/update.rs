//! A message changes the model and requests effects: no I/O, no clock, deterministic.

mod act;
mod ask;
mod copy;
mod feeds;
mod leave;
mod load;
mod opening;
mod outside;
mod press;
mod registries;
mod search;
mod send;
mod show;
mod steps;

pub use search::MAX_HITS;

use crate::message::{Effect, Msg, RegistryNews};
use crate::model::Now;
use crate::model::{MAX_HELD, Model};

/// The effects to carry out, in order.
pub type Effects = Vec<Effect>;

/// Applies one message to the model.
pub fn update(model: &mut Model, msg: Msg, now: Now) -> Effects {
    let mut effects = Effects::new();
    // Between the reconnect and the new list, ages are from before the outage: judge nothing.
    let judge = !matches!(msg, Msg::Registry(RegistryNews::Live { .. }));
    take(model, msg, now, &mut effects);
    if judge {
        pass(model, now, &mut effects);
    }
    effects
}

fn take(model: &mut Model, msg: Msg, now: Now, effects: &mut Effects) {
    if is_live_data(&msg)
        && let Some(held) = &mut model.held
    {
        held.waiting.push_back(msg);
        if held.waiting.len() > MAX_HELD {
            resume(model, now, effects);
            model.say("resumed: too many updates were waiting", now);
        }
        return;
    }
    match msg {
        Msg::Key(key) => press::key(model, key, now, effects),
        Msg::Paste(text) => press::paste(model, &text, now),
        Msg::Click(hit) => press::click(model, hit, now, effects),
        Msg::Wheel(pane, rows) => press::wheel(model, pane, rows, now),
        Msg::Resize(columns, rows) => resize(model, (columns, rows)),
        Msg::Tick => {}
        Msg::Drawn(heights) => model.set_heights(heights),
        Msg::Registry(news) => feeds::registry(model, news, now, effects),
        Msg::Logs(source, lines) => model.logs.push(&source, lines),
        Msg::LogSource(source, state) => {
            model.logs.sources.insert(source, state);
        }
        Msg::Instance(key, news) => feeds::instance(model, key, news),
        Msg::Called(id, outcome) => send::called(model, id, *outcome, now, effects),
        Msg::History(past) => {
            let shift_ms = model.logs.shift_ms;
            model.calls.restore(past, now.at, shift_ms);
        }
        Msg::StreamItem(id, item, dropped) => model.calls.item(id, item, dropped),
        Msg::Load(id, news) => load::news(model, id, news, now),
        Msg::Demo(news) => feeds::demo(model, news, now),
        Msg::Arriving(id, bytes) => {
            if let Some(call) = model.calls.get_mut(id) {
                call.arrived = Some(bytes);
            }
        }
        Msg::Reading(id, bytes) => {
            if let Some(call) = model.calls.get_mut(id) {
                call.reading = Some(bytes);
            }
        }
        Msg::Found(id, needle, hits) => search::found(model, id, needle, hits),
        Msg::Saved(path, result) => ask::saved(model, path, result, now),
        Msg::Edited(method, result) => outside::edited(model, &method, result, now),
        Msg::Notice(text) => model.say(text, now),
        Msg::Trouble(text) => model.complain(text, now),
    }
}

/// Applies the passing of time, and restores the model's invariants.
fn pass(model: &mut Model, now: Now, effects: &mut Effects) {
    if model.toast.as_ref().is_some_and(|toast| now.at >= toast.until) {
        model.toast = None;
    }
    let live = model.link.is_live();
    if model.held.is_none() {
        let changes = model.instances.pass(now.at, live);
        feeds::tell(model, changes, now, effects);
    }
    model.instances.keep_selection(model.shown_at(now).at, live);
    model.methods.keep_selection(false);
    send::show_form(model);
    opening::show_diff(model);
    search::keep(model, effects);
    let height = model.height(crate::model::Pane::Logs);
    model.logs.pass(height);
}

fn is_live_data(msg: &Msg) -> bool {
    matches!(msg, Msg::Registry(_) | Msg::Logs(..) | Msg::LogSource(..) | Msg::Instance(..))
}

/// Applies all messages held back during the pause.
fn resume(model: &mut Model, now: Now, effects: &mut Effects) {
    let Some(held) = model.held.take() else { return };
    for msg in held.waiting {
        take(model, msg, now, effects);
    }
}

fn resize(model: &mut Model, size: (u16, u16)) {
    model.size = size;
    if !model.shows_events() && model.focus() == crate::model::Pane::Events && !model.full_screen {
        model.set_focus(crate::model::Pane::Instances);
    }
}

#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;
