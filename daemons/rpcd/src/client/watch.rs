//! `rpcd watch`: every event of the registry as a line, also of an older one, which is polled.
//!
//! - [`services`]: which instance is of which service.

mod services;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rpc_client::backoff::Backoff;
use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};
use rpc_wire::paths::PROTO_JSON;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use super::instances::{note, say_invalid};
use crate::failure::Failure;
use crate::output;
use crate::plan::AskRegistry;
use services::Services;

/// After this many polls an older registry is asked again for its event stream.
const POLLS_BEFORE_WATCH: u32 = 20;
/// After this much silence the registry is checked with a request.
const SILENCE: Duration = Duration::from_secs(10);

/// Prints events until interrupted, or the reader closes the pipe.
///
/// # Errors
/// The registry is unreachable at the start; later losses are retried without end.
pub async fn watch(ask: AskRegistry, beats: bool, interval: Duration) -> Result<(), Failure> {
    let registry = RegistryClient::new(&ask.url, ask.options)?;
    let (services, json) = (Services::new(ask.service), ask.json);
    let mut watcher = Watcher {
        registry,
        services,
        beats,
        json,
        interval,
        reached: false,
        told: false,
        invalid: 0,
        listed: None,
    };
    let backoff = Backoff::reconnect();
    let (mut failures, mut ever) = (0, false);
    loop {
        watcher.reached = false;
        let ended = match watcher.follow().await {
            Err(Ended::Registry(RegistryClientError::Unsupported { .. })) => watcher.poll().await,
            other => other,
        };
        ever |= watcher.reached;
        let error = match ended {
            Ok(()) => continue,
            Err(Ended::Output(failure)) => return Err(failure),
            Err(Ended::Registry(error)) => error,
        };
        if !ever {
            return Err(error.into());
        }
        failures = if watcher.reached { 1 } else { failures + 1 };
        let wait = backoff.delay(failures);
        // Once, not again with each retry.
        if failures == 1 {
            watcher.print("lost", error.to_string(), &json!({"reason": error.to_string()}))?;
        }
        watcher.listed = None;
        sleep(wait).await;
    }
}

struct Watcher {
    registry: RegistryClient,
    services: Services,
    /// Heartbeats too.
    beats: bool,
    json: bool,
    /// Between two polls of an older registry.
    interval: Duration,
    /// Whether the registry replied since the last loss.
    reached: bool,
    /// Whether it was said that no instance is of the service.
    told: bool,
    /// Entries that could not be read, as last said.
    invalid: usize,
    /// What an older registry listed last.
    listed: Option<BTreeMap<InstanceKey, Instance>>,
}

enum Ended {
    Registry(RegistryClientError),
    Output(Failure),
}

impl From<RegistryClientError> for Ended {
    fn from(error: RegistryClientError) -> Self {
        Self::Registry(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Output(failure)
    }
}

impl Watcher {
    async fn follow(&mut self) -> Result<(), Ended> {
        let service = self.services.only();
        let events = self.registry.watch_service(PROTO_JSON, service, self.beats, None);
        let mut events = events.await?;
        let at = self.registry.url().to_owned();
        let lost = |reason: &str| {
            let (url, reason) = (at.clone(), reason.to_owned());
            Ended::from(RegistryClientError::Unreachable { url, reason })
        };
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Ok(Some(event)) => event?.1,
                Ok(None) => return Err(lost("connection closed by the registry")),
                Err(_silent) => {
                    self.registry.instances(PROTO_JSON).await?;
                    if self.registry.url() != at {
                        return Err(lost("no reply"));
                    }
                    continue;
                }
            };
            self.reached = true;
            self.say_invalid(events.invalid());
            self.say_none(&event).await?;
            self.event(event)?;
        }
    }

    /// Says it if no instance is of the service, once: a name may be mistaken, or its instances start later.
    async fn say_none(&mut self, event: &WatchEvent) -> Result<(), RegistryClientError> {
        let (WatchEvent::Snapshot(records), Some(_)) = (event, self.services.only()) else {
            return Ok(());
        };
        if self.told || records.iter().any(|record| self.services.wants(&record.instance)) {
            return Ok(());
        }
        self.told = true;
        let all = self.registry.find_all(PROTO_JSON).await?;
        self.services.say_none(self.registry.url(), &all);
        Ok(())
    }

    /// Says how many entries cannot be read, when their number changes.
    fn say_invalid(&mut self, invalid: usize) {
        if std::mem::replace(&mut self.invalid, invalid) != invalid {
            say_invalid(self.registry.url(), invalid);
        }
    }

    fn event(&mut self, event: WatchEvent) -> Result<(), Failure> {
        let Some(event) = self.services.filter(event) else { return Ok(()) };
        let data = event.data().unwrap_or_default();
        let data: Value = serde_json::from_str(&data).unwrap_or_default();
        let (about, name) = shown(&event, &self.services);
        self.print(event.name(), about, &json!({name: data}))?;
        self.services.forget(&event);
        Ok(())
    }

    /// Polls an older registry and prints the differences; returns to try the event stream again.
    async fn poll(&mut self) -> Result<(), Ended> {
        for _ in 0..POLLS_BEFORE_WATCH {
            let list = self.registry.find_all(PROTO_JSON).await?;
            self.reached = true;
            self.say_invalid(self.registry.invalid());
            if !self.told {
                self.told = true;
                self.services.say_none(self.registry.url(), &list);
            }
            let now: BTreeMap<_, _> = list
                .into_iter()
                .filter(|it| self.services.wants(it))
                .map(|it| (it.key(), it))
                .collect();
            match self.listed.replace(now.clone()) {
                None => {
                    let all: Vec<_> = now.values().collect();
                    let counted = services::counted_of(now.values());
                    self.print("snapshot", counted, &json!({"instances": all}))?;
                }
                Some(before) => self.differences(&before, &now)?,
            }
            sleep(self.interval.max(Duration::from_millis(10))).await;
        }
        Ok(())
    }

    fn differences(
        &self,
        before: &BTreeMap<InstanceKey, Instance>,
        now: &BTreeMap<InstanceKey, Instance>,
    ) -> Result<(), Failure> {
        for (key, instance) in now {
            let name = match before.get(key) {
                None => "registered",
                Some(known) if known.parameters != instance.parameters => "updated",
                Some(_) => continue,
            };
            self.print(
                name,
                services::named(key, instance.service()),
                &json!({"instance": instance}),
            )?;
        }
        for (key, instance) in before.iter().filter(|(key, _)| !now.contains_key(key)) {
            // The list does not say why.
            self.print(
                "gone",
                services::named(key, instance.service()),
                &json!({"instance": instance}),
            )?;
        }
        Ok(())
    }

    fn print(&self, event: &str, about: String, data: &Value) -> Result<(), Failure> {
        let at = SystemTime::now();
        if !self.json {
            let time = humantime::format_rfc3339_seconds(at);
            return output::text(&format!("{time}  {event:<12}  {about}"));
        }
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let mut object = Map::new();
        object.insert("at_ms".to_owned(), json!(at_ms));
        object.insert("event".to_owned(), json!(event));
        object.extend(data.as_object().cloned().unwrap_or_default());
        output::json(&Value::Object(object).to_string())
    }
}

/// What an event is about, and the name of its data in JSON.
fn shown(event: &WatchEvent, services: &Services) -> (String, &'static str) {
    let about = |key: &InstanceKey| services::named(key, services.of(key));
    match event {
        WatchEvent::Snapshot(records) => (services::counted(records), "instances"),
        WatchEvent::Registered(record)
        | WatchEvent::Updated(record)
        | WatchEvent::Suspect(record) => {
            (with_note(about(&record.instance.key()), note(record)), "instance")
        }
        WatchEvent::Unregistered(key) => (about(key), "instance"),
        WatchEvent::Expired(key, why) => {
            (with_note(about(key), why.map(|why| why.to_string())), "instance")
        }
        WatchEvent::Beats(beats) => {
            let who: Vec<_> = beats.iter().map(|beat| beat.key.to_string()).collect();
            (who.join(" "), "beats")
        }
    }
}

/// `127.0.0.1:8089  orders  draining (deploy 7), by me@home`.
fn with_note(about: String, note: Option<String>) -> String {
    note.map_or(about.clone(), |note| format!("{about}  {note}"))
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::{ExpiryReason, InstanceRecord, InstanceState};

    use super::*;

    #[test]
    fn an_event_says_why_an_instance_expired_or_is_kept() {
        let instance = Instance::new("h", 1);
        let shown = |event: WatchEvent| shown(&event, &Services::new(None)).0;
        let expired = WatchEvent::Expired(instance.key(), Some(ExpiryReason::Refused));
        assert_eq!(shown(expired), "h:1  it refuses connections");
        assert_eq!(shown(WatchEvent::Expired(instance.key(), None)), "h:1");
        let held = InstanceRecord {
            instance,
            age_ms: Some(0),
            ttl_ms: 0,
            registered_ms_ago: 0,
            heartbeats: Some(0),
            state: InstanceState::Suspect,
            incarnation: None,
            held_ms: Some(41_000),
            overridden: None,
            durable: true,
            owner: None,
        };
        assert!(
            shown(WatchEvent::Suspect(held)).starts_with("h:1  kept for 41s although it is silent")
        );
    }
}
