//! Which instance is of which service: an event of an instance that leaves does not say it.

use std::collections::BTreeMap;

use rpc_wire::instance::{Instance, InstanceKey, InstanceRecord, WatchEvent};

use crate::client::no_instance;
use crate::client::offers::{is_of, shown};

/// The services of the instances that are listed, as many as the registry allows.
#[derive(Debug, Default)]
pub(super) struct Services {
    /// Only this one is watched; `None`: all.
    only: Option<String>,
    known: BTreeMap<InstanceKey, String>,
}

impl Services {
    /// Watches that service, or all of them.
    pub(super) fn new(only: Option<String>) -> Self {
        Self { only, known: BTreeMap::new() }
    }

    /// The only one that is watched.
    pub(super) fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Says it if none of the instances is watched.
    pub(super) fn say_none(&self, url: &str, listed: &[Instance]) {
        no_instance::say(self.only(), url, listed);
    }

    /// Whether the instance is watched.
    pub(super) fn wants(&self, instance: &Instance) -> bool {
        is_of(instance, self.only.as_deref())
    }

    /// The service of an instance that is, or was, listed.
    pub(super) fn of(&self, key: &InstanceKey) -> Option<&str> {
        self.known.get(key).map(String::as_str)
    }

    /// What of the event is about the watched service; `None`: nothing. A registry that knows services has sent
    /// just that; what an older one sends of an instance that moves is translated.
    pub(super) fn filter(&mut self, event: WatchEvent) -> Option<WatchEvent> {
        match event {
            WatchEvent::Snapshot(mut records) => {
                self.known.clear();
                records.retain(|record| self.wants(&record.instance));
                records.iter().for_each(|record| self.note(&record.instance));
                Some(WatchEvent::Snapshot(records))
            }
            WatchEvent::Beats(mut beats) => {
                beats.retain(|beat| self.wants_key(&beat.key));
                (!beats.is_empty()).then_some(WatchEvent::Beats(beats))
            }
            WatchEvent::Registered(ref record)
            | WatchEvent::Updated(ref record)
            | WatchEvent::Suspect(ref record) => {
                let key = record.instance.key();
                let was_wanted = self.wants_key(&key);
                if !self.wants(&record.instance) {
                    // Noted still, so that its event says what it was of.
                    return was_wanted.then_some(WatchEvent::Unregistered(key));
                }
                self.note(&record.instance);
                match event {
                    WatchEvent::Updated(record) if !was_wanted => {
                        Some(WatchEvent::Registered(record))
                    }
                    event => Some(event),
                }
            }
            WatchEvent::Unregistered(ref key) | WatchEvent::Expired(ref key, _) => {
                self.wants_key(key).then_some(event)
            }
        }
    }

    /// Forgets an instance that has left.
    pub(super) fn forget(&mut self, event: &WatchEvent) {
        if let WatchEvent::Unregistered(key) | WatchEvent::Expired(key, _) = event {
            self.known.remove(key);
        }
    }

    fn wants_key(&self, key: &InstanceKey) -> bool {
        self.only.is_none() || self.of(key) == self.only.as_deref()
    }

    fn note(&mut self, instance: &Instance) {
        match instance.service() {
            Some(service) => drop(self.known.insert(instance.key(), service.to_owned())),
            None => drop(self.known.remove(&instance.key())),
        }
    }
}

/// `3 instances (1 billing, 2 orders)`; services only where there are several.
pub(super) fn counted(records: &[InstanceRecord]) -> String {
    counted_of(records.iter().map(|record| &record.instance))
}

/// The same of plain instances.
pub(super) fn counted_of<'a>(instances: impl Iterator<Item = &'a Instance>) -> String {
    let mut by_service: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    instances.for_each(|instance| *by_service.entry(instance.service()).or_default() += 1);
    let count: usize = by_service.values().sum();
    let instances = if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") };
    if by_service.len() < 2 {
        return instances;
    }
    let each = by_service.iter().map(|(service, count)| format!("{count} {}", shown(*service)));
    format!("{instances} ({})", each.collect::<Vec<_>>().join(", "))
}

/// `127.0.0.1:8089  orders`; an instance without a service has no more than its address.
pub(super) fn named(key: &InstanceKey, service: Option<&str>) -> String {
    match service {
        Some(service) => format!("{:<21}  {service}", key.to_string()),
        None => key.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::InstanceState;
    use serde_json::json;

    fn record(service: &str) -> InstanceRecord {
        let mut instance = Instance::new("h", 1);
        instance.parameters.insert("service".to_owned(), json!(service));
        InstanceRecord {
            instance,
            age_ms: Some(0),
            ttl_ms: 0,
            registered_ms_ago: 0,
            heartbeats: Some(0),
            state: InstanceState::Up,
            incarnation: None,
            held_ms: None,
            overridden: None,
            durable: true,
            owner: None,
        }
    }

    #[test]
    fn what_an_older_registry_says_of_one_that_moves_is_translated() {
        let mut services = Services::new(Some("orders".to_owned()));
        let key = record("orders").instance.key();
        services.filter(WatchEvent::Snapshot(vec![record("billing")]));
        let mut filtered = |event| {
            let event = services.filter(event)?;
            let of = services.of(&key).map(str::to_owned);
            services.forget(&event);
            Some((event.name(), of.unwrap_or_default()))
        };
        let orders = |name| Some((name, "orders".to_owned()));
        assert_eq!(filtered(WatchEvent::Updated(record("orders"))), orders("registered"));
        assert_eq!(filtered(WatchEvent::Updated(record("orders"))), orders("updated"));
        assert_eq!(filtered(WatchEvent::Updated(record("billing"))), orders("unregistered"));
        assert_eq!(filtered(WatchEvent::Updated(record("billing"))), None);
        assert_eq!(filtered(WatchEvent::Unregistered(key.clone())), None);
        // A newer one has sent what it is for the service.
        assert_eq!(filtered(WatchEvent::Registered(record("orders"))), orders("registered"));
        assert_eq!(filtered(WatchEvent::Unregistered(key.clone())), orders("unregistered"));
    }
}
