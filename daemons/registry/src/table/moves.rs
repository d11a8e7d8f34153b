//! Instances that pass from one of several registries to another.
//!
//! Whoever gets a heartbeat takes the instance, which is a write to the store that all share. Where the heartbeats of
//! one instance go to several registries in turn (a balancer is between them), it would be a write each: after some
//! moves it stays where it is for a while. The others note its heartbeats only, and its owner, which may get none,
//! asks the instance itself.

use std::time::{Duration, Instant};

use super::owner::Owner;
use super::pace::Pace;
use super::{Change, ChangeKind, Table};
use crate::record::Kind;

/// How long moves count.
const WINDOW: Duration = Duration::from_secs(60);

/// The moves of one instance lately.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// The first of them.
    since: Option<Instant>,
    count: usize,
    /// They were too many: it stays until then.
    stays_until: Option<Instant>,
}

impl Moves {
    /// Another registry owns it from now on; it may pass on so often.
    pub(super) fn note(&mut self, most: usize, now: Instant) {
        let is_recent = |since: Instant| now.saturating_duration_since(since) < WINDOW;
        let since = match self.since.filter(|since| is_recent(*since)) {
            Some(since) => since,
            None => {
                *self = Self { since: Some(now), ..Self::default() };
                now
            }
        };
        self.count += 1;
        self.stays_until = (self.count >= most).then(|| since + WINDOW);
    }

    /// Whether a heartbeat elsewhere does not move it.
    fn is_settled(&self, now: Instant) -> bool {
        self.stays_until.is_some_and(|until| now < until)
    }

    /// Whether its heartbeats may go to registries that do not say so. After that time they take it with the next
    /// one, within its TTL.
    pub(super) fn may_be_heard_elsewhere(&self, ttl: Duration, now: Instant) -> bool {
        self.stays_until.is_some_and(|until| now < until + ttl)
    }
}

impl Table {
    /// A heartbeat came: the instance is this registry's from now on, unless it moves too often and this
    /// `is_a_beat` only. Returns the other registry that it belonged to.
    pub(super) fn claim_at(
        &mut self,
        index: usize,
        is_a_beat: bool,
        now: Instant,
    ) -> Option<Owner> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        // Nearly every heartbeat.
        if slot.owner == Owner::Here {
            return None;
        }
        if slot.is_elsewhere() && is_a_beat && slot.moves.is_settled(now) {
            return None;
        }
        let before = self.owners.set(&mut slot.owner, Owner::Here);
        slot.pace = Pace::default();
        if !before.is_elsewhere() {
            return None;
        }
        let key = slot.entry.key.clone();
        let stamp = self.stamp(&key, now);
        let slot = self.slots.get_mut(index)?.as_mut()?;
        slot.stamp = stamp;
        slot.moves.note(self.max_moves, now);
        self.unsaved.note(Kind::Instance, &slot.entry.key);
        slot.change = self.unsaved.changes();
        Some(before)
    }

    /// The change that an instance has another owner than `before`; `change` is what else it is.
    pub(super) fn moved(
        &mut self,
        index: usize,
        before: Owner,
        change: Option<Change>,
        now: Instant,
    ) -> Option<Change> {
        let moved_from = Some(before);
        let change = match change {
            Some(change) => Change { moved_from, ..change },
            None => {
                let row = self.slots.get(index)?.as_ref()?.row();
                self.revision += 1;
                let (revision, kind) = (self.revision, ChangeKind::Moved);
                Change { revision, kind, at: now, row, replaced: None, moved_from }
            }
        };
        self.last_move = change.revision;
        Some(change)
    }
}

#[cfg(test)]
#[cfg(feature = "etcd")]
mod tests {
    use std::time::{Duration, SystemTime};

    use rpc_wire::instance::{Instance, InstanceKey};

    use super::*;
    use crate::RegistryOptions;
    use crate::registration::Registration;
    use crate::table::{Due, Outcome, Pending, Scope, Shared};

    const BODY: &[u8] = br#"{"protocol":"json","host":"127.0.0.1","port":1}"#;
    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> InstanceKey {
        Instance::new("127.0.0.1", 1).key()
    }

    fn table(now: Instant) -> Table {
        let mut table = Table::new(&RegistryOptions::default(), now);
        table.save_changes(1000);
        table
    }

    fn beat(table: &mut Table, now: Instant) -> Option<Change> {
        if let Some((_, change)) = table.renew(BODY, now) {
            return change;
        }
        let registration = Registration::parse(BODY, &RegistryOptions::default()).unwrap();
        table.register(registration, BODY, [127, 0, 0, 1].into(), now).unwrap()
    }

    /// Takes what `owner` writes of the instance.
    fn hear(table: &mut Table, owner: &str, now: Instant) -> Vec<Change> {
        let mut other = self::table(now);
        beat(&mut other, now);
        let document = other.take_unshared(owner, std::iter::empty()).0.remove(0).document.unwrap();
        let shared = Shared::read(key(), &document).unwrap();
        table.take_shared(shared, "me", Pending::NOTHING, SystemTime::now(), now)
    }

    #[test]
    fn who_takes_the_heartbeats_is_told_and_an_age_only_if_it_is_known() {
        let now = Instant::now();
        let mut table = table(now);
        let (all, local) = (Scope::default(), Scope { is_local: true, ..Scope::default() });
        let kinds = |changes: Vec<Change>| {
            let kinds = |it: Change| (all.kind_of(&it), local.kind_of(&it));
            changes.into_iter().map(kinds).collect::<Vec<_>>()
        };
        let record = |table: &Table, now| {
            let row = table.row(&key()).unwrap();
            let record = row.record(10 * SECOND, now);
            (record.age_ms, record.heartbeats)
        };
        assert_eq!(kinds(hear(&mut table, "b", now)), [(Some(ChangeKind::Registered), None)]);
        assert_eq!(record(&table, now + SECOND), (None, None));
        assert!(table.with_heartbeat_since(now - SECOND).is_empty(), "none came here");
        assert_eq!((table.rows(&all).len(), table.rows(&local).len()), (1, 0));
        let (of_all, of_local) = (table.elements(&all), table.elements(&local));
        assert_eq!((of_all.1.len(), of_local.1.len()), (1, 0));

        let moved = beat(&mut table, now + SECOND);
        let came = (Some(ChangeKind::Moved), Some(ChangeKind::Registered));
        assert_eq!(kinds(moved.into_iter().collect()), [came]);
        assert_eq!(record(&table, now + 3 * SECOND).0, Some(2000));
        assert_eq!(table.elements(&all).0, of_all.0, "the list of all is what it was");
        assert!(table.elements(&local).0 > of_local.0 && table.elements(&local).1.len() == 1);
        assert!(beat(&mut table, now + 2 * SECOND).is_none());

        table.take_unshared("me", std::iter::empty());
        let left = (Some(ChangeKind::Moved), Some(ChangeKind::Unregistered));
        assert_eq!(kinds(hear(&mut table, "c", now + 3 * SECOND)), [left]);
        let elsewhere = (Some(ChangeKind::Moved), None);
        assert_eq!(kinds(hear(&mut table, "b", now + 4 * SECOND)), [elsewhere]);
        let (_, adopted) = table.adopt(&key(), now + 5 * SECOND).unwrap();
        assert_eq!(kinds(vec![adopted]), [came]);
        assert_eq!(record(&table, now + 6 * SECOND), (None, None), "no heartbeat came yet");
        assert!(beat(&mut table, now + 7 * SECOND).is_none());
        assert_eq!(record(&table, now + 7 * SECOND).0, Some(0));
    }

    /// What several registries know of one instance.
    struct Several {
        tables: Vec<Table>,
        written: usize,
        now: Instant,
    }

    impl Several {
        const BEAT: Duration = Duration::from_secs(5);

        fn new(options: &RegistryOptions) -> Self {
            let now = Instant::now();
            let table = |_| {
                let mut table = Table::new(options, now);
                table.save_changes(1000);
                table
            };
            Self { tables: (0..2).map(table).collect(), written: 0, now }
        }

        /// A heartbeat comes to one of them.
        fn beat(&mut self, at: usize) {
            beat(&mut self.tables[at], self.now);
            self.share();
        }

        /// Each hears what the other one writes.
        fn share(&mut self) {
            for (at, other) in [(0, 1), (1, 0)] {
                let me = at.to_string();
                for one in self.tables[at].take_unshared(&me, std::iter::empty()).0 {
                    self.written += 1;
                    let shared = match one.document {
                        Some(document) => Shared::read(one.key, &document).unwrap(),
                        None => Shared::nothing(one.key),
                    };
                    let (now, wall) = (self.now, SystemTime::now());
                    let pending = Pending::NOTHING;
                    self.tables[other].take_shared(shared, &other.to_string(), pending, wall, now);
                }
            }
        }

        /// Time passes; whoever is probed has this outcome.
        fn pass(&mut self, time: Duration, outcome: Outcome) {
            let until = self.now + time;
            while self.now < until {
                self.now += SECOND;
                for table in &mut self.tables {
                    if table.next_check() <= self.now {
                        let probes = table.check(self.now).probes;
                        for ticket in Due::in_order(probes) {
                            table.conclude(ticket, outcome, self.now);
                        }
                    }
                    table.settle(self.now, 100);
                }
                self.share();
            }
        }

        fn listed(&self) -> [bool; 2] {
            [0, 1].map(|at| self.tables[at].row(&key()).is_some())
        }
    }

    /// Whether it can be probed, and replies.
    const KINDS: [(bool, Outcome); 3] =
        [(true, Outcome::Alive), (true, Outcome::NoReply), (false, Outcome::Unknown)];

    #[test]
    fn heartbeats_that_go_to_several_registries_in_turn_are_not_a_write_each() {
        for (probes, outcome) in KINDS {
            let options = RegistryOptions { probes, ..RegistryOptions::default() };
            let mut several = Several::new(&options);
            // By chance more of them come to one for a while.
            for beats in 0..120 {
                several.beat(usize::from(beats % 7 > 4 || beats % 2 == 1));
                several.pass(Several::BEAT, outcome);
                assert_eq!(several.listed(), [true, true], "{outcome:?}, {beats}");
            }
            // The registration, and for ten minutes three moves each.
            assert!(several.written <= 1 + 3 * 10, "{outcome:?}: {} writes", several.written);
        }
    }

    #[test]
    fn one_that_has_moved_too_often_is_found_dead_all_the_same() {
        let refused = (true, Outcome::Refused);
        for (probes, outcome) in [refused].into_iter().chain(KINDS) {
            let options = RegistryOptions { probes, ..RegistryOptions::default() };
            let mut several = Several::new(&options);
            for beats in 0..6 {
                several.beat(beats % 2);
                several.pass(SECOND, Outcome::Alive);
            }
            // A TTL and two checks.
            several.pass(20 * SECOND, outcome);
            let is_listed = outcome != Outcome::Refused;
            assert_eq!(several.listed(), [is_listed; 2], "{outcome:?} after 20 s");
            // And the minute, a TTL, and the window of suspects.
            several.pass(160 * SECOND, outcome);
            assert_eq!(several.listed(), [false; 2], "{outcome:?}");
        }
    }

    #[test]
    fn what_changes_with_a_registration_moves_it_however_often_that_was() {
        let mut several = Several::new(&RegistryOptions::default());
        for beats in 0..8 {
            several.beat(beats % 2);
        }
        let changed: &[u8] =
            br#"{"protocol":"json","host":"127.0.0.1","port":1,"parameters":{"x":1}}"#;
        for at in [1, 0] {
            let (table, now) = (&mut several.tables[at], several.now);
            let body = if at == 1 { changed } else { BODY };
            let registration = Registration::parse(body, &RegistryOptions::default()).unwrap();
            table.register(registration, body, [127, 0, 0, 1].into(), now).unwrap();
            several.share();
            let replies: Vec<_> = several
                .tables
                .iter()
                .map(|it| it.row(&key()).unwrap().entry.reply.clone())
                .collect();
            assert_eq!(replies[0], replies[1]);
            assert_eq!(replies[0].windows(3).any(|it| it == b"\"x\""), at == 1);
        }
    }
}
