//! Recently unregistered instances: an older server that was stopped keeps sending heartbeats.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;

/// Instances that unregistered within a window of time.
#[derive(Debug)]
pub(super) struct Departures {
    window: Duration,
    capacity: usize,
    recent: HashMap<InstanceKey, Record>,
    /// The keys by number, and so in order of time. Not `hashlink`: it would replace only this map.
    order: BTreeMap<u64, InstanceKey>,
    count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    /// When it unregistered, or last failed to accept a connection.
    at: Instant,
    number: u64,
    /// Whether a registration was held back since.
    held: bool,
}

impl Departures {
    /// Remembers at most `capacity` instances; the one that unregistered first is forgotten first.
    pub(super) fn new(window: Duration, capacity: usize) -> Self {
        Self { window, capacity, recent: HashMap::new(), order: BTreeMap::new(), count: 0 }
    }

    /// Remembers an instance that unregisters now.
    pub(super) fn note(&mut self, key: InstanceKey, now: Instant) {
        self.insert(key, false, now);
    }

    /// Restarts the window of an unverified rejoin; `true` for the first one.
    pub(super) fn hold_back(&mut self, key: InstanceKey, now: Instant) -> bool {
        let first = self.recent.get(&key).is_none_or(|entry| !entry.held);
        self.insert(key, true, now);
        first
    }

    /// Whether it unregistered within the window.
    pub(super) fn contains(&self, key: &InstanceKey, now: Instant) -> bool {
        self.recent.get(key).is_some_and(|entry| now.duration_since(entry.at) < self.window)
    }

    /// Forgets an instance that is listed again.
    pub(super) fn remove(&mut self, key: &InstanceKey) {
        if let Some(entry) = self.recent.remove(key) {
            self.order.remove(&entry.number);
        }
    }

    /// Drops instances over the capacity or older than the window.
    pub(super) fn forget_old(&mut self, now: Instant) {
        while let Some((_, key)) = self.order.first_key_value() {
            if self.recent.len() <= self.capacity && self.contains(key, now) {
                return;
            }
            let key = key.clone();
            self.remove(&key);
        }
    }

    fn insert(&mut self, key: InstanceKey, held: bool, now: Instant) {
        self.remove(&key);
        self.count += 1;
        self.order.insert(self.count, key.clone());
        self.recent.insert(key, Record { at: now, number: self.count, held });
        self.forget_old(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::Instance;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(port: u16) -> InstanceKey {
        Instance::new("h", port).key()
    }

    #[test]
    fn an_unregistration_is_remembered_for_the_window_since_the_last_one() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), start);
        departures.note(key(1), start + 30 * SECOND);
        assert!(departures.contains(&key(1), start + 89 * SECOND));
        assert!(!departures.contains(&key(1), start + 90 * SECOND));
        departures.forget_old(start + 60 * SECOND);
        assert!(departures.contains(&key(1), start + 60 * SECOND));
        departures.remove(&key(1));
        assert!(!departures.contains(&key(1), start + 60 * SECOND));
    }

    #[test]
    fn holding_back_restarts_the_window() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), start);
        assert!(departures.hold_back(key(1), start + 50 * SECOND));
        assert!(!departures.hold_back(key(1), start + 100 * SECOND));
        assert!(departures.contains(&key(1), start + 159 * SECOND));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 3);
        (1..=5).for_each(|port| departures.note(key(port), start));
        let known: Vec<_> =
            (1..=5).filter(|port| departures.contains(&key(*port), start)).collect();
        assert_eq!(known, [3, 4, 5]);
        (0..100).for_each(|_| departures.note(key(1), start));
        assert_eq!((departures.recent.len(), departures.order.len()), (3, 3));
        departures.forget_old(start + 60 * SECOND);
        assert!(departures.recent.is_empty() && departures.order.is_empty());
    }
}
