//! Changes of the registry, the instances and the demo.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};
use rpc_wire::report::Readiness;

use super::{Effects, reading};
use crate::action::{Action, Context};
use crate::message::{DemoUpdate, Effect, InstanceUpdate, RegistryUpdate, Sample};
use crate::model::Model;
use crate::model::Now;
use crate::model::events::{Event, EventKind};
use crate::model::heard::Heard;
use crate::model::instances::{Change, Gone, HELD, Probe, State};
use crate::model::link::{LinkState, Obstacle};
use crate::model::logs::{Source, SourceState};
use crate::model::methods::MethodList;
use crate::model::own_client::{OldList, OwnClient};
use crate::text;

/// What is said of a registry that went away without a word.
const LOST: &str = "connection lost";

pub(super) fn registry(model: &mut Model, update: RegistryUpdate, now: Now, effects: &mut Effects) {
    match update {
        RegistryUpdate::Direct(instance) => {
            let subject = instance.key().to_string();
            let text = "no registry: the probe tells its state".to_owned();
            push_event(model, EventKind::Neutral, "open", subject, text, now);
            model.instances.known_at = Some(now.at);
            model.instances.open(instance.clone(), now.at);
            model.methods.join(&instance);
            effects.push(Effect::Monitor(Box::new(instance)));
        }
        RegistryUpdate::At(url) => model.link.at = Some(url),
        RegistryUpdate::Live { ages } => live(model, ages, now),
        RegistryUpdate::Lost { error, obstacle, retry_in } => {
            lost(model, error, obstacle, retry_in, now);
        }
        RegistryUpdate::Heard(at) => match &mut model.link.heard {
            Some(heard) => heard.again(at),
            None => model.link.heard = Some(Heard::first(at)),
        },
        // It may have waited before it was applied: ages count from its arrival.
        RegistryUpdate::Change(change, arrived) => {
            if let Some(heard) = &mut model.link.heard {
                heard.again(arrived);
            }
            let first = model.instances.known_at.is_none();
            model.instances.known_at = Some(now.at);
            let changes = match change {
                WatchEvent::Snapshot(records) => {
                    let changes = model.instances.snapshot(records, arrived, now.at);
                    summarize_first(first, model, changes, now, effects)
                }
                WatchEvent::Registered(record)
                | WatchEvent::Updated(record)
                | WatchEvent::Suspect(record) => model.instances.record(record, arrived, now.at),
                WatchEvent::Unregistered(key) => model
                    .instances
                    .mark_gone(&key, Gone::Unregistered, now.at)
                    .into_iter()
                    .collect(),
                WatchEvent::Expired(key, reason) => model
                    .instances
                    .mark_gone(&key, Gone::Expired(reason), now.at)
                    .into_iter()
                    .collect(),
                WatchEvent::Beats(beats) => {
                    model.instances.beats(beats, arrived);
                    Vec::new()
                }
            };
            report(model, changes, now, effects);
        }
        RegistryUpdate::Readiness(readiness) => self::readiness(model, readiness, now),
        RegistryUpdate::Standing(standing) => {
            model.link.standing = standing;
            judge_standing(model);
        }
        RegistryUpdate::List(instances) => {
            let first = model.instances.known_at.is_none();
            model.instances.known_at = Some(now.at);
            let changes = model.instances.list(instances, now.at);
            let changes = summarize_first(first, model, changes, now, effects);
            report(model, changes, now, effects);
        }
        RegistryUpdate::OldList(instances, list) => {
            if model.instances.known_at.is_none() && !model.link.is_live() {
                old_list(model, instances, list, now, effects);
            }
        }
    }
}

/// Shows the instances as last known: the calls go by this list, too.
fn old_list(
    model: &mut Model,
    instances: Vec<Instance>,
    list: OldList,
    now: Now,
    effects: &mut Effects,
) {
    model.instances.known_at = Some(now.at);
    let changes = model.instances.list(instances, now.at);
    let count = text::count(changes.len() as u64, "instance", "instances");
    let text = format!("{count}, as last known: {}", list.text(now.at));
    add_silently(model, changes, effects);
    let subject = model.link.address().to_owned();
    push_event(model, EventKind::Warning, "list", subject, text, now);
}

/// Keeps the registry's condition; what comes and goes is an event, the time left is not.
fn readiness(model: &mut Model, readiness: Readiness, now: Now) {
    let address = model.link.address().to_owned();
    let before = std::mem::replace(&mut model.link.readiness, readiness);
    let now_wrong = &model.link.readiness;
    let peers = |it: &Readiness| it.sharing.as_ref().map(|sharing| sharing.peers.clone());
    let others = peers(now_wrong).filter(|others| *others != peers(&before).unwrap_or_default());
    let kinds = |it: &Readiness| {
        let is_cut_off = it.sharing.as_ref().is_some_and(|sharing| sharing.cut_off_ms.is_some());
        (it.store.is_some(), it.brake.is_some(), is_cut_off)
    };
    let is_other_kind = kinds(&before) != kinds(now_wrong);
    if others.is_some()
        && let Some(sharing) = &now_wrong.sharing
    {
        let text = format!("shares what it knows {}", sharing.text());
        push_event(model, EventKind::Neutral, "registry", address.clone(), text, now);
    }
    let now_wrong = &model.link.readiness;
    if !is_other_kind {
        return;
    }
    let (kind, text) = match now_wrong.troubles() {
        troubles if troubles.is_empty() => (EventKind::Good, "well again".to_owned()),
        troubles => (EventKind::Warning, troubles.join("; ")),
    };
    push_event(model, kind, "registry", address, text, now);
}

/// Reports the first list as one event, not one per instance.
fn summarize_first(
    first: bool,
    model: &mut Model,
    changes: Vec<Change>,
    now: Now,
    effects: &mut Effects,
) -> Vec<Change> {
    if !first {
        return changes;
    }
    let count = changes.len();
    add_silently(model, changes, effects);
    let text = match count {
        0 => "snapshot: no instances".to_owned(),
        1 => "snapshot: 1 instance".to_owned(),
        n => format!("snapshot: {n} instances"),
    };
    let subject = model.link.address().to_owned();
    push_event(model, EventKind::Good, "list", subject, text, now);
    Vec::new()
}

/// Adds the instances of a first list: they are no changes of something seen before.
fn add_silently(model: &mut Model, changes: Vec<Change>, effects: &mut Effects) {
    model.instances.settle();
    for change in changes {
        if let Change::Added(instance) = change {
            join(model, &instance);
            effects.push(Effect::Monitor(instance));
        }
    }
}

fn live(model: &mut Model, ages: bool, now: Now) {
    let older = if ages { "" } else { " — older registry: polled, no heartbeat ages" };
    let text = match &model.link.state {
        LinkState::Direct => return,
        LinkState::Live { ages: before } if *before == ages => return,
        LinkState::Live { .. } | LinkState::Connecting => format!("connected{older}"),
        LinkState::Lost { since, attempts, was_live, .. } => {
            let outage = now.at.saturating_duration_since(*since).as_secs_f64();
            let attempts = if *attempts == 1 {
                "1 attempt".to_owned()
            } else {
                format!("{attempts} attempts")
            };
            let (word, kept) =
                if *was_live { ("reconnected", " — list kept") } else { ("connected", "") };
            format!("{word} after {outage:.1} s ({attempts}){kept}{older}")
        }
    };
    model.link.state = LinkState::Live { ages };
    // One that is polled says nothing by itself.
    model.link.heard = model.link.heard.filter(|_| ages);
    if let Some(heard) = &mut model.link.heard {
        heard.again(now.at);
    }
    model.logs.sources.entry(Source::Registry).or_insert(SourceState::Live);
    let subject = model.link.address().to_owned();
    push_event(model, EventKind::Good, "registry", subject, text, now);
}

fn lost(model: &mut Model, error: String, obstacle: Obstacle, retry_in: Duration, now: Now) {
    let (since, attempts, was_live, before) = match &model.link.state {
        LinkState::Lost { since, attempts, was_live, obstacle, .. } => {
            (*since, attempts + 1, *was_live, Some(*obstacle))
        }
        LinkState::Direct => return,
        LinkState::Live { .. } => (now.at, 1, true, None),
        LinkState::Connecting => (now.at, 1, false, None),
    };
    if before != Some(obstacle) {
        let text = match was_live && before.is_none() {
            true if error == LOST => format!("{LOST} — list kept, states unknown"),
            true => format!("{LOST}: {error} — list kept, states unknown"),
            false => format!("{}: {error}", obstacle.word()),
        };
        let subject = model.link.address().to_owned();
        push_event(model, EventKind::Bad, "registry", subject, text, now);
    }
    let retry_at = now.at + retry_in;
    let error = text::note(&error);
    model.link.state = LinkState::Lost { since, attempts, retry_at, error, obstacle, was_live };
}

/// Applies what the console's own client goes by; whom it sets aside, and whom it calls again, are events.
pub(super) fn own_client(model: &mut Model, own: OwnClient, now: Now) {
    let before = std::mem::replace(&mut model.own_client, own);
    let mut events = Vec::new();
    for (key, health) in &model.own_client.health {
        if !health.gets_calls && before.shunned(key).is_none() {
            let why = health.reason.as_deref().unwrap_or("it does not answer");
            let text = format!("gets none of your calls: {why}");
            events.push((EventKind::Warning, health.word(), key.to_string(), text));
        }
    }
    let returned = before.health.keys().filter(|key| {
        before.shunned(key).is_some()
            && model.own_client.shunned(key).is_none()
            && model.is_listed(key)
    });
    for key in returned {
        let text = "gets your calls again".to_owned();
        events.push((EventKind::Good, "back", key.to_string(), text));
    }
    for (kind, word, subject, text) in events {
        push_event(model, kind, word, subject, text, now);
    }
}

/// Turns changes of the table into events and effects.
pub(super) fn report(model: &mut Model, changes: Vec<Change>, now: Now, effects: &mut Effects) {
    for change in changes {
        match change {
            Change::Added(instance) => {
                let subject = instance.key().to_string();
                let row = model.instances.get(&instance.key());
                let overridden = row.and_then(|row| {
                    Some((row.override_text(now.at)?, row.state_text(now.at, true)))
                });
                let (kind, word, text) = match overridden {
                    Some((why, word)) => (EventKind::Warning, word, format!("registered, {why}")),
                    None => (EventKind::Good, "up", "registered".to_owned()),
                };
                push_event(model, kind, word, subject, text, now);
                join(model, &instance);
                effects.push(Effect::Monitor(instance));
            }
            Change::Restarted(instance) => {
                let subject = instance.key().to_string();
                push_event(
                    model,
                    EventKind::Warning,
                    "restart",
                    subject,
                    "restarted".to_owned(),
                    now,
                );
                join(model, &instance);
                effects.push(Effect::Monitor(instance));
            }
            Change::Redeployed(instance) => {
                let subject = instance.key().to_string();
                let text = "registered with other methods, or as another service".to_owned();
                push_event(model, EventKind::Neutral, "changed", subject, text, now);
                join(model, &instance);
                effects.push(Effect::Monitor(instance));
            }
            Change::Removed(key, why, last_beat) => {
                let (kind, text) = match why {
                    Gone::Unregistered => (EventKind::Neutral, "unregistered".to_owned()),
                    Gone::Expired(None) => (EventKind::Bad, format!("expired: {last_beat}")),
                    Gone::Expired(Some(why)) => {
                        (EventKind::Bad, format!("expired: {why}; {last_beat}"))
                    }
                    Gone::Unlisted => (EventKind::Bad, "no longer listed".to_owned()),
                };
                push_event(model, kind, "gone", key.to_string(), text, now);
                instance_gone(model, &key);
                effects.push(Effect::StopMonitor(key));
            }
            Change::Late(key, age) => {
                let ttl = model.instances.get(&key).map_or(10.0, |row| row.ttl.as_secs_f64());
                let text = format!("no heartbeat for {:.1}s (TTL {ttl:.0}s)", age.as_secs_f64());
                push_event(model, EventKind::Warning, "late", key.to_string(), text, now);
            }
            Change::Recovered(key) => {
                push_event(
                    model,
                    EventKind::Good,
                    "up",
                    key.to_string(),
                    "heartbeat received".to_owned(),
                    now,
                );
            }
            Change::StateChanged(key, state) => {
                let row = model.instances.get(&key);
                let is_held = row.is_some_and(|row| row.held_until.is_some());
                let (kind, word, text) = match state {
                    State::Suspect if is_held => (EventKind::Warning, "suspect", HELD),
                    State::Suspect => {
                        (EventKind::Warning, "suspect", "TTL passed, but it still replies")
                    }
                    State::Draining => (EventKind::Warning, "draining", "takes no new calls"),
                    State::Maintenance => {
                        (EventKind::Warning, "maint.", "taken out of service by an operator")
                    }
                    _ => (EventKind::Good, "up", "in service"),
                };
                let overridden = row.and_then(|row| row.override_text(now.at));
                let text = overridden.unwrap_or_else(|| text.to_owned());
                push_event(model, kind, word, key.to_string(), text, now);
            }
        }
    }
}

/// Places an instance in its service, with the methods of its contract if they are known.
fn join(model: &mut Model, instance: &Instance) {
    model.methods.join(instance);
    let count = model.methods.count(&instance.key());
    if let (Some(row), Some(count)) = (model.instances.get_mut(&instance.key()), count) {
        row.methods = Some(count);
    }
}

/// Applies the methods of a contract, to all instances that show it.
pub(super) fn contract(model: &mut Model, digest: String, methods: Arc<MethodList>) {
    model.methods.learn(digest.clone(), methods);
    reading::renew(model);
    for row in model.instances.all_mut().filter(|row| row.instance.contract() == Some(&*digest)) {
        row.methods = model.methods.count(&row.key);
        model.methods.errors.remove(&row.key);
    }
}

/// Applies the statistics of instances.
pub(super) fn traffic(model: &mut Model, samples: Vec<(InstanceKey, Sample)>) {
    for (key, sample) in samples {
        let Some(row) = model.instances.get_mut(&key) else { continue };
        match sample {
            Sample::Stats(at, stats) => row.traffic.apply(at, *stats),
            Sample::Unsupported => row.traffic.is_unsupported = true,
            Sample::Failed => {}
        }
    }
}

fn instance_gone(model: &mut Model, key: &InstanceKey) {
    model.methods.remove(key);
    let source = Source::Server(key.clone());
    model.logs.source_gone(&source);
}

pub(super) fn instance(model: &mut Model, key: InstanceKey, update: InstanceUpdate, now: Now) {
    match update {
        InstanceUpdate::Methods(Ok(methods)) => {
            if let Some(row) = model.instances.get_mut(&key).filter(|row| row.gone.is_none()) {
                model.methods.insert(key.clone(), methods);
                row.methods = model.methods.count(&key);
            }
        }
        InstanceUpdate::Methods(Err(error)) => {
            // It may have gone meanwhile.
            if model.is_listed(&key) {
                model.methods.set_error(key, text::note(&error));
            }
        }
        InstanceUpdate::Dialect(dialect) => {
            if let Some(row) = model.instances.get_mut(&key) {
                row.dialect = Some(dialect);
            }
        }
        InstanceUpdate::Probe(result) => probe(model, key, result, now),
        InstanceUpdate::Standing(standing) => {
            let Some(row) = model.instances.get_mut(&key) else { return };
            if row.standing != standing {
                row.standing = standing;
                judge_standing(model);
            }
        }
    }
}

/// What the header says of all that instances said.
fn judge_standing(model: &mut Model) {
    let rows = model.instances.all().filter(|row| row.gone.is_none());
    let of_registry = &model.link.standing;
    let gravest = rows.fold(of_registry, |gravest, row| gravest.graver(&row.standing));
    model.standing = gravest.clone();
}

/// Applies a probe. Without a registry, its changes are the only events of the server.
fn probe(model: &mut Model, key: InstanceKey, result: Result<Duration, String>, now: Now) {
    let Some(row) = model.instances.get_mut(&key) else { return };
    let before = std::mem::discriminant(&row.probe);
    row.apply_probe(result.map_err(|error| text::note(&error)));
    if !row.is_direct || before == std::mem::discriminant(&row.probe) {
        return;
    }
    row.changed_at = Some(now.at);
    let (kind, word, text) = match &row.probe {
        Probe::Failed(error) => (EventKind::Bad, "no reply", error.clone()),
        _ => (EventKind::Good, "up", "replied to the probe".to_owned()),
    };
    push_event(model, kind, word, key.to_string(), text, now);
}

pub(super) fn demo(model: &mut Model, update: DemoUpdate, now: Now) {
    let Some(demo) = &mut model.demo else { return };
    let (mut first, mut is_loss) = (false, false);
    let text = match update {
        DemoUpdate::Traffic(on) => {
            demo.traffic = on;
            format!("demo traffic {}", if on { "on" } else { "off" })
        }
        DemoUpdate::Server(key, runs) => {
            is_loss = !runs;
            let text = if runs {
                format!("demo server {key} restarted")
            } else {
                let restart = model.keys.shown(Context::Instances, Action::DemoServer);
                format!("demo server {key} crashed without unregistering; {restart} restarts it")
            };
            match demo.servers.iter_mut().find(|(known, _)| *known == key) {
                Some((_, state)) => *state = runs,
                None => {
                    demo.servers.push((key, runs));
                    first = true;
                }
            }
            text
        }
        DemoUpdate::Fault(key, fault) => {
            is_loss = fault.is_some();
            let next = model.keys.shown(Context::Instances, Action::DemoFault);
            match fault {
                Some(fault) => format!("demo server {key} {fault}; {next} changes that"),
                None => format!("demo server {key} is well again"),
            }
        }
        DemoUpdate::Registry(runs) => {
            (demo.registry, is_loss) = (runs, !runs);
            let key = model.keys.shown(Context::Everywhere, Action::DemoRegistry);
            let text =
                if runs { "restarted".to_owned() } else { format!("stopped; {key} restarts it") };
            format!("demo registry {text}")
        }
    };
    match (first, is_loss) {
        (true, _) => {}
        (false, true) => model.notify_error(text, now),
        (false, false) => model.notify(text, now),
    }
}

pub(super) fn push_event(
    model: &mut Model,
    kind: EventKind,
    word: &'static str,
    subject: String,
    text: String,
    now: Now,
) {
    let (text, subject) = (text::note(&text), text::note(&subject));
    model.events.push(Event { wall_ms: now.wall_ms, kind, word, subject, text });
}
