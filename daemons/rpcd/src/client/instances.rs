//! `rpcd instances`: lists the instances of a registry.

use std::time::Duration;

use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_load::show;
use rpc_wire::instance::{Instance, InstanceRecord, OverrideEntry, OverrideRecord, RegistryName};
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::report::Readiness;
use serde_json::json;

use super::{no_instance, offers, overrides};
use crate::failure::Failure;
use crate::output::{self, table::Table};
use crate::plan::AskRegistry;

/// Lists the instances that the registry knows.
///
/// # Errors
/// It is unreachable or refuses the request.
pub async fn instances(ask: AskRegistry) -> Result<(), Failure> {
    let registry = RegistryClient::new(&ask.url, ask.options.clone())?;
    let service = ask.service.as_deref();
    match registry.instances(PROTO_JSON).await {
        Ok(mut records) => {
            say_invalid(registry.url(), registry.invalid());
            no_instance::say(
                service,
                registry.url(),
                records.iter().map(|record| &record.instance),
            );
            records.retain(|record| offers::is_of(&record.instance, service));
            records.sort_by_key(|record| record.instance.key());
            if ask.json {
                return output::json(&json!(records).to_string());
            }
            // Stable, so that those of a service stay sorted by address.
            records.sort_by(|a, b| a.instance.service().cmp(&b.instance.service()));
            // That it does not say is no failure.
            let readiness = registry.readiness().await.ok();
            let here = readiness.as_ref().and_then(|it| it.sharing.as_ref()).map(|it| &it.registry);
            if output::is_terminal() && !records.is_empty() {
                table(&records, here)?;
            } else {
                print(&ask, &registry, records.iter().map(|it| row(it, here)).collect())?;
            }
            say_unlisted(&registry).await;
            say_condition(&registry, readiness);
            Ok(())
        }
        // An older registry lists addresses only.
        Err(RegistryClientError::Unsupported { .. }) => {
            let mut listed = registry.find_all(PROTO_JSON).await?;
            say_invalid(registry.url(), registry.invalid());
            no_instance::say(service, registry.url(), &listed);
            listed.retain(|instance| offers::is_of(instance, service));
            listed.sort_by_key(Instance::key);
            if ask.json {
                return output::json(&json!(listed).to_string());
            }
            listed.sort_by(|a, b| a.service().cmp(&b.service()));
            print(
                &ask,
                &registry,
                listed.iter().map(|it| format!("{}{}", it.key(), words(it))).collect(),
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// Says which of several registries it is, what is wrong with it, if anything is, and to people what it keeps
/// registrations in.
fn say_condition(registry: &RegistryClient, readiness: Option<Readiness>) {
    if registry.url() != registry.given_url() {
        output::say(&format!("as the registry at {} lists them", registry.url()));
    }
    if registry.warming().is_some() {
        output::warn(&format!(
            "the registry at {} has just started and may not know every instance yet; ask again in a few seconds",
            registry.url()
        ));
    }
    let Some(readiness) = readiness else { return };
    if let Some(store) = readiness.store_name().filter(|_| output::is_terminal()) {
        let shared = readiness.sharing.as_ref().map(|sharing| sharing.text());
        let shared = shared.map(|with| format!(", shared {with}")).unwrap_or_default();
        output::say(&format!("the registry at {}: {store}{shared}", registry.url()));
    }
    for trouble in readiness.troubles() {
        output::warn(&format!("the registry at {}: {trouble}", registry.url()));
    }
}

/// Says which addresses are out of use without being registered: it will surprise whoever starts there.
async fn say_unlisted(registry: &RegistryClient) {
    // An older registry has none.
    let Ok(entries) = registry.overrides().await else { return };
    for OverrideEntry { key, overridden, .. } in entries.iter().filter(|entry| !entry.listed) {
        let what = describe(overridden);
        output::say(&format!("{key} is not registered; once it is: {what}"));
    }
}

/// Says that the registry lists entries that cannot be read, if it does.
pub(super) fn say_invalid(url: &str, invalid: usize) {
    let (entries, are) = match invalid {
        0 => return,
        1 => ("entry", "is"),
        _ => ("entries", "are"),
    };
    output::warn(&format!(
        "{invalid} {entries} of the registry at {url} cannot be read and {are} not shown; its log says who registers what"
    ));
}

fn print(ask: &AskRegistry, registry: &RegistryClient, rows: Vec<String>) -> Result<(), Failure> {
    if rows.is_empty() && ask.service.is_none() {
        output::say(&format!("no instances registered at {}", registry.url()));
    }
    rows.iter().try_for_each(|row| output::text(row))
}

/// For people: a heading instead of words in every row.
fn table(records: &[InstanceRecord], here: Option<&RegistryName>) -> Result<(), Failure> {
    let heading =
        ["SERVICE", "VERSION", "INSTANCE", "STATE", "HEARTBEAT", "TTL", "HEARTBEATS", "REGISTERED"];
    let notes: Vec<_> = records.iter().map(|record| note(record).unwrap_or_default()).collect();
    let has_notes = notes.iter().any(|note| !note.is_empty());
    let heading = [&heading[..], if has_notes { &["NOTE"] } else { &[] }].concat();
    let mut table = Table::new(&heading, &[6]);
    for (record, note) in records.iter().zip(notes) {
        let mut row = vec![
            offers::shown(record.instance.service()).to_owned(),
            record.instance.version().unwrap_or("-").to_owned(),
            record.instance.key().to_string(),
            record.state.to_string(),
            heartbeat(record, here),
            ttl(record),
            record.heartbeats.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            format!("{} ago", age(record.registered_ms_ago)),
        ];
        row.extend(has_notes.then_some(note));
        table.push(row);
    }
    output::table(&table)
}

/// `127.0.0.1:8089  up  heartbeat 1.2s ago (TTL 10s)  heartbeats 1604  registered 2h13m ago  service rpcd`;
/// the service comes last, so that the place of the others is what it was.
fn row(record: &InstanceRecord, here: Option<&RegistryName>) -> String {
    format!(
        "{:<21}  {:<11}  heartbeat {} (TTL {})  heartbeats {}  registered {} ago{}{}",
        record.instance.key().to_string(),
        record.state.to_string(),
        heartbeat(record, here),
        ttl(record),
        record.heartbeats.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        age(record.registered_ms_ago),
        words(&record.instance),
        note(record).map(|note| format!("  {note}")).unwrap_or_default(),
    )
}

/// `draining for 9m (deploy 7), by me@home`.
fn describe(overridden: &OverrideRecord) -> String {
    let by = overridden.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    format!("{}{by}", overrides::state(overridden))
}

/// Why it is in a state that needs somebody.
pub(super) fn note(record: &InstanceRecord) -> Option<String> {
    let overridden = record.overridden.as_ref().map(describe);
    let held = record.held_ms.map(|ms| {
        let left = show::seconds(Duration::from_millis(ms));
        format!("kept for {left} although it is silent: many fell silent at once")
    });
    let lost = (!record.durable)
        .then(|| "not in the registry's store: lost if the registry stops before it is".to_owned());
    let notes: Vec<_> = [overridden, held, lost].into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// What it says of itself, for a row without a heading.
fn words(instance: &Instance) -> String {
    let service = instance.service().map(|service| format!("  service {service}"));
    let version = instance.version().map(|version| format!("  version {version}"));
    [service, version].into_iter().flatten().collect()
}

/// `1.2s ago`; of one whose heartbeats another registry takes `at 10.0.0.6:9999`, and of one that the registry which
/// is asked has taken over `not here yet`.
fn heartbeat(record: &InstanceRecord, here: Option<&RegistryName>) -> String {
    match (record.age_ms, &record.owner) {
        (Some(ms), _) => format!("{} ago", age(ms)),
        (None, Some(owner)) if here.is_some_and(|here| here.id == owner.id) => {
            "not here yet".to_owned()
        }
        (None, Some(owner)) => format!("at {owner}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn age(ms: u64) -> String {
    show::age(Duration::from_millis(ms))
}

/// A setting, which has no fractions of a second.
fn ttl(record: &InstanceRecord) -> String {
    show::seconds(Duration::from_millis(record.ttl_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::{InstanceState, OverrideState};

    #[test]
    fn a_row_shows_address_state_heartbeats_and_age() {
        let mut record = InstanceRecord {
            instance: Instance::new("::1", 8089),
            age_ms: Some(1234),
            ttl_ms: 10_000,
            registered_ms_ago: 7_980_000,
            heartbeats: Some(1604),
            state: InstanceState::Up,
            incarnation: None,
            held_ms: None,
            overridden: None,
            durable: true,
            owner: None,
        };
        assert_eq!(
            row(&record, None),
            "[::1]:8089             up           heartbeat 1.2s ago (TTL 10s)  heartbeats 1604  \
             registered 2h13m ago"
        );
        record.instance.parameters.insert("service".to_owned(), json!("orders"));
        record.instance.parameters.insert("version".to_owned(), json!("1.2"));
        assert!(row(&record, None).ends_with("registered 2h13m ago  service orders  version 1.2"));
        (record.age_ms, record.heartbeats) = (None, None);
        record.owner =
            Some(RegistryName { id: "1".to_owned(), address: Some("10.0.0.6:9999".to_owned()) });
        let row_elsewhere = row(&record, None);
        assert!(
            row_elsewhere
                .contains("  heartbeat at 10.0.0.6:9999 (TTL 10s)  heartbeats -  registered"),
            "{row_elsewhere}"
        );
        // It has been taken over by the registry that is asked.
        let taken_over = row(&record, record.owner.as_ref());
        assert!(
            taken_over.contains("  heartbeat not here yet (TTL 10s)  heartbeats -"),
            "{taken_over}"
        );
        record.held_ms = Some(41_000);
        assert!(
            row(&record, None).contains("  kept for 41s although it is silent"),
            "{}",
            row(&record, None)
        );
        (record.held_ms, record.state) = (None, InstanceState::Draining);
        record.overridden = Some(OverrideRecord {
            state: OverrideState::Draining,
            reason: Some("deploy 7".to_owned()),
            by: Some("me@home".to_owned()),
            for_ms: Some(540_000),
        });
        let row = row(&record, None);
        assert!(row.starts_with("[::1]:8089             draining     heartbeat"), "{row}");
        assert!(row.ends_with("  draining for 9m (deploy 7), by me@home"), "{row}");
    }
}
