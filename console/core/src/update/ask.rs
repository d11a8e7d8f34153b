//! Menus and prompts.

use crate::selectors;
use rpc_wire::instance::{Instance, InstanceKey};
use tui_input::Input;

use super::{Effects, act, drain, external, load, send};
use crate::action::Action;
use crate::key::Key;
use crate::message::Effect;
use crate::model::Now;
use crate::model::ask::{Choice, Item, Menu, Prompt, Purpose};
use crate::model::calls::CallId;
use crate::model::content::SaveError;
use crate::model::instances::State;
use crate::model::load::LoadRequest;
use crate::model::saved::Change;
use crate::model::standing::Role;
use crate::model::{Model, Overlay, Pane};
use crate::selectors::READ_ONLY;
use crate::text;

/// Cells of the call in a question.
const MAX_QUESTION: usize = 40;

/// Opens the menu of actions; unavailable ones show the reason.
pub(super) fn actions(model: &mut Model, now: Now) {
    let context = selectors::context(model);
    let mut items: Vec<Item> = model
        .keys
        .rows()
        .iter()
        .filter(|row| row.context == context && row.is_command())
        .filter(|row| selectors::exists(model, row.action))
        .map(|row| Item {
            label: row.keys.first().map(ToString::to_string).unwrap_or_default(),
            detail: match selectors::not_allowed(model, row.action, now) {
                None => row.help.to_owned(),
                Some(why) => format!("({why}) {}", row.help),
            },
            choice: match crate::selectors::unavailable(model, row.action) {
                None => Ok(Choice::Run(row.action)),
                Some(why) => Err(why.to_owned()),
            },
        })
        .collect();
    if model.focus() == Pane::Instances {
        items.push(unregister_item(model, now));
    }
    let selected = items.iter().position(|item| item.choice.is_ok()).unwrap_or(0);
    let title = format!("Actions: {}", context.title());
    model.overlay = Some(Overlay::Menu(Menu { title, items, selected }));
}

fn unregister_item(model: &Model, now: Now) -> Item {
    let live = model.link.is_live();
    let selected = model.instances.selected.as_ref().and_then(|key| model.instances.get(key));
    let choice = match selected {
        _ if model.readonly => Err(READ_ONLY.to_owned()),
        _ if let Some(why) = model.link.lacks() => Err(why.to_owned()),
        None => Err("no instance selected".to_owned()),
        Some(row) if row.state(now.at, live) == State::Gone => Err("already gone".to_owned()),
        Some(row) => match model.link.standing.lacks(Role::Operate) {
            // One's own may be unregistered without that.
            Some(why) if !model.link.standing.may(Role::Register) => Err(why.to_owned()),
            _ => Ok(Choice::Unregister(Box::new(row.instance.clone()))),
        },
    };
    let detail = "unregister…".to_owned();
    Item { label: String::new(), detail, choice }
}

/// Asks for the address of an instance, to confirm unregistering it.
pub(super) fn unregister(model: &mut Model, instance: Box<Instance>) {
    let key = text::printable(&instance.key().to_string()).into_owned();
    model.overlay = Some(Overlay::Prompt(Prompt {
        title: format!("Unregister {key}?"),
        input: Input::default(),
        note: format!("type {key} and ⏎ to confirm; esc cancels"),
        purpose: Purpose::Unregister(instance),
        is_error: false,
        is_proposal: false,
    }));
}

/// Asks whether to quit although something runs (`what`).
pub(super) fn quit(model: &mut Model, what: &str) {
    let choice = Choice::Run(Action::QuitNow);
    confirm(model, format!("Quit? {what}"), "quit", "and stop it".to_owned(), choice);
}

/// Asks for the path to save to.
pub(super) fn save(model: &mut Model, now: Now) {
    let Some((content, name)) = external::content(model, now) else { return };
    model.overlay = Some(Overlay::Prompt(Prompt {
        title: "Save as".to_owned(),
        input: Input::new(name),
        purpose: Purpose::Save { content, exists: None },
        note: "⏎ saves; asks before overwriting".to_owned(),
        is_error: false,
        is_proposal: false,
    }));
}

/// Asks before a load test of what is not on this machine.
pub(super) fn load_test(model: &mut Model, request: LoadRequest, remote: &str) {
    let method = text::printable(&request.method).into_owned();
    let title = format!("Load-test {method} on {remote}?");
    confirm(model, title, "start", String::new(), Choice::LoadTest(Box::new(request)));
}

/// Asks before a call of an earlier session is sent again.
pub(super) fn resend(model: &mut Model, id: CallId, target: Option<InstanceKey>) {
    let Some(call) = model.calls.get(id) else { return };
    let shown = format!("{} {}", call.request.method, call.arguments());
    let shown = text::cut(&text::printable(shown.trim_end()), MAX_QUESTION).into_owned();
    let title = format!("Resend {shown}, a call of an earlier session?");
    let to = target.as_ref().map_or_else(
        || "to any instance that has the method".to_owned(),
        |key| format!("to {}", text::printable(&key.to_string())),
    );
    confirm(model, title, "resend", to, Choice::Resend(id, target));
}

/// Chooses the entry of a menu beside which this key is shown, unless it moves in the menu; returns whether
/// there is one.
pub(super) fn choose_by_key(model: &mut Model, key: Key, now: Now, effects: &mut Effects) -> bool {
    let context = selectors::context(model);
    let Some(Overlay::Menu(menu)) = &mut model.overlay else { return false };
    if model.keys.rows().iter().any(|row| row.context == context && row.keys.contains(&key)) {
        return false;
    }
    let shown = key.to_string();
    let Some(at) = menu.items.iter().position(|item| item.label == shown) else { return false };
    menu.selected = at;
    accept(model, now, effects);
    true
}

/// Confirms the selected entry or the typed text.
pub(super) fn accept(model: &mut Model, now: Now, effects: &mut Effects) {
    match model.overlay.take() {
        Some(Overlay::Menu(menu)) => match menu.items.get(menu.selected).cloned() {
            Some(Item { choice: Ok(choice), .. }) => choose(model, choice, now, effects),
            Some(Item { choice: Err(why), .. }) => {
                model.notify_error(why, now);
                model.overlay = Some(Overlay::Menu(menu));
            }
            None => {}
        },
        Some(Overlay::Prompt(prompt)) => submit(model, prompt, now, effects),
        other => model.overlay = other,
    }
}

/// Asks a question; "cancel" is selected. `yes` and its detail say what happens otherwise.
pub(super) fn confirm(model: &mut Model, title: String, yes: &str, detail: String, choice: Choice) {
    let item = |label: &str, detail: &str, choice| Item {
        label: label.to_owned(),
        detail: detail.to_owned(),
        choice: Ok(choice),
    };
    let items = vec![item("cancel", "", Choice::Cancel), item(yes, &detail, choice)];
    model.overlay = Some(Overlay::Menu(Menu { title, items, selected: 0 }));
}

fn choose(model: &mut Model, choice: Choice, now: Now, effects: &mut Effects) {
    // An earlier "cancelled" would contradict what is done now.
    model.toast = None;
    match choice {
        Choice::Copy(what, text) => super::copy::put(what, text, effects),
        Choice::Run(action) => act::act(model, action, now, effects),
        Choice::Fill(index, text) => {
            let form = model.forms.get_mut();
            if let Some(field) = form.and_then(|form| form.fields.get_mut(index)) {
                field.set_text(text);
            }
        }
        Choice::Cancel => model.notify("cancelled: nothing sent or changed", now),
        Choice::Send(call) => send::confirmed(model, *call, now, effects),
        Choice::Resend(id, target) => send::confirmed_resend(model, id, target, now, effects),
        Choice::StartLoad => load::confirmed(model, now, effects),
        Choice::LoadTest(request) => load::run(model, *request, effects),
        Choice::DeleteRequest(name) => {
            effects.push(Effect::ChangeRequests(Box::new(Change::Delete(name))));
        }
        Choice::Unregister(instance) => unregister(model, instance),
        Choice::Drain(draining) => drain::why(model, draining),
        Choice::Undrain(key) => drain::undrain(model, key, now, effects),
    }
}

fn submit(model: &mut Model, mut prompt: Prompt, now: Now, effects: &mut Effects) {
    let typed = prompt.input.value().trim().to_owned();
    match &prompt.purpose {
        Purpose::Save { content, exists } => {
            if typed.is_empty() {
                (prompt.note, prompt.is_error) = ("enter a path; esc cancels".to_owned(), true);
            } else {
                let (content, overwrite) = (content.clone(), exists.as_ref() == Some(&typed));
                effects.push(Effect::Save { path: typed, content, overwrite });
                (prompt.note, prompt.is_error) = ("saving …".to_owned(), false);
            }
            model.overlay = Some(Overlay::Prompt(prompt));
        }
        Purpose::SaveRequest { .. } | Purpose::RenameRequest(_) => {
            super::saved::submit(model, prompt, effects);
        }
        Purpose::Drain(_) => drain::submit(model, prompt, now, effects),
        Purpose::Unregister(instance) => {
            if typed == instance.key().to_string() {
                let url = model.link.url.clone();
                effects.push(Effect::Unregister(url, instance.clone()));
                model.notify(format!("unregistering {typed}"), now);
            } else {
                model.notify("cancelled: nothing unregistered", now);
            }
        }
    }
}

/// Shows the result of saving a file.
pub(super) fn saved(model: &mut Model, path: String, result: Result<u64, SaveError>, now: Now) {
    let shown = text::printable(&path).into_owned();
    match result {
        Ok(bytes) => {
            if let Some(Overlay::Prompt(Prompt { purpose: Purpose::Save { .. }, .. })) =
                &model.overlay
            {
                model.overlay = None;
            }
            let size = text::bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
            model.notify(format!("saved {size} to {shown}"), now);
        }
        Err(error) => {
            let note = match &error {
                SaveError::Exists => format!("{shown} exists; ⏎ again overwrites it"),
                SaveError::Other(reason) => format!("{shown}: {reason}"),
            };
            match &mut model.overlay {
                Some(Overlay::Prompt(prompt)) => {
                    if let Purpose::Save { exists, .. } = &mut prompt.purpose {
                        *exists = (error == SaveError::Exists).then_some(path);
                        (prompt.note, prompt.is_error) = (note, true);
                    }
                }
                _ => model.notify_error(format!("not saved: {note}"), now),
            }
        }
    }
}

/// Opens the list of values of the focused field; returns whether it has one.
pub(super) fn pick(model: &mut Model) -> bool {
    let Some(form) = model.forms.get() else { return false };
    let Some(field) = form.fields.get(form.focus) else { return false };
    let Some(choices) = field.kind.choices() else { return false };
    let current = field.input.value();
    let items: Vec<Item> = choices
        .iter()
        .map(|choice| {
            let text = choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
            let is_default = field.parameter.default.as_ref() == Some(choice);
            let detail = if is_default { "default" } else { "" }.to_owned();
            Item { label: text.clone(), detail, choice: Ok(Choice::Fill(form.focus, text)) }
        })
        .collect();
    let selected = items
        .iter()
        .position(|item| item.label == current)
        .or_else(|| items.iter().position(|item| !item.detail.is_empty()))
        .unwrap_or(0);
    let title = format!("Choose {}", field.parameter.name);
    model.overlay = Some(Overlay::Menu(Menu { title, items, selected }));
    true
}
