//! Copying to the clipboard.

use rpc_wire::is_hidden;
use rpc_wire::json::Json;
use serde_json::value::RawValue;

use super::Effects;
use crate::message::Effect;
use crate::model::Now;
use crate::model::calls::{Call, Tab};
use crate::model::{Model, Overlay, Pane};
use crate::selectors::{request_text, selected_call};
use crate::text;

pub(super) fn copy(model: &mut Model, now: Now, effects: &mut Effects) {
    if let Some(Overlay::Reader(reader)) = &model.overlay {
        let text = reader.copied();
        return put("text", text, effects);
    }
    let (what, copied) = match model.focus() {
        Pane::Instances | Pane::Detail => {
            ("address", model.instances.selected.as_ref().map(|key| shown(&key.to_string())))
        }
        Pane::Events => {
            let newest = model.events.newest_first().nth(model.events.top);
            (
                "event",
                newest.map(|event| {
                    shown(&format!("{} {} {}", event.word, event.subject, event.text))
                }),
            )
        }
        Pane::Methods => {
            ("name", model.methods.selected.as_ref().map(|method| shown(&method.name)))
        }
        Pane::Form => {
            let Some(form) = model.forms.get() else { return };
            match form.preview() {
                Ok(args) => {
                    let on = form.target.as_ref();
                    ("request", Some(request_text(model, on, &form.id(), &args)))
                }
                Err(invalid) => {
                    let why = text::fix(&invalid);
                    return model.notify_error(format!("not copied: {why}"), now);
                }
            }
        }
        Pane::Response => {
            let call = model.calls.shown_call();
            if let Some(call) = call.filter(|call| call.tab == Tab::Wire && !call.wire.is_empty()) {
                let messages = Some(text::printable_lines(&call.wire.to_text()).into_owned());
                return put_any("messages", messages, model, now, effects);
            }
            if let Some(call) = call.filter(|call| call.request.stream) {
                let item = call.items.current().map(|item| json(item));
                return put_any("item", item, model, now, effects);
            }
            let Some(call) = call else { return put_any("value", None, model, now, effects) };
            let what = if call.folding.cursor == 0 { "result" } else { "value" };
            (what, value_under_cursor(call))
        }
        Pane::History => {
            let call = selected_call(model).and_then(|id| model.calls.get(id));
            let text = |call: &Call| {
                let request = &call.request;
                request_text(model, call.target(), &request.method_id(), &request.args)
            };
            ("request", call.map(text))
        }
        Pane::LoadPlan | Pane::LoadRun => match super::load::command(model) {
            Ok(command) => ("command", command),
            Err(why) => return model.notify_error(format!("not copied: {why}"), now),
        },
        Pane::Logs => ("line", model.logs.upwards().next().map(|line| shown(&line.text))),
    };
    put_any(what, copied, model, now, effects);
}

/// A stranger's text as it is on the screen: what is pasted into a shell must not end a line.
fn shown(text: &str) -> String {
    text::printable(text).into_owned()
}

/// JSON on one line, the same value as was received.
fn json(received: &str) -> String {
    match serde_json::from_str::<&RawValue>(received) {
        // Between its parts, where an escape would not be JSON.
        Ok(raw) if received.contains(['\n', '\r', '\t']) => shown(&Json::from(raw).compact()),
        _ => shown(received),
    }
}

/// The value under the cursor; or the error. Strings are without quotes, if every character of them
/// can be seen.
fn value_under_cursor(call: &Call) -> Option<String> {
    let Some(document) = call.body() else {
        let outcome = call.outcome.as_ref().map(|outcome| &outcome.result);
        return outcome.and_then(|result| result.as_ref().err()).map(|f| shown(&f.text));
    };
    let value = document.value(call.folding.cursor);
    let text = serde_json::from_str::<String>(value).ok();
    Some(text.filter(|text| !text.contains(is_hidden)).unwrap_or_else(|| json(value)))
}

/// Copies the path of the value under the cursor.
pub(super) fn path(model: &mut Model, now: Now, effects: &mut Effects) {
    let path = model.calls.shown_call().and_then(Call::path_under_cursor);
    let path = path.map(|path| shown(&path));
    put_any("path", path, model, now, effects);
}

fn put_any(what: &str, text: Option<String>, model: &mut Model, now: Now, effects: &mut Effects) {
    match text {
        Some(text) => put(what, text, effects),
        None => model.notify_error("nothing to copy", now),
    }
}

/// Copies a text. How much fits is a matter of the way it is copied.
pub(super) fn put(what: &str, copied: String, effects: &mut Effects) {
    effects.push(Effect::Copy { what: what.to_owned(), text: copied });
}
