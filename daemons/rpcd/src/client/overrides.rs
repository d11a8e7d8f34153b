//! `rpcd drain` and `rpcd undrain`: takes an instance out of use, and brings it back.

use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_host::person;
use rpc_load::show;
use rpc_wire::instance::{InstanceKey, OverrideEntry, OverrideRecord, OverrideState};
use rpc_wire::nearest;
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::shell_word;
use serde_json::json;

use crate::failure::Failure;
use crate::output;
use crate::plan::OverridePlan;
use crate::shell;

/// Sets or takes back an operator's override, and says what holds now.
///
/// # Errors
/// The registry is unreachable, refuses the request, or is an older one.
pub async fn overrides(plan: OverridePlan) -> Result<(), Failure> {
    let OverridePlan { ask, key, asked } = plan;
    let registry = RegistryClient::new(&ask.url, ask.options.clone())?;
    let (entry, text) = match asked {
        Some(mut asked) => {
            asked.by = Some(person::user_at_machine());
            let entry = registry.set_override(&key, &asked).await?;
            let text = match is_known_here_only(&entry, &registry).await {
                true => drained_here(&entry, registry.url(), &ask.url),
                false => drained(&entry, &ask.url),
            };
            (Some(entry), text)
        }
        None => {
            let entry = registry.clear_override(&key).await?;
            let text = match &entry {
                Some(entry) if is_known_here_only(entry, &registry).await => {
                    restored_here(entry, registry.url())
                }
                Some(entry) => restored(entry),
                None if is_cut_off(&registry).await => format!(
                    "{key} is not drained as far as the registry at {} knows, which is cut off from etcd: others may \
                     know better, so repeat this when it is back",
                    registry.url()
                ),
                None => format!("{key} was not drained"),
            };
            (entry, text)
        }
    };
    if entry.as_ref().is_none_or(|entry| !entry.listed) {
        say_unlisted(&registry, &key, &ask.url, entry.is_some()).await;
    }
    if entry.as_ref().is_some_and(|entry| !entry.durable) {
        output::say(&not_durable(&key, &registry));
    }
    if ask.json { output::json(&json!(entry).to_string()) } else { output::text(&text) }
}

fn not_durable(key: &InstanceKey, registry: &RegistryClient) -> String {
    let (url, at) = (registry.url(), super::at(registry.url()));
    format!(
        "the change of {key} is not durable: the registry at {url} could not store it, and loses it if it stops \
         before it can; rpcd instances{at} says why"
    )
}

/// Whether other registries share its store, which does not have the change: the server may send its heartbeats to one
/// of those.
async fn is_known_here_only(entry: &OverrideEntry, registry: &RegistryClient) -> bool {
    !entry.durable && registry.readiness().await.is_ok_and(|it| it.sharing.is_some())
}

/// Whether others share its store, and may know what it has not heard.
async fn is_cut_off(registry: &RegistryClient) -> bool {
    let sharing = registry.readiness().await.ok().and_then(|it| it.sharing);
    sharing.is_some_and(|it| it.cut_off_ms.is_some())
}

fn drained_here(entry: &OverrideEntry, here: &str, url: &str) -> String {
    let OverrideEntry { key, overridden, .. } = entry;
    let (state, undrain) = (state(overridden), undrain(key, url));
    format!(
        "{key} is {state} in the lists of the registry at {here} only: other registries, and a server that sends its \
         heartbeats to one of them, learn of it when it is stored; {undrain} takes it back"
    )
}

/// The command that takes it back.
pub(super) fn undrain(key: &InstanceKey, url: &str) -> String {
    shell::command("rpcd undrain", &[shell_word(&key.to_string())], &super::at(url))
}

fn restored_here(OverrideEntry { key, overridden, .. }: &OverrideEntry, here: &str) -> String {
    format!(
        "{key} is not {} any more in the lists of the registry at {here} only: other registries, and a server that \
         sends its heartbeats to one of them, learn of it when it is stored",
        state(overridden)
    )
}

fn drained(entry: &OverrideEntry, url: &str) -> String {
    let OverrideEntry { key, overridden, listed, .. } = entry;
    let what = if *listed {
        "it leaves the lists of clients now, and from its next heartbeat on it refuses new calls and finishes those in \
         flight"
    } else {
        "it gets no calls once it registers"
    };
    let (state, undrain) = (state(overridden), undrain(key, url));
    format!("{key} is {state}: {what}; {undrain} brings it back")
}

fn restored(OverrideEntry { key, overridden, listed, .. }: &OverrideEntry) -> String {
    let now = if *listed {
        "takes calls again with its next heartbeat"
    } else {
        "takes calls once it registers"
    };
    let by = overridden.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
    format!("{key} {now}; it was {}{by}", state(overridden))
}

/// `draining for 10m (deploy 7)`.
pub(super) fn state(overridden: &OverrideRecord) -> String {
    let OverrideRecord { state, reason, for_ms, .. } = overridden;
    // Rounded up: what was asked for a moment ago reads as it was typed.
    let left = for_ms.map(|ms| Duration::from_secs(ms.div_ceil(1000)));
    let left = left.map(|left| format!(" for {}", show::seconds(left))).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let state = match state {
        OverrideState::Draining => "draining",
        OverrideState::Maintenance => "in maintenance",
    };
    format!("{state}{left}{reason}")
}

/// Says that no such instance is listed, whether it is drained all the same, and which one was probably meant.
async fn say_unlisted(registry: &RegistryClient, key: &InstanceKey, url: &str, is_kept: bool) {
    let Ok(listed) = registry.instances(PROTO_JSON).await else { return };
    let addresses: Vec<_> = listed.iter().map(|record| record.instance.key().to_string()).collect();
    let address = key.to_string();
    if addresses.contains(&address) {
        return;
    }
    let near = nearest(&address, addresses.iter().map(String::as_str));
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let kept = if is_kept { "; this is kept for when it registers" } else { "" };
    output::say(&format!("no instance {address} is registered at {url}{kept}{hint}"));
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::Instance;

    use super::*;

    #[test]
    fn what_holds_now_is_one_line() {
        let mut entry = OverrideEntry {
            key: Instance::new("::1", 80).key(),
            overridden: OverrideRecord {
                state: OverrideState::Draining,
                reason: Some("deploy 7".to_owned()),
                by: Some("me@home".to_owned()),
                for_ms: Some(599_998),
            },
            listed: true,
            durable: true,
        };
        assert_eq!(
            drained(&entry, "http://127.0.0.1:9999"),
            "[::1]:80 is draining for 10m (deploy 7): it leaves the lists of clients now, and from its next \
             heartbeat on it refuses new calls and finishes those in flight; rpcd undrain '[::1]:80' brings it back"
        );
        assert_eq!(
            restored(&entry),
            "[::1]:80 takes calls again with its next heartbeat; it was draining for 10m (deploy 7), by me@home"
        );
        entry.listed = false;
        entry.overridden = OverrideRecord {
            state: OverrideState::Maintenance,
            reason: None,
            by: None,
            for_ms: None,
        };
        assert_eq!(
            drained(&entry, "http://10.0.0.7:9999"),
            "[::1]:80 is in maintenance: it gets no calls once it registers; rpcd undrain '[::1]:80' \
             --registry http://10.0.0.7:9999 brings it back"
        );
        assert_eq!(
            restored(&entry),
            "[::1]:80 takes calls once it registers; it was in maintenance"
        );
    }
}
