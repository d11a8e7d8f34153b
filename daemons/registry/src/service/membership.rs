//! The registries that share a cluster, as this one knows them, and what it says of them to its readers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rpc_wire::instance::{InstanceRecord, RegistryName};
use rpc_wire::report::{LeftOut, Sharing, SharingState};
use serde_json::value::RawValue;

use super::{Service, now};
use crate::table::{Owner, Row};

/// This registry among those that share a cluster.
#[derive(Debug)]
pub(crate) struct Membership {
    me: RegistryName,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The registries that lived when the cluster was last heard, by id, with their addresses.
    live: BTreeMap<String, String>,
    /// Since when nothing is heard of it.
    cut_off: Option<Instant>,
    condition: SharingState,
    /// Keys below the prefix that no registry wrote.
    foreign_keys: usize,
}

/// What a reader makes of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    /// It knows that an instance may have an owner elsewhere, and then no age.
    Owners,
    /// An earlier one needs an age: that of the last word of the owner's, which is told even while nothing
    /// else is.
    #[default]
    Ages,
}

impl Reader {
    /// How many kinds there are.
    pub(super) const KINDS: usize = 2;
}

impl Membership {
    pub(super) fn new(me: RegistryName) -> Self {
        let state = State {
            live: BTreeMap::new(),
            cut_off: Some(now()),
            condition: SharingState::Starting,
            foreign_keys: 0,
        };
        Self { me, state: Mutex::new(state) }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.me.id
    }

    /// These registries live.
    pub(super) fn knows(&self, live: &BTreeMap<String, String>) {
        self.lock().live.clone_from(live);
    }

    /// It reads, follows and writes what the others know, from now on.
    pub(super) fn is_connected(&self) {
        let mut state = self.lock();
        (state.cut_off, state.condition) = (None, SharingState::Connected);
    }

    /// So many keys below the prefix are another program's.
    pub(super) fn has_foreign_keys(&self, count: usize) {
        self.lock().foreign_keys = count;
    }

    /// The cluster cannot be reached, or does not work.
    pub(super) fn is_cut_off(&self, why: SharingState) {
        let mut state = self.lock();
        state.cut_off.get_or_insert_with(now);
        state.condition = why;
    }

    /// For how long nothing has been heard.
    pub(super) fn cut_off(&self, now: Instant) -> Option<Duration> {
        self.lock().cut_off.map(|since| now.saturating_duration_since(since))
    }

    /// Who an owner is.
    fn name_of(&self, owner: &Owner) -> RegistryName {
        match owner {
            Owner::Here | Owner::Adopted => self.me.clone(),
            Owner::Elsewhere(id) => {
                let address = self.lock().live.get(&**id).filter(|it| !it.is_empty()).cloned();
                RegistryName { id: id.to_string(), address }
            }
        }
    }

    /// The others, each address once: until its lease ends, one that was killed is known beside the one that was started
    /// in its place, which may be this one.
    fn peers(&self) -> Vec<RegistryName> {
        let state = self.lock();
        let others = state.live.iter().filter(|(id, _)| **id != self.me.id);
        let name = |(id, address): (&String, &String)| RegistryName {
            id: id.clone(),
            address: Some(address.clone()).filter(|it| !it.is_empty()),
        };
        let mut peers: Vec<_> = others.map(name).collect();
        peers.retain(|peer| peer.address.is_none() || peer.address != self.me.address);
        peers.sort_by(|a, b| (&a.address, &a.id).cmp(&(&b.address, &b.id)));
        peers.dedup_by(|a, b| a.address.is_some() && a.address == b.address);
        peers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// The registries that it shares what it knows with.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.membership.get()
    }

    /// The same for people.
    pub(crate) fn sharing(&self) -> Option<Sharing> {
        let membership = self.membership()?;
        let (all, foreign, (unreadable, no_room)) = {
            let table = &self.lock().table;
            (table.len(), table.foreign(), table.left_out())
        };
        let cut_off = membership.cut_off(now());
        let (state, foreign_keys) = {
            let state = membership.lock();
            (state.condition, state.foreign_keys)
        };
        let left_out = LeftOut {
            unreadable: unreadable as u64,
            no_room: no_room as u64,
            foreign: foreign_keys as u64,
        };
        Some(Sharing {
            registry: membership.me.clone(),
            peers: membership.peers(),
            owned: all.saturating_sub(foreign) as u64,
            foreign: foreign as u64,
            state,
            left_out: Some(left_out).filter(|it| *it != LeftOut::default()),
            cut_off_ms: cut_off.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// The record of an instance for a reader, with ages at `now`.
    pub(super) fn record<'row>(
        &self,
        row: &'row Row,
        reader: Reader,
        now: Instant,
    ) -> InstanceRecord<&'row RawValue> {
        let mut record = row.record(self.options.ttl, now);
        let Some(membership) = self.membership() else { return record };
        record.owner = Some(membership.name_of(&row.owner));
        if reader == Reader::Ages && record.age_ms.is_none() {
            let unheard = membership.cut_off(now).unwrap_or_default();
            record.age_ms = u64::try_from(unheard.as_millis()).ok();
            record.heartbeats = Some(0);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_was_started_anew_is_known_once_and_never_to_itself() {
        let name = |id: &str, at: &str| RegistryName {
            id: id.to_owned(),
            address: Some(at.to_owned()).filter(|at| !at.is_empty()),
        };
        let membership = Membership::new(name("me", "a:1"));
        let live =
            [("me", "a:1"), ("killed", "a:1"), ("other", "b:1"), ("its ghost", "b:1"), ("c", "")];
        let live = live.map(|(id, address)| (id.to_owned(), address.to_owned()));
        membership.knows(&live.into());
        assert_eq!(membership.peers(), [name("c", ""), name("its ghost", "b:1")]);
    }
}
