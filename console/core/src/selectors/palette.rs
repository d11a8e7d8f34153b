//! The entries of the palette.

use rpc_wire::signature::Signature;

use super::candidates::undescribed;
use super::unavailable;
use crate::action::Context;
use crate::model::methods::fuzzy;
use crate::model::palette::{Entry, Labelled, Palette, arguments};
use crate::model::service::{MethodId, Service};
use crate::model::{Model, View};
use crate::text;

/// Instances in the list before anything is typed: it is made for every frame. Those after them, by
/// address, are found by typing.
const MAX_INSTANCES: usize = 1_000;

/// The selected instance, if it can be unregistered.
fn unregister(model: &Model) -> Option<Entry> {
    let row = model.instances.selected_row().filter(|row| row.gone.is_none())?;
    let possible = model.view == View::Instances && model.link.is_live() && !model.readonly;
    possible.then(|| Entry::Unregister(Box::new(row.instance.clone())))
}

/// The entries that match the typed text, best first.
pub fn palette_entries(model: &Model, palette: &Palette) -> Vec<Entry> {
    let typed = palette.input.value().trim_start();
    let mut entries = Vec::new();
    let labelled = |id: &MethodId| Labelled { id: id.clone(), label: model.methods.label(id) };
    if let Some((method, rest)) = typed.split_once(char::is_whitespace) {
        // One of each service that has it: the user chooses.
        let found = model.methods.named(method);
        entries.extend(
            found.map(|method| {
                Entry::Call(labelled(&method.id), arguments(rest, &method.signature))
            }),
        );
        entries.extend(undescribed_call(model, method, rest));
        if !entries.is_empty() {
            return entries;
        }
    }
    let contexts = [Context::of(model.focus()), Context::Everywhere];
    let actions = model
        .keys
        .rows()
        .iter()
        .filter(|row| row.is_command() && contexts.contains(&row.context))
        .filter(|row| unavailable(model, row.action).is_none())
        .map(|row| {
            let keys: Vec<_> = row.keys.iter().map(ToString::to_string).collect();
            Entry::Action(row.action, keys.join(" "), row.help)
        });
    let methods = model.methods.all().map(|method| {
        let summary = method.signature.doc.lines().next().unwrap_or_default().to_owned();
        Entry::Method(labelled(&method.id), summary)
    });
    let mut instances: Vec<_> = model.instances.all().map(|row| &row.key).collect();
    if typed.is_empty() && instances.len() > MAX_INSTANCES {
        instances.select_nth_unstable(MAX_INSTANCES);
        instances.truncate(MAX_INSTANCES);
    }
    instances.sort();
    let instances = instances.into_iter().cloned();
    let saved = &model.saved.contents;
    let requests = saved.requests.iter();
    let requests =
        requests.map(|request| Entry::Saved(request.name.clone(), request.method.clone()));
    let environments = saved.environments.iter().map(|one| Entry::Environment(one.name.clone()));
    entries.extend(actions);
    entries.extend(environments);
    entries.extend(unregister(model));
    entries.extend(methods);
    // After the method: a request is mostly saved under the name of its method.
    entries.extend(requests);
    entries.extend(instances.map(Entry::Instance));
    let typed = typed.trim_end();
    if typed.is_empty() {
        return entries;
    }
    let named = entries.into_iter().map(|entry| (entry.label(), entry));
    let mut ranked = fuzzy(typed, named, |(label, _)| label);
    ranked.sort_by_key(|(score, (_, entry))| std::cmp::Reverse((entry.is_named(typed), *score)));
    let found = ranked.into_iter().map(|(_, (_, entry))| entry);
    let by_name = undescribed_call(model, typed, "");
    correction(model, typed).into_iter().chain(by_name).chain(found).collect()
}

/// A call of a server that describes no method, with arguments as nobody checks them.
fn undescribed_call(model: &Model, method: &str, rest: &str) -> Option<Entry> {
    undescribed(model)?;
    let id = MethodId { service: Service::default(), name: method.to_owned() };
    let label = text::printable(method).into_owned();
    Some(Entry::Call(Labelled { id, label }, arguments(rest, &Signature::default())))
}

/// The method that was probably meant by the first word, where there is none of that name: in a call,
/// or where nothing begins like it.
fn correction(model: &Model, typed: &str) -> Option<Entry> {
    let (name, rest) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    let names = || model.methods.all().map(|method| method.id.name.as_str());
    let is_start = |known: &str| known.starts_with(name);
    if rest.is_empty() && names().any(is_start) {
        return None;
    }
    let meant = rpc_wire::nearest(name, names()).filter(|meant| *meant != name)?;
    let corrected = format!("{meant} {rest}").trim_end().to_owned();
    Some(Entry::Correct(meant.to_owned(), corrected))
}
