//! What a registry takes of a document that another one wrote, and what it knows better.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rpc_wire::instance::InstanceKey;

use super::document::{Pending, Shared};
use crate::record::Kind;
use crate::table::departures::Departure;
use crate::table::entry::Entry;
use crate::table::kept::RestoredInstance;
use crate::table::liveness::Liveness;
use crate::table::owner::Owner;
use crate::table::pace::Pace;
use crate::table::standing::Standing;
use crate::table::{Change, ChangeKind, Table};

/// What happens to an instance, of which another registry wrote something.
enum Verdict {
    /// Nothing: both say the same.
    Leave,
    /// What is known here is written again.
    Rewrite,
    Insert(RestoredInstance),
    Replace(usize, RestoredInstance),
    Remove(usize, ChangeKind),
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

    /// Takes the instance of a document, or that it has none.
    fn take_instance(
        &mut self,
        mut shared: Shared,
        me: &str,
        pending: Pending,
        rewritten: &mut Pending,
        now: Instant,
    ) -> Option<Change> {
        let there = shared.instance.take();
        // Written by somebody who had not heard that it has left.
        rewritten.instance = there
            .as_ref()
            .is_some_and(|it| shared.has_left(it.registration.incarnation, it.changed_ms));
        let there = there.filter(|_| !rewritten.instance);
        match self.verdict(&shared, there, me, pending, now) {
            Verdict::Leave => None,
            Verdict::Rewrite => {
                rewritten.instance = true;
                None
            }
            Verdict::Insert(there) => self.insert_shared(there, owner_of(shared.owner, me), now),
            Verdict::Replace(index, there) => {
                self.replace_shared(index, there, owner_of(shared.owner, me), now)
            }
            Verdict::Remove(index, kind) => self.remove(index, kind, now),
        }
    }

    /// What holds of the instance: what is known here, or what the document says, which is `there`.
    fn verdict(
        &self,
        shared: &Shared,
        there: Option<RestoredInstance>,
        me: &str,
        pending: Pending,
        now: Instant,
    ) -> Verdict {
        let key = &shared.key;
        let slot = |index: usize| Some((index, self.slots.get(index)?.as_ref()?));
        let here = self.by_key.get(key).and_then(|index| slot(*index));
        match (here, there) {
            (None, None) => Verdict::Leave,
            (None, Some(there)) => match self.remembers_farewell(key, &there, now) {
                true => Verdict::Rewrite,
                false => Verdict::Insert(there),
            },
            (Some((index, slot)), None) => {
                if shared.has_left(slot.entry.incarnation, slot.stamp) {
                    return Verdict::Remove(index, ChangeKind::Unregistered);
                }
                // Nobody else removes who sends heartbeats here. Those of before a pause of this process do not
                // count: others may have had it since, and seen it go.
                let is_beating = now.saturating_duration_since(slot.last_heartbeat) < self.ttl;
                match slot.owner == Owner::Here && (is_beating || pending.instance) {
                    true => Verdict::Rewrite,
                    false => Verdict::Remove(index, ChangeKind::Expired(None)),
                }
            }
            (Some((index, slot)), Some(there)) => {
                let wrote_it = owner_of(shared.owner.clone(), me) == Owner::Here;
                if wrote_it && !slot.is_elsewhere() {
                    let has_changed = slot.entry.reply != there.registration.reply;
                    return match pending.instance || has_changed {
                        true => Verdict::Rewrite,
                        false => Verdict::Leave,
                    };
                }
                let (here, incarnation) = (slot.entry.incarnation, there.registration.incarnation);
                let is_earlier = incarnation < here && here.is_some();
                let is_later = incarnation > here && incarnation.is_some();
                let is_newest = pending.instance
                    && slot.owner == Owner::Here
                    && !is_later
                    && slot.stamp > there.changed_ms;
                match is_earlier || is_newest {
                    true => Verdict::Rewrite,
                    false => Verdict::Replace(index, there),
                }
            }
        }
    }

    /// Whether this registry knows that what registered elsewhere has left since.
    fn remembers_farewell(
        &self,
        key: &InstanceKey,
        there: &RestoredInstance,
        now: Instant,
    ) -> bool {
        match there.registration.incarnation {
            Some(incarnation) => self.departures.incarnation(key, now) >= Some(incarnation),
            None => self.departures.farewell(key, now) > Some(there.changed_ms),
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
}

/// The owner that a document names, as this registry sees it.
fn owner_of(named: Option<Arc<str>>, me: &str) -> Owner {
    match named {
        Some(named) if *named != *me => Owner::Elsewhere(named),
        _ => Owner::Here,
    }
}
