//! Instances that pass from one of several registries to another.

use std::time::Instant;

use super::owner::Owner;
use super::pace::Pace;
use super::{Change, ChangeKind, Table};
use crate::record::Kind;

impl Table {
    /// A heartbeat came: the instance is this registry's from now on. Returns the other registry that it
    /// belonged to.
    pub(super) fn claim_at(&mut self, index: usize) -> Option<Owner> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        // Nearly every heartbeat.
        if slot.owner == Owner::Here {
            return None;
        }
        let before = self.owners.set(&mut slot.owner, Owner::Here);
        slot.pace = Pace::default();
        if !before.is_elsewhere() {
            return None;
        }
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
    use crate::table::{Pending, Scope, Shared};

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
}
