//! `watch`: prints the registry's events, one per line; polls an older registry.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rpc_client::ClientOptions;
use rpc_client::backoff::Backoff;
use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};
use rpc_wire::paths::PROTO_JSON;
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};

use super::output::{Failure, line};
use crate::options;
use rpc_console_core::text;

/// After this many polls the event stream is tried again: the registry may have been upgraded.
const POLLS_BEFORE_WATCH: u32 = 20;
/// After this long without an event, a request checks that the registry is still up.
const SILENCE: Duration = Duration::from_secs(10);

/// Prints events until interrupted, or the reader closes the pipe.
///
/// # Errors
/// The registry is unreachable at the start; a later loss is retried until it succeeds.
pub(super) async fn watch(
    args: &options::Watch,
    url: &str,
    options: &ClientOptions,
    shift_ms: i64,
) -> Result<(), Failure> {
    let registry = RegistryClient::new(url, options.registry())?;
    let interval = options.refresh_interval;
    let mut watcher = Watcher { registry, args, interval, shift_ms, reached: false, listed: None };
    let backoff = Backoff::reconnect();
    let (mut failures, mut connected_once) = (0, false);
    loop {
        watcher.reached = false;
        let ended = match watcher.stream().await {
            Err(Ended::Registry(RegistryClientError::Unsupported { .. })) => watcher.poll().await,
            other => other,
        };
        connected_once |= watcher.reached;
        let error = match ended {
            Ok(()) => continue,
            Err(Ended::Output(failure)) => return Err(failure),
            Err(Ended::Registry(error)) => error,
        };
        if !connected_once {
            return Err(error.into());
        }
        failures = if watcher.reached { 1 } else { failures + 1 };
        let wait = backoff.delay(failures, &mut rand::rng());
        watcher.print("lost", error.to_string(), &json!({"reason": error.to_string()}))?;
        watcher.listed = None;
        sleep(wait).await;
    }
}

struct Watcher<'a> {
    registry: RegistryClient,
    args: &'a options::Watch,
    /// Interval between polls of an older registry.
    interval: Duration,
    shift_ms: i64,
    /// Whether the registry replied since the last loss.
    reached: bool,
    /// The last list of an older registry.
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

impl Watcher<'_> {
    async fn stream(&mut self) -> Result<(), Ended> {
        let mut events = self.registry.watch(PROTO_JSON, self.args.beats, None).await?;
        loop {
            let event = match timeout(SILENCE, events.next()).await {
                Ok(Some(event)) => event?.1,
                Ok(None) => {
                    let url = self.registry.url().to_owned();
                    let reason = "connection closed by the registry".to_owned();
                    return Err(RegistryClientError::Unreachable { url, reason }.into());
                }
                Err(_silent) => {
                    self.registry.instances(PROTO_JSON).await?;
                    continue;
                }
            };
            self.reached = true;
            self.event(&event)?;
        }
    }

    fn event(&self, event: &WatchEvent) -> Result<(), Failure> {
        let data = event.data().unwrap_or_default();
        let data: Value = serde_json::from_str(&data).unwrap_or_default();
        let (subject, name) = match event {
            WatchEvent::Snapshot(records) => (count_of(records.len()), "instances"),
            WatchEvent::Registered(record)
            | WatchEvent::Updated(record)
            | WatchEvent::Suspect(record) => (record.instance.key().to_string(), "instance"),
            WatchEvent::Unregistered(key) | WatchEvent::Expired(key) => {
                (key.to_string(), "instance")
            }
            WatchEvent::Beats(beats) => {
                let keys: Vec<_> = beats.iter().map(|beat| beat.key.to_string()).collect();
                (keys.join(" "), "beats")
            }
        };
        self.print(event.name(), subject, &json!({name: data}))
    }

    /// Polls an older registry and prints the differences; returns to try the event stream again.
    async fn poll(&mut self) -> Result<(), Ended> {
        for _ in 0..POLLS_BEFORE_WATCH {
            let list = self.registry.find_all(PROTO_JSON).await?;
            self.reached = true;
            let now: BTreeMap<_, _> = list.into_iter().map(|it| (it.key(), it)).collect();
            match self.listed.replace(now.clone()) {
                None => {
                    let all: Vec<_> = now.values().collect();
                    self.print("snapshot", count_of(all.len()), &json!({"instances": all}))?;
                }
                Some(previous) => self.print_differences(&previous, &now)?,
            }
            sleep(self.interval.max(Duration::from_millis(10))).await;
        }
        Ok(())
    }

    fn print_differences(
        &self,
        previous: &BTreeMap<InstanceKey, Instance>,
        now: &BTreeMap<InstanceKey, Instance>,
    ) -> Result<(), Failure> {
        for (key, instance) in now {
            let name = match previous.get(key) {
                None => "registered",
                Some(known) if known.parameters != instance.parameters => "updated",
                Some(_) => continue,
            };
            self.print(name, key.to_string(), &json!({"instance": instance}))?;
        }
        for (key, instance) in previous.iter().filter(|(key, _)| !now.contains_key(key)) {
            // A list does not tell whether it unregistered or expired.
            self.print("gone", key.to_string(), &json!({"instance": instance}))?;
        }
        Ok(())
    }

    fn print(&self, event: &str, subject: String, data: &Value) -> Result<(), Failure> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        if !self.args.json {
            let time = text::hour_minute_second(at_ms.saturating_add_signed(self.shift_ms));
            return line(&format!("{time}  {event:<12}  {subject}"));
        }
        let mut object = Map::new();
        object.insert("at_ms".to_owned(), json!(at_ms));
        object.insert("event".to_owned(), json!(event));
        object.extend(data.as_object().cloned().unwrap_or_default());
        line(&Value::Object(object).to_string())
    }
}

fn count_of(count: usize) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}
