//! What is copied where, and a request as it goes over the wire.

use super::Effects;
use super::act::selected_call;
use crate::message::{Effect, Now};
use crate::model::{Model, Pane};
use crate::text;

pub(super) fn copy(model: &mut Model, now: Now, effects: &mut Effects) {
    let wire = |request: &crate::message::CallRequest| wire(&request.method, &request.args);
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
            let form = model.forms.get();
            ("request", form.map(|form| wire_of_form(&form.signature.name, form)))
        }
        Pane::Response => ("result", model.calls.shown_call().map(|call| call.summary().0)),
        Pane::History => {
            let call = selected_call(model).and_then(|id| model.calls.get(id));
            ("request", call.map(|call| wire(&call.request)))
        }
        Pane::LoadPlan | Pane::LoadRun => match super::load::command(model) {
            Ok(command) => ("command", command),
            Err(why) => return model.complain(format!("cannot be copied: {why}"), now),
        },
        Pane::Logs => ("line", model.logs.upwards().next().map(|line| line.text.clone())),
    };
    match copied {
        Some(copied) => {
            let shown = text::printable(&copied).into_owned();
            model.say(format!("copied the {what}: {}", text::cut(&shown, 50)), now);
            effects.push(Effect::Copy(copied));
        }
        None => model.complain("there is nothing to copy", now),
    }
}

fn wire_of_form(method: &str, form: &crate::model::form::Form) -> String {
    wire(method, &form.preview())
}

/// A request as the classic dialect writes it.
pub(crate) fn wire(method: &str, args: &rpc_wire::call::Args) -> String {
    let mut out = Vec::new();
    rpc_wire::call::request::classic(&mut out, method, args);
    String::from_utf8(out).unwrap_or_default()
}
