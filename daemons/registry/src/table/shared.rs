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

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::departures::Departure;
use super::entry::Entry;
use super::kept::{Restored, RestoredInstance};
use super::liveness::{Liveness, Ticket};
use super::owner::Owner;
use super::pace::Pace;
use super::standing::Standing;
use super::{Change, ChangeKind, Override, Slot, Table};
use crate::record::{Kind, Record, RecordKey};

/// The document of an address, as it is stored.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    owner: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    instance: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "override", skip_serializing_if = "Option::is_none")]
    overridden: Option<&'a RawValue>,
    /// The stamp of the override, or of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    override_ms: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    departure: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    classic_departure: Option<&'a RawValue>,
}

/// The document of an address that was understood.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) key: InstanceKey,
    owner: Option<Arc<str>>,
    instance: Option<RestoredInstance>,
    overridden: Option<Override>,
    override_ms: u64,
    departures: Vec<Departure>,
}

/// What of an address is to be written, or was when nobody knew yet whether it could be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    instance: bool,
    overridden: bool,
    departure: bool,
}

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

impl Shared {
    /// Reads the document of an address.
    ///
    /// # Errors
    /// Says what about it is not as a registry writes it.
    pub(crate) fn read(key: InstanceKey, value: &[u8]) -> Result<Self, String> {
        let document: Document<'_> =
            serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let mut shared = Self::nothing(key);
        shared.owner = document.owner.as_deref().map(Arc::from);
        shared.override_ms = document.override_ms.unwrap_or(0);
        for (kind, part) in [
            (Kind::Instance, document.instance),
            (Kind::Override, document.overridden),
            (Kind::Departure, document.departure),
            (Kind::ClassicDeparture, document.classic_departure),
        ] {
            let Some(part) = part else { continue };
            let value = Bytes::copy_from_slice(part.get().as_bytes());
            let key = RecordKey { kind, instance: shared.key.clone() };
            match Restored::read(&Record { key, value })? {
                Restored::Instance(instance) => shared.instance = Some(instance),
                Restored::Override(_, what) => shared.overridden = Some(what),
                Restored::Departure(departure) => shared.departures.push(departure),
            }
        }
        if shared.instance.is_some() && shared.owner.is_none() {
            return Err("its instance has no owner".to_owned());
        }
        Ok(shared)
    }

    /// That there is no document of an address.
    pub(crate) fn nothing(key: InstanceKey) -> Self {
        Self {
            key,
            owner: None,
            instance: None,
            overridden: None,
            override_ms: 0,
            departures: Vec::new(),
        }
    }

    /// What orders instances in a list: since when they are registered.
    pub(crate) fn order(&self) -> u64 {
        self.instance.as_ref().map_or(0, |instance| instance.registered_ms)
    }

    /// The incarnation of a server that has left.
    fn left(&self) -> Option<u64> {
        self.departures.iter().filter_map(|departure| departure.incarnation).max()
    }

    /// The stamp of the farewell of a server without incarnation; 0 if it says nothing of one.
    fn farewell(&self) -> u64 {
        let all = self.departures.iter().filter(|departure| departure.incarnation.is_none());
        all.map(|departure| departure.stamp).max().unwrap_or(0)
    }

    /// Whether it says that what said this, in that life, has left since.
    fn has_left(&self, incarnation: Option<u64>, stamp: u64) -> bool {
        match incarnation {
            Some(_) => self.left() >= incarnation,
            None => self.farewell() > stamp,
        }
    }
}

impl Pending {
    pub(crate) const NOTHING: Self = Self { instance: false, overridden: false, departure: false };

    fn note(&mut self, kind: Kind) {
        match kind {
            Kind::Instance => self.instance = true,
            Kind::Override => self.overridden = true,
            Kind::Departure | Kind::ClassicDeparture => self.departure = true,
        }
    }
}

impl Table {
    /// Takes what is written of an address, by another registry or by this one: `me`. What is `in_flight` was
    /// sent from here and did not come to be. What this registry knows better is to be written again.
    pub(crate) fn take_shared(
        &mut self,
        shared: Shared,
        me: &str,
        in_flight: Pending,
        wall: SystemTime,
        now: Instant,
    ) -> Vec<Change> {
        let key = shared.key.clone();
        let pending = self.pending(&key, in_flight);
        // What comes from there need not be written there.
        self.unsaved.pause(&key);
        self.left_out.unreadable.remove(&key);
        self.left_out.no_room.remove(&key);
        let mut rewritten = Pending::default();
        let mut changes = Vec::new();
        changes.extend(self.take_override(&shared, pending, &mut rewritten, wall, now));
        for departure in &shared.departures {
            self.take_departure(departure, wall, now);
        }
        // It has not come to be, and says more than what is there.
        rewritten.departure = pending.departure;
        let override_ms = shared.override_ms;
        changes.extend(self.take_instance(shared, me, pending, &mut rewritten, now));
        if !rewritten.overridden {
            let is_known = self.by_key.contains_key(&key) || self.overrides.get(&key).is_some();
            self.overrides.decided(&key, if is_known { override_ms } else { 0 });
        }
        self.note_departures();
        self.unsaved.resume();
        let Pending { instance, overridden, departure } = rewritten;
        for (kind, is_rewritten) in
            [(Kind::Instance, instance), (Kind::Override, overridden), (Kind::Departure, departure)]
        {
            match is_rewritten {
                true => self.unsaved.note(kind, &key),
                false => self.unsaved.forget(kind, &key),
            }
        }
        changes
    }

    fn pending(&self, key: &InstanceKey, in_flight: Pending) -> Pending {
        let mut pending = in_flight;
        for kind in [Kind::Instance, Kind::Override, Kind::Departure, Kind::ClassicDeparture] {
            if self.unsaved.has(kind, key) {
                pending.note(kind);
            }
        }
        pending
    }

    /// Remembers who left; for a while at least, so that somebody notices the end of it and deletes what is
    /// stored: one that is over by then, or by this clock, was perhaps noticed by nobody.
    fn take_departure(&mut self, departure: &Departure, wall: SystemTime, now: Instant) {
        let Departure { key, incarnation, at, stamp } = departure.clone();
        let ago = wall.duration_since(at).unwrap_or_default();
        let ago = ago.min(self.departures.window() / 2);
        self.departures.note(key, incarnation, true, (ago, stamp), now);
    }

    fn take_override(
        &mut self,
        shared: &Shared,
        pending: Pending,
        rewritten: &mut Pending,
        wall: SystemTime,
        now: Instant,
    ) -> Option<Change> {
        let Shared { key, override_ms, .. } = shared;
        let known = self.overrides.get(key);
        let is_later = pending.overridden && self.overrides.stamp(key) > *override_ms;
        let is_same = known.as_ref().map(|standing| &standing.what) == shared.overridden.as_ref();
        if is_later {
            rewritten.overridden = true;
            return None;
        }
        if is_same { None } else { self.replace_override(shared, wall, now) }
    }

    fn replace_override(
        &mut self,
        shared: &Shared,
        wall: SystemTime,
        now: Instant,
    ) -> Option<Change> {
        match shared.overridden.clone() {
            Some(what) => {
                let standing = Standing::new(what, now, wall);
                let Ok(set) = self.set_override(shared.key.clone(), standing, now) else {
                    self.left_out.no_room.insert(shared.key.clone());
                    return None;
                };
                set.change
            }
            None => self.clear_override(&shared.key, now).and_then(|cleared| cleared.change),
        }
    }

    fn take_instance(
        &mut self,
        mut shared: Shared,
        me: &str,
        pending: Pending,
        rewritten: &mut Pending,
        now: Instant,
    ) -> Option<Change> {
        let instance = shared.instance.take();
        let has_left =
            |it: &RestoredInstance| shared.has_left(it.registration.incarnation, it.changed_ms);
        // Written by somebody who had not heard that.
        rewritten.instance = instance.as_ref().is_some_and(has_left);
        let instance = instance.filter(|_| !rewritten.instance);
        let key = &shared.key;
        match (self.by_key.get(key).copied(), instance) {
            (None, None) => None,
            (None, Some(there)) => {
                let incarnation = there.registration.incarnation;
                let has_left =
                    incarnation.is_some() && self.departures.incarnation(key, now) >= incarnation;
                let said_farewell = incarnation.is_none()
                    && self.departures.farewell(key, now) > Some(there.changed_ms);
                if has_left || said_farewell {
                    rewritten.instance = true;
                    return None;
                }
                self.insert_shared(there, owner_of(shared.owner, me), now)
            }
            (Some(index), None) => {
                let slot = self.slots.get(index)?.as_ref()?;
                let has_left = shared.has_left(slot.entry.incarnation, slot.stamp);
                // Nobody else removes who sends heartbeats here. Those of before a pause of this process do not
                // count: others may have had it since, and seen it go.
                let is_beating = now.saturating_duration_since(slot.last_heartbeat) < self.ttl;
                let is_here = slot.owner == Owner::Here && (is_beating || pending.instance);
                if is_here && !has_left {
                    rewritten.instance = true;
                    return None;
                }
                let kind = match has_left {
                    true => ChangeKind::Unregistered,
                    false => ChangeKind::Expired(None),
                };
                self.remove(index, kind, now)
            }
            (Some(index), Some(there)) => {
                let slot = self.slots.get(index)?.as_ref()?;
                let owner = owner_of(shared.owner, me);
                if owner == Owner::Here && !slot.is_elsewhere() {
                    // This registry wrote it.
                    rewritten.instance =
                        pending.instance || slot.entry.reply != there.registration.reply;
                    return None;
                }
                let (here, incarnation) = (slot.entry.incarnation, there.registration.incarnation);
                let is_earlier = incarnation < here && here.is_some();
                let is_later = incarnation > here && incarnation.is_some();
                let is_newest = pending.instance
                    && slot.owner == Owner::Here
                    && !is_later
                    && slot.stamp > there.changed_ms;
                if is_earlier || is_newest {
                    rewritten.instance = true;
                    return None;
                }
                self.replace_shared(index, there, owner, now)
            }
        }
    }

    fn insert_shared(
        &mut self,
        there: RestoredInstance,
        owner: Owner,
        now: Instant,
    ) -> Option<Change> {
        let RestoredInstance { registration, peer, registered_ms, changed_ms, .. } = there;
        let body = self.digests.of(&registration.reply);
        let registered = self.wall.past(registered_ms, now);
        let entry = Entry::new(registration, peer, registered, self.serial + 1);
        if self.len() >= self.max_instances || self.bytes + entry.bytes() > self.max_bytes {
            self.left_out.no_room.insert(entry.key.clone());
            return None;
        }
        let index = self.place(entry, body, now);
        self.by_body.insert(body, index);
        let slot = self.slots.get_mut(index)?.as_mut()?;
        slot.stamp = changed_ms;
        self.owners.set(&mut slot.owner, owner);
        let row = slot.row();
        Some(self.changed(ChangeKind::Registered, row, None, now))
    }

    fn replace_shared(
        &mut self,
        index: usize,
        there: RestoredInstance,
        owner: Owner,
        now: Instant,
    ) -> Option<Change> {
        let RestoredInstance { registration, peer, registered_ms, changed_ms, .. } = there;
        let registered = self.wall.past(registered_ms, now);
        let ttl = self.ttl;
        let slot = self.slots.get_mut(index)?.as_mut()?;
        slot.stamp = changed_ms;
        self.judge.set(slot, Liveness::Up);
        let was_suspect = std::mem::replace(&mut slot.suspect, false);
        let before = self.owners.set(&mut slot.owner, owner);
        let before = Some(before).filter(|before| *before != slot.owner);
        if before.is_some() {
            slot.moves.note(self.max_moves, now);
        }
        slot.pace = Pace::default();
        // No outcome of an earlier probe counts.
        slot.heartbeats += 1;
        slot.last_heartbeat = now;
        slot.deadline = now + ttl;
        let is_same =
            slot.entry.reply == registration.reply && slot.entry.identity == registration.identity;
        if is_same {
            let row = slot.row();
            let revived = was_suspect.then(|| self.changed(ChangeKind::Revived, row, None, now));
            return match before {
                Some(before) => self.moved(index, before, revived, now),
                None => revived,
            };
        }
        let body = self.digests.of(&registration.reply);
        let serial = slot.entry.serial;
        let entry = Arc::new(Entry::new(registration, peer, registered, serial));
        self.bytes = (self.bytes + entry.bytes()).saturating_sub(slot.entry.bytes());
        let replaced = std::mem::replace(&mut slot.entry, entry);
        let row = slot.row();
        self.by_peer.remove(replaced.peer);
        self.by_peer.add(peer);
        let Entry { key, service, .. } = &*row.entry;
        if *service != replaced.service {
            self.lists.remove(&key.protocol, replaced.service.as_deref(), serial);
            self.lists.insert(&key.protocol, service.as_deref(), serial, index);
        }
        self.keep_digest(index, body);
        let updated = Some(self.changed(ChangeKind::Updated, row, Some(replaced), now));
        match before {
            Some(before) => self.moved(index, before, updated, now),
            None => updated,
        }
    }

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

/// The owner that a document names, as this registry sees it.
fn owner_of(named: Option<Arc<str>>, me: &str) -> Owner {
    match named {
        Some(named) if *named != *me => Owner::Elsewhere(named),
        _ => Owner::Here,
    }
}

#[cfg(test)]
mod tests;
