//! What several registries know together: what each of them writes of an address, and what it means to the
//! others.
//!
//! All that is known of an address (an instance, an override, departures) is one document, so that it changes as
//! a whole. An instance has one *owner*: the registry that takes its heartbeats and decides whether it lives.
//! Whoever gets a heartbeat of it becomes that; the others list it as long as it is there.
//!
//! Registries that do not hear of each other are told different things. Each part of a document has the *stamp* of
//! when it was said ([`Table::stamp`]): when they hear of each other again, what was said last holds, and
//! between equals what is there.

mod document;
mod merge;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;
use serde_json::value::RawValue;

use document::Document;
pub(crate) use document::{Pending, Shared};

use super::liveness::Ticket;
use super::owner::Owner;
use super::{Change, Slot, Table};
use crate::record::{Kind, RecordKey};

/// An address whose document is to be written; `None` deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unshared {
    pub(crate) key: InstanceKey,
    pub(crate) document: Option<Bytes>,
    pub(crate) pending: Pending,
}

/// Addresses of which others wrote what this registry does not take: it cannot read that, or has no room for it.
/// So it does not write over it, either.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    unreadable: HashSet<InstanceKey>,
    no_room: HashSet<InstanceKey>,
}

impl LeftOut {
    /// How many cannot be read, and for how many there is no room.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.unreadable.len(), self.no_room.len())
    }

    pub(super) fn has(&self, key: &InstanceKey) -> bool {
        self.unreadable.contains(key) || self.no_room.contains(key)
    }
}

impl Table {
    /// The other registries that own instances.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Arc<str>> {
        self.owners.names()
    }

    /// The instances of these owners, of which it is this registry's turn to take over some.
    pub(crate) fn orphans(
        &self,
        ended: &HashSet<Arc<str>>,
        is_ours: impl Fn(&InstanceKey) -> bool,
    ) -> Vec<InstanceKey> {
        if ended.is_empty() {
            return Vec::new();
        }
        let is_orphan = |slot: &&Slot| match &slot.owner {
            Owner::Elsewhere(owner) => ended.contains(owner) && is_ours(&slot.entry.key),
            Owner::Here | Owner::Adopted => false,
        };
        let orphans = self.slots.iter().flatten().filter(is_orphan);
        orphans.map(|slot| slot.entry.key.clone()).collect()
    }

    /// Takes over an instance whose owner has ended, with a full TTL; returns whom to probe.
    pub(crate) fn adopt(
        &mut self,
        key: &InstanceKey,
        now: Instant,
    ) -> Option<(Option<Ticket>, Change)> {
        let ttl = self.ttl;
        let index = *self.by_key.get(key)?;
        let slot = self.slots.get_mut(index)?.as_mut()?;
        if !slot.is_elsewhere() {
            return None;
        }
        let before = self.owners.set(&mut slot.owner, Owner::Adopted);
        slot.heartbeats += 1;
        slot.last_heartbeat = now;
        slot.deadline = now + ttl;
        self.unsaved.note(Kind::Instance, key);
        let moved = self.moved(index, before, None, now)?;
        Some((self.ticket(key), moved))
    }

    /// The addresses whose documents are to be written, and how many changes are written then; `written` are
    /// all that have one.
    pub(crate) fn take_unshared<'a>(
        &mut self,
        me: &str,
        written: impl Iterator<Item = &'a InstanceKey>,
    ) -> (Vec<Unshared>, u64) {
        let keys = self.unsaved.take().unwrap_or_else(|| self.everything(written));
        let mut pending: HashMap<InstanceKey, Pending> = HashMap::new();
        for RecordKey { kind, instance } in keys {
            if !self.left_out.has(&instance) {
                pending.entry(instance).or_default().note(kind);
            }
        }
        let unshared = |(key, pending): (InstanceKey, Pending)| {
            let document = self.document(&key, me);
            Unshared { key, document, pending }
        };
        let unshared = pending.into_iter().map(unshared).collect();
        (unshared, self.unsaved.changes())
    }

    /// Leaves the document of an address alone, which cannot be read; whether that is new.
    pub(crate) fn leave_alone(&mut self, key: InstanceKey) -> bool {
        self.left_out.no_room.remove(&key);
        self.left_out.unreadable.insert(key)
    }

    /// Addresses that there was no room for.
    pub(crate) fn no_room_for(&self) -> impl ExactSizeIterator<Item = &InstanceKey> {
        self.left_out.no_room.iter()
    }

    /// Whether there is room again for many of those.
    pub(crate) fn has_room(&self) -> bool {
        let is_below = |count: usize, most: usize| count < most - most / 16;
        is_below(self.len(), self.max_instances) && is_below(self.bytes, self.max_bytes)
    }

    /// What was taken could not be written.
    pub(crate) fn put_back(&mut self, unshared: &[Unshared]) {
        for Unshared { key, pending: Pending { instance, overridden, departure }, .. } in unshared {
            for (kind, is_pending) in [
                (Kind::Instance, instance),
                (Kind::Override, overridden),
                (Kind::Departure, departure),
            ] {
                if *is_pending {
                    self.unsaved.note(kind, key);
                }
            }
        }
    }

    /// Addresses of which this registry knows anything.
    pub(crate) fn known_keys(&self) -> Vec<InstanceKey> {
        let instances = self.by_key.keys().chain(self.overrides.keys());
        let LeftOut { unreadable, no_room } = &self.left_out;
        instances.chain(unreadable).chain(no_room).cloned().collect()
    }

    /// The records that this registry answers for; also of what was `written` and is not known here any more.
    fn everything<'a>(&self, written: impl Iterator<Item = &'a InstanceKey>) -> HashSet<RecordKey> {
        let is_here = |slot: &&Slot| !slot.is_elsewhere();
        let here = self.slots.iter().flatten().filter(is_here);
        let instances = here.map(|slot| (Kind::Instance, slot.entry.key.clone()));
        let overrides = self.overrides.keys().map(|key| (Kind::Override, key.clone()));
        let departures = self.departures.keys().map(|(key, _)| (Kind::Departure, key.clone()));
        let is_gone = |key: &&InstanceKey| !self.by_key.contains_key(*key);
        let gone = written.filter(is_gone).map(|key| (Kind::Instance, key.clone()));
        let all = instances.chain(overrides).chain(departures).chain(gone);
        all.map(|(kind, instance)| RecordKey { kind, instance }).collect()
    }

    /// All that is known of an address; `None` if that is nothing.
    fn document(&self, key: &InstanceKey, me: &str) -> Option<Bytes> {
        let part = |kind| {
            let kept = self.kept(&RecordKey { kind, instance: key.clone() })?;
            // It was written here.
            serde_json::from_slice::<Box<RawValue>>(&kept.to_json()).ok()
        };
        let instance = part(Kind::Instance);
        let (overridden, departure) = (part(Kind::Override), part(Kind::Departure));
        let classic_departure = part(Kind::ClassicDeparture);
        let parts = [&instance, &overridden, &departure, &classic_departure];
        if parts.iter().all(|part| part.is_none()) {
            return None;
        }
        let owner = instance.as_ref().and_then(|_| self.owner(key)).map(|owner| match owner {
            Owner::Here | Owner::Adopted => Cow::Borrowed(me),
            Owner::Elsewhere(owner) => Cow::Borrowed(&**owner),
        });
        let override_ms = Some(self.overrides.stamp(key)).filter(|stamp| *stamp > 0);
        let document = Document {
            owner,
            instance: instance.as_deref(),
            overridden: overridden.as_deref(),
            override_ms,
            departure: departure.as_deref(),
            classic_departure: classic_departure.as_deref(),
        };
        // Plain data and JSON serialise.
        Some(serde_json::to_vec(&document).unwrap_or_default().into())
    }

    fn owner(&self, key: &InstanceKey) -> Option<&Owner> {
        Some(&self.slots.get(*self.by_key.get(key)?)?.as_ref()?.owner)
    }
}

#[cfg(test)]
mod tests;
