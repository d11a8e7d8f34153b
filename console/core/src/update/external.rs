//! Files, pager, editor, and calls as commands or code.

use std::sync::Arc;

use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::signature::Signature;
use rpc_wire::target::Target;

use super::Effects;
use crate::action::{Action, Context};
use crate::message::Effect;
use crate::model::Now;
use crate::model::ask::{Choice, Item, Menu};
use crate::model::calls::Call;
use crate::model::content::{Content, Program};
use crate::model::snippet::{Format, Snippet};
use crate::model::{Model, Overlay, Pane};
use crate::selectors::speaks;
use crate::text;

/// What the focused pane saves or opens, and its file name.
pub(super) fn content(model: &Model, now: Now) -> Option<(Content, String)> {
    let time = text::hour_minute_second(now.wall_ms).replace(':', "");
    match model.focus() {
        Pane::Logs => {
            let lines = model.logs.lines();
            (!lines.is_empty()).then(|| (Content::Lines(lines), format!("logs-{time}.txt")))
        }
        Pane::Response => {
            let call = model.calls.shown_call()?;
            let method = file_name(&call.request.method);
            if call.request.stream {
                let text = call.items.iter().map(|item| format!("{item}\n")).collect::<String>();
                return (!call.items.is_empty())
                    .then(|| (Content::Text(text.into()), format!("{method}-{time}.jsonl")));
            }
            let document = Arc::clone(call.body()?);
            Some((Content::Document(document), format!("{method}-{time}.json")))
        }
        _ => None,
    }
}

/// A method's name as the start of a file name.
fn file_name(method: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-".contains(c) { c } else { '-' };
    let name: String = method.chars().take(40).map(plain).collect();
    if name.trim_matches('-').is_empty() { "result".to_owned() } else { name }
}

/// Opens the content of the focused pane in another program.
pub(super) fn view(model: &Model, program: Program, now: Now, effects: &mut Effects) {
    if let Some((content, name)) = content(model, now) {
        effects.push(Effect::View { program, name, content });
    }
}

/// Opens the arguments of the form as JSON in the editor.
pub(super) fn edit(model: &Model, effects: &mut Effects) {
    if let Some(form) = model.forms.get() {
        let text = form.json.as_ref().map_or_else(|| form.to_json(), |json| json.area.text());
        effects.push(Effect::Edit(form.signature.name.clone(), text));
    }
}

/// Applies arguments edited in the editor.
pub(super) fn edited(model: &mut Model, method: &str, result: Result<String, String>, now: Now) {
    let text = match result {
        Ok(text) => text,
        Err(error) => return model.notify_error(error, now),
    };
    if model.forms.current.as_ref().is_none_or(|current| current.name != method) {
        return model.notify_error("not applied: another form was opened meanwhile", now);
    }
    let Some(form) = model.forms.get_mut() else { return };
    if let Some(json) = &mut form.json {
        json.area = crate::model::area::Area::new(&text);
        json.error = None;
        return;
    }
    let before = form.to_json();
    if text.trim() == before.trim() {
        return model.notify("no changes", now);
    }
    if let Err(error) = form.read_json(&text) {
        // Invalid text is kept: the form shows it as JSON, with the error below.
        form.open_json(&text, Some(error));
        let key = model.keys.shown(Context::Json, Action::Edit);
        let text = format!("not valid arguments; fix them here, or press {key} to edit again");
        model.notify_error(text, now);
    } else {
        model.notify("form filled from the editor", now);
    }
}

/// Opens the menu of formats to copy a call in.
pub(super) fn copy_as(model: &mut Model, now: Now) {
    let snippet = match snippet(model) {
        Ok(snippet) => snippet,
        Err(why) => return model.notify_error(format!("not copied: {why}"), now),
    };
    let items = Format::ALL.map(|format| Item {
        label: format.title().to_owned(),
        detail: snippet.write(format).map_or_else(|_| String::new(), |text| one_line(&text)),
        choice: snippet.write(format).map(|text| Choice::Copy(format.title(), text)),
    });
    let mut items = items.to_vec();
    items.extend(whole_result(model));
    let title = "Copy call as (with full arguments)".to_owned();
    model.overlay = Some(Overlay::Menu(Menu { title, items, selected: 0 }));
}

/// The result as received: its own key copies the value under the cursor.
fn whole_result(model: &Model) -> Option<Item> {
    let call = model.calls.shown_call().filter(|_| model.focus() == Pane::Response)?;
    let text = call.body()?.text();
    let choice = Ok(Choice::Copy("result", text.to_owned()));
    let detail = text::prefix(text, 200).to_owned();
    Some(Item { label: "result".to_owned(), detail, choice })
}

fn one_line(text: &str) -> String {
    let sends = ["client.call(", "client.stream(", "sendall("];
    let line = text.lines().find(|line| sends.iter().any(|call| line.contains(call)));
    text::prefix(line.or(text.lines().next()).unwrap_or_default().trim(), 200).to_owned()
}

fn snippet(model: &Model) -> Result<Snippet, String> {
    let registry = model.link.url.clone();
    if model.focus() == Pane::Form {
        let form = model.forms.get().ok_or("no method selected")?;
        let first =
            model.methods.get(&form.id()).and_then(|method| method.on.sorted().into_iter().next());
        return Ok(Snippet {
            service: form.id().service,
            method: form.signature.name.clone(),
            args: form.preview().map_err(|invalid| text::fix(&invalid))?,
            parameters: names(&form.signature),
            target: form.target.clone().or_else(|| model.link.server.clone()),
            peer: form.target.clone().or(first.clone()),
            registry,
            timeout: form.timeout,
            stream: form.signature.stream,
            speaks: speaks(model, form.target.as_ref().or(first.as_ref())),
            access: model.registries.access(),
        });
    }
    let id = if model.focus() == Pane::History {
        crate::selectors::selected_call(model)
    } else {
        model.calls.shown
    };
    let call = id.and_then(|id| model.calls.get(id)).ok_or("no calls yet")?;
    let request = &call.request;
    let listed = model.methods.find(&request.method_id());
    Ok(Snippet {
        service: request.service.clone(),
        method: request.method.clone(),
        args: request.args.clone(),
        parameters: listed.map(|method| names(&method.signature)).unwrap_or_default(),
        target: call.target().cloned().or_else(|| model.link.server.clone()),
        speaks: speaks(model, peer(model, call).as_ref()),
        peer: peer(model, call),
        registry,
        timeout: request.timeout,
        stream: request.stream,
        access: model.registries.access(),
    })
}

/// The names of its parameters.
fn names(signature: &Signature) -> Vec<String> {
    signature.parameters.iter().map(|parameter| parameter.name.clone()).collect()
}

/// The instance for formats without a registry: the one that replied, else one that could. A call of an
/// earlier session knows only the former, also before the methods of this session are known.
fn peer(model: &Model, call: &Call) -> Option<InstanceKey> {
    let replied = || match Target::direct(call.peer()?).ok()? {
        Target::Direct { host, port } => Some(Instance::new(host, port).key()),
        Target::Registry { .. } | Target::JsonRpc { .. } => None,
    };
    let has_method =
        || model.methods.find(&call.request.method_id())?.on.sorted().into_iter().next();
    replied().or_else(|| call.request.candidates.first().cloned()).or_else(has_method)
}
