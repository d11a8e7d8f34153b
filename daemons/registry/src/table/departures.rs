//! Departures: instances that unregistered lately, so that what they sent before, or still send, does not
//! list them again.
//!
//! - With an incarnation: neither it nor a lower one registers again.
//! - Without: an older server that was stopped keeps sending heartbeats, and one that was restarted
//!   sends the same; it must accept a connection before it is listed again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use rpc_wire::instance::InstanceKey;

/// An instance that unregistered, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) key: InstanceKey,
    pub(crate) incarnation: Option<u64>,
    /// When it unregistered, or was last held back.
    pub(crate) at: SystemTime,
    /// The [stamp](super::Table::stamp) of that: not before, though the clock may have been set back.
    pub(crate) stamp: u64,
}

/// Instances that unregistered within a window of time.
#[derive(Debug)]
pub(super) struct Departures {
    window: Duration,
    capacity: usize,
    recent: HashMap<Who, Record>,
    /// Who left, in order of time; who was not listed apart, before the others. Not `hashlink`: it would
    /// replace only this map.
    order: BTreeMap<Place, Who>,
    count: u64,
    /// Who came, changed or was forgotten since the last [`take_touched`](Self::take_touched).
    touched: Vec<Who>,
}

/// An address with servers that have incarnations, or with those that have none: a departure of the
/// one kind says nothing of the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    key: InstanceKey,
    has_incarnation: bool,
}

/// A place in the order of being forgotten. What was never listed is remembered too, since its heartbeats
/// may be on their way, but is no reason to forget what was: anybody can send any number of such farewells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    was_listed: bool,
    number: u64,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    /// Remembered up to this time.
    until: Instant,
    place: Place,
    incarnation: Option<u64>,
    /// The [stamp](super::Table::stamp) of the farewell, or of what was held back.
    stamp: u64,
    /// Whether a registration was held back since.
    held: bool,
}

/// What holding back a registration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldBack {
    /// It is the first since the instance unregistered.
    pub(crate) first: bool,
    /// The window began anew: what is stored of the departure is out of date.
    pub(crate) restarted: bool,
}

impl Departures {
    /// Remembers at most `capacity` instances; the one that unregistered first is forgotten first, of
    /// those that were not listed before the others.
    pub(super) fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity,
            recent: HashMap::new(),
            order: BTreeMap::new(),
            count: 0,
            touched: Vec::new(),
        }
    }

    /// How long an instance is remembered.
    #[cfg(feature = "etcd")]
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    /// Remembers an instance that left `ago`, by a farewell of that stamp. A late farewell of a lower incarnation does not hide
    /// that of a higher one, and one of longer ago does not have a later one forgotten sooner.
    pub(super) fn note(
        &mut self,
        key: InstanceKey,
        incarnation: Option<u64>,
        was_listed: bool,
        (ago, stamp): (Duration, u64),
        now: Instant,
    ) {
        let who = Who { key, has_incarnation: incarnation.is_some() };
        // A second farewell finds it unlisted.
        let was_listed =
            was_listed || self.recent.get(&who).is_some_and(|record| record.place.was_listed);
        let known = self.current(&who, now);
        let highest = incarnation.max(known.and_then(|record| record.incarnation));
        let until = now + self.window.saturating_sub(ago);
        let until = known.map_or(until, |record| record.until.max(until));
        let stamp = known.map_or(stamp, |record| record.stamp.max(stamp));
        let place = self.next_place(was_listed);
        self.insert(who, Record { until, place, incarnation: highest, stamp, held: false }, now);
    }

    /// Remembers a departed instance without incarnation for longer, since it still sends heartbeats.
    pub(super) fn hold_back(&mut self, key: InstanceKey, stamp: u64, now: Instant) -> HeldBack {
        let who = Who { key, has_incarnation: false };
        let was_listed = self.recent.get(&who).is_some_and(|record| record.place.was_listed);
        let (until, place) = (now + self.window, self.next_place(was_listed));
        let new = Record { until, place, incarnation: None, stamp, held: true };
        let Some(record) = self.recent.get_mut(&who) else {
            self.insert(who, new, now);
            return HeldBack { first: true, restarted: true };
        };
        let first = !std::mem::replace(&mut record.held, true);
        // Not with each heartbeat: whoever stores departures would write as often.
        let restarted = record.until.saturating_duration_since(now) < self.window / 2;
        if restarted {
            self.insert(who, new, now);
        }
        HeldBack { first, restarted }
    }

    /// Whose departures changed: the address, and whether it is of servers with an incarnation.
    pub(super) fn take_touched(&mut self) -> impl Iterator<Item = (InstanceKey, bool)> + use<> {
        std::mem::take(&mut self.touched).into_iter().map(|who| (who.key, who.has_incarnation))
    }

    /// When who is remembered left, or was last held back, the stamp of that, and its incarnation.
    pub(super) fn get(
        &self,
        key: &InstanceKey,
        has_incarnation: bool,
    ) -> Option<(Instant, u64, Option<u64>)> {
        let record = self.recent.get(&Who { key: key.clone(), has_incarnation })?;
        Some((record.until.checked_sub(self.window)?, record.stamp, record.incarnation))
    }

    /// The last stamp at an address; 0 if nobody left it.
    pub(super) fn stamp(&self, key: &InstanceKey) -> u64 {
        let stamp = |has_incarnation| {
            let who = Who { key: key.clone(), has_incarnation };
            self.recent.get(&who).map_or(0, |record| record.stamp)
        };
        stamp(true).max(stamp(false))
    }

    /// Everybody who is remembered.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&InstanceKey, bool)> {
        self.recent.keys().map(|who| (&who.key, who.has_incarnation))
    }

    /// Whether it unregistered within the window, and has no incarnation.
    pub(super) fn contains(&self, key: &InstanceKey, now: Instant) -> bool {
        let who = Who { key: key.clone(), has_incarnation: false };
        self.current(&who, now).is_some()
    }

    /// The stamp of the farewell of a server without incarnation within the window.
    #[cfg(feature = "etcd")]
    pub(super) fn farewell(&self, key: &InstanceKey, now: Instant) -> Option<u64> {
        let who = Who { key: key.clone(), has_incarnation: false };
        self.current(&who, now).map(|record| record.stamp)
    }

    /// The highest incarnation at this address that unregistered within the window.
    pub(super) fn incarnation(&self, key: &InstanceKey, now: Instant) -> Option<u64> {
        let who = Who { key: key.clone(), has_incarnation: true };
        self.current(&who, now)?.incarnation
    }

    /// Forgets an instance without incarnation: it is listed again.
    pub(super) fn came_back(&mut self, key: &InstanceKey) {
        self.remove(&Who { key: key.clone(), has_incarnation: false });
    }

    /// Drops instances over the capacity or older than the window.
    pub(super) fn forget_old(&mut self, now: Instant) {
        for was_listed in [false, true] {
            let (first, last) = (0, u64::MAX);
            let group = Place { was_listed, number: first }..=Place { was_listed, number: last };
            while let Some((_, who)) = self.order.range(group.clone()).next()
                && self.current(who, now).is_none()
            {
                self.remove(&who.clone());
            }
        }
        while self.recent.len() > self.capacity
            && let Some((_, who)) = self.order.first_key_value()
        {
            self.remove(&who.clone());
        }
    }

    fn next_place(&mut self, was_listed: bool) -> Place {
        self.count += 1;
        Place { was_listed, number: self.count }
    }

    fn current(&self, who: &Who, now: Instant) -> Option<&Record> {
        self.recent.get(who).filter(|record| now < record.until)
    }

    fn insert(&mut self, who: Who, record: Record, now: Instant) {
        self.remove(&who);
        self.order.insert(record.place, who.clone());
        self.touched.push(who.clone());
        self.recent.insert(who, record);
        self.forget_old(now);
    }

    fn remove(&mut self, who: &Who) {
        if let Some(record) = self.recent.remove(who) {
            self.order.remove(&record.place);
            self.touched.push(who.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::instance::Instance;

    const SECOND: Duration = Duration::from_secs(1);
    /// Just now, at any time of the clock.
    const NOW: (Duration, u64) = (Duration::ZERO, 1);

    fn key(port: u16) -> InstanceKey {
        Instance::new("h", port).key()
    }

    #[test]
    fn a_departure_is_remembered_for_the_window_since_the_last_one() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), None, true, NOW, start);
        departures.note(key(1), None, true, NOW, start + 30 * SECOND);
        assert!(departures.contains(&key(1), start + 89 * SECOND));
        assert!(!departures.contains(&key(1), start + 90 * SECOND));
        departures.forget_old(start + 60 * SECOND);
        assert!(departures.contains(&key(1), start + 60 * SECOND));
        departures.came_back(&key(1));
        assert!(!departures.contains(&key(1), start + 60 * SECOND));
    }

    #[test]
    fn a_departure_of_before_a_restart_is_remembered_for_what_is_left_of_the_window() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), None, true, (50 * SECOND, 1), start);
        assert!(departures.contains(&key(1), start + 9 * SECOND));
        assert!(!departures.contains(&key(1), start + 10 * SECOND));
        departures.note(key(2), None, true, (70 * SECOND, 1), start);
        assert!(!departures.contains(&key(2), start));
    }

    #[test]
    fn a_departure_of_longer_ago_that_is_heard_of_late_shortens_nothing() {
        for ago in [50, 70] {
            let start = Instant::now();
            let mut departures = Departures::new(60 * SECOND, 10);
            departures.note(key(1), Some(7), true, NOW, start);
            departures.note(key(1), Some(5), true, (ago * SECOND, 1), start);
            assert_eq!(departures.incarnation(&key(1), start + 59 * SECOND), Some(7), "{ago}");
        }
    }

    #[test]
    fn the_highest_incarnation_is_remembered_apart_from_servers_without_one() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), Some(7), true, NOW, start);
        departures.note(key(1), Some(5), true, NOW, start);
        assert_eq!(departures.incarnation(&key(1), start), Some(7));
        assert!(!departures.contains(&key(1), start));
        departures.note(key(1), None, true, NOW, start + SECOND);
        departures.came_back(&key(1));
        assert_eq!(departures.incarnation(&key(1), start + 59 * SECOND), Some(7));
        assert_eq!(departures.incarnation(&key(1), start + 60 * SECOND), None);
        departures.note(key(1), Some(5), true, NOW, start + 60 * SECOND);
        assert_eq!(departures.incarnation(&key(1), start + 60 * SECOND), Some(5));
    }

    #[test]
    fn holding_back_restarts_the_window_once_half_of_it_is_over() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 10);
        departures.note(key(1), None, true, NOW, start);
        let mut hold_back = |seconds: u32| {
            let HeldBack { first, restarted } =
                departures.hold_back(key(1), 1, start + seconds * SECOND);
            (first, restarted)
        };
        assert_eq!(hold_back(5), (true, false));
        assert_eq!(hold_back(31), (false, true));
        assert_eq!(hold_back(36), (false, false));
        assert!(departures.contains(&key(1), start + 90 * SECOND));
        assert!(!departures.contains(&key(1), start + 91 * SECOND));
    }

    #[test]
    fn farewells_of_what_was_never_listed_push_out_nobody_who_was() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 3);
        let known = |departures: &Departures| -> Vec<u16> {
            (1..=9).filter(|port| departures.contains(&key(*port), start)).collect()
        };
        (1..=2).for_each(|port| departures.note(key(port), None, true, NOW, start));
        // Its second farewell.
        departures.note(key(1), None, false, NOW, start);
        (3..=9).for_each(|port| departures.note(key(port), None, false, NOW, start));
        assert_eq!(known(&departures), [1, 2, 9]);
        departures.note(key(3), None, true, NOW, start + SECOND);
        assert_eq!(known(&departures), [1, 2, 3]);
        departures.note(key(4), None, true, NOW, start + SECOND);
        assert_eq!(known(&departures), [1, 3, 4], "the second left first");
        departures.forget_old(start + 60 * SECOND);
        assert_eq!(departures.recent.len(), 2);
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let start = Instant::now();
        let mut departures = Departures::new(60 * SECOND, 3);
        (1..=5).for_each(|port| departures.note(key(port), None, true, NOW, start));
        let known: Vec<_> =
            (1..=5).filter(|port| departures.contains(&key(*port), start)).collect();
        assert_eq!(known, [3, 4, 5]);
        (0..100).for_each(|_| departures.note(key(1), Some(1), true, NOW, start));
        assert_eq!((departures.recent.len(), departures.order.len()), (3, 3));
        departures.forget_old(start + 60 * SECOND);
        assert!(departures.recent.is_empty() && departures.order.is_empty());
    }
}
