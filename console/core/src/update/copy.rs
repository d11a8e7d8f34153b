//! Copying to the clipboard.

use super::Effects;
use crate::message::{Effect, MAX_COPIED_BYTES};
use crate::model::Now;
use crate::model::calls::Tab;
use crate::model::snippet;
use crate::model::{Model, Pane};
use crate::selectors::selected_call;
use crate::text;

pub(super) fn copy(model: &mut Model, now: Now, effects: &mut Effects) {
    let (what, copied) = match model.focus() {
        Pane::Instances => ("address", model.instances.selected.as_ref().map(ToString::to_string)),
        Pane::Events => {
            let newest = model.events.newest_first().nth(model.events.top);
            (
                "event",
                newest.map(|event| format!("{} {} {}", event.word, event.subject, event.text)),
            )
        }
        Pane::Methods => ("name", model.methods.selected.clone()),
        Pane::Form => {
            let form = model.forms.get().map(|form| (&form.signature.name, form.preview()));
            match form {
                Some((name, Ok(args))) => ("request", Some(snippet::wire(name, &args))),
                Some((_, Err(why))) => {
                    return model.notify_error(format!("not copied: {why}"), now);
                }
                None => ("request", None),
            }
        }
        Pane::Response => {
            let call = model.calls.shown_call();
            if let Some(call) = call.filter(|call| call.tab == Tab::Wire && !call.wire.is_empty()) {
                let messages = Some(call.wire.to_text());
                return put_any("messages", messages, model, now, effects);
            }
            if let Some(call) = call.filter(|call| call.request.stream) {
                let item = call.items.current().cloned();
                return put_any("item", item, model, now, effects);
            }
            let result = call.and_then(|call| call.outcome.as_ref()).map(|o| &o.result);
            if let Some(Ok(document)) = result
                && document.text().len() > MAX_COPIED_BYTES
            {
                // Checked before copying: it may be very large.
                return too_large(model, "result", document.text().len(), now);
            }
            let text = result.map(|result| match result {
                Ok(document) => document.text().to_owned(),
                Err(failure) => failure.text.clone(),
            });
            ("result", text)
        }
        Pane::History => {
            let call = selected_call(model).and_then(|id| model.calls.get(id));
            ("request", call.map(|call| snippet::wire(&call.request.method, &call.request.args)))
        }
        Pane::LoadPlan | Pane::LoadRun => match super::load::command(model) {
            Ok(command) => ("command", command),
            Err(why) => return model.notify_error(format!("not copied: {why}"), now),
        },
        Pane::Logs => ("line", model.logs.upwards().next().map(|line| line.text.clone())),
    };
    put_any(what, copied, model, now, effects);
}

fn put_any(what: &str, text: Option<String>, model: &mut Model, now: Now, effects: &mut Effects) {
    match text {
        Some(text) => put(model, what, text, now, effects),
        None => model.notify_error("nothing to copy", now),
    }
}

/// Copies a text, unless it is too large.
pub(super) fn put(model: &mut Model, what: &str, copied: String, now: Now, effects: &mut Effects) {
    if copied.len() > MAX_COPIED_BYTES {
        return too_large(model, what, copied.len(), now);
    }
    effects.push(Effect::Copy { what: what.to_owned(), text: copied });
}

fn too_large(model: &mut Model, what: &str, size: usize, now: Now) {
    let (size, limit) = (text::bytes(size), text::bytes(MAX_COPIED_BYTES));
    let instead = if model.focus() == Pane::Response { "; press s to save it" } else { "" };
    model.notify_error(
        format!("not copied: the {what} is {size}, the limit is {limit}{instead}"),
        now,
    );
}
