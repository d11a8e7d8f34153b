//! What registrations, heartbeats and farewells do to the table.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{InstanceKey, OverrideState};
use rpc_wire::mutants::mutant;

use super::departures::HeldBack;
use super::digest::Digest;
use super::liveness::Liveness;
use super::pace::Pace;
use super::{Change, ChangeKind, Entry, Slot, Table};
use crate::error::Refusal;
use crate::registration::Registration;

/// A kind of change, and the entry that it replaced.
type Changed = (ChangeKind, Option<Arc<Entry>>);

/// What an instance is told that registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// The instance as JSON.
    pub(crate) reply: Bytes,
    /// The operator's override of it.
    pub(crate) overridden: Option<OverrideState>,
    /// The registration is durable when the store has that many changes; [`NEVER`](super::NEVER): it will not be.
    pub(crate) change: u64,
}

impl Table {
    /// Handles a heartbeat, if the body is that of a listed instance's last registration; returns
    /// the reply, and the change if it was a suspect, or its override is taken back.
    pub(crate) fn renew(&mut self, body: &[u8], now: Instant) -> Option<(Renewed, Option<Change>)> {
        let index = *self.by_body.get(&self.digests.of(body))?;
        self.renew_at(index, now)
    }

    /// Handles a heartbeat of that life of an instance, if it is listed; as [`renew`](Self::renew).
    pub(crate) fn renew_life(
        &mut self,
        key: &InstanceKey,
        incarnation: Option<u64>,
        now: Instant,
    ) -> Option<(Renewed, Option<Change>)> {
        let index = *self.by_key.get(key)?;
        if self.listed_incarnation(key) != incarnation {
            return None;
        }
        self.renew_at(index, now)
    }

    fn renew_at(&mut self, index: usize, now: Instant) -> Option<(Renewed, Option<Change>)> {
        let pause = self.pause(now);
        let before = self.claim_at(index, true, now);
        let slot = self.slots.get_mut(index)?.as_mut()?;
        slot.renew(now, pause, self.ttl);
        let overridden = slot.overridden.as_ref().filter(|_| !slot.is_restored);
        let overridden = overridden.map(|standing| standing.what.state);
        let slot = self.slots.get(index)?.as_ref()?;
        let (reply, change) = (slot.entry.reply.clone(), self.durable_with(slot));
        let renewed = Renewed { reply, overridden, change };
        let change = self.revive(index, now);
        // One change at a time: of a suspect the override ends with the heartbeat after.
        let change = change.or_else(|| self.end_restored(index, now));
        let change = match before {
            Some(before) => self.moved(index, before, change, now),
            None => change,
        };
        Some((renewed, change))
    }

    /// What is listed of whose last registration or heartbeat had this body.
    pub(crate) fn entry_of(&self, body: &[u8]) -> Option<&Arc<Entry>> {
        let index = *self.by_body.get(&self.digests.of(body))?;
        Some(&self.slots.get(index)?.as_ref()?.entry)
    }

    /// The listed instance whose last registration or heartbeat had this body.
    pub(crate) fn key_of(&self, body: &[u8]) -> Option<InstanceKey> {
        let slot = self.slots.get(*self.by_body.get(&self.digests.of(body))?)?.as_ref()?;
        Some(slot.entry.key.clone())
    }

    /// Lists the instance, or renews it; new parameters replace the old ones. Returns the change,
    /// unless it is only a heartbeat.
    ///
    /// # Errors
    /// - It is of an earlier life than what is listed at its address, or than what has left it lately:
    ///   nothing changes.
    /// - A limit of the number of instances or of their memory is reached. A new instance is not listed,
    ///   a known one keeps its old parameters; its request is a heartbeat all the same.
    pub(crate) fn register(
        &mut self,
        registration: Registration,
        body: &[u8],
        peer: IpAddr,
        now: Instant,
    ) -> Result<Option<Change>, Refusal> {
        self.refuse_earlier_life(&registration, now)?;
        let digest = self.digests.of(body);
        let known = self.by_key.get(&registration.key).copied();
        let before = known.and_then(|index| {
            let is_a_beat = self.reply_at(index) == Some(&registration.reply);
            self.claim_at(index, is_a_beat, now)
        });
        let (index, change) = match known {
            Some(index) => (index, self.renew_known(index, registration, peer, now)?),
            None => {
                let index = self.insert(registration, digest, peer, now)?;
                (index, Some((ChangeKind::Registered, None)))
            }
        };
        self.keep_digest(index, digest);
        let change = change.and_then(|(kind, replaced)| {
            let row = self.slots.get(index)?.as_ref()?.row();
            let change = self.changed(kind, row, replaced, now);
            self.slots.get_mut(index)?.as_mut()?.change = self.unsaved.changes();
            Some(change)
        });
        Ok(match before {
            Some(before) => self.moved(index, before, change, now),
            None => change,
        })
    }

    /// Removes the instance, unless another life of it is listed that is not earlier, and remembers that
    /// it left. Returns the change, if it was listed. Without an incarnation it removes whatever is listed.
    pub(crate) fn unregister(
        &mut self,
        key: &InstanceKey,
        incarnation: Option<u64>,
        now: Instant,
    ) -> Option<Change> {
        let was_listed = self.by_key.contains_key(key);
        let farewell = (Duration::ZERO, self.stamp(key, now));
        self.departures.note(key.clone(), incarnation, was_listed, farewell, now);
        self.note_departures();
        let index = *self.by_key.get(key)?;
        let listed = self.listed_incarnation(key);
        let any_life = incarnation.is_none() || mutant("late-farewell-removes");
        if !any_life && (listed.is_none() || listed > incarnation) {
            return None;
        }
        self.remove(index, ChangeKind::Unregistered, now)
    }

    /// Remembers that an unregistered instance accepted no connection.
    pub(crate) fn hold_back(&mut self, key: InstanceKey, now: Instant) -> HeldBack {
        let stamp = self.stamp(&key, now);
        let held = self.departures.hold_back(key, stamp, now);
        self.note_departures();
        held
    }

    /// Whether an unlisted instance without incarnation unregistered within
    /// [`RegistryOptions::rejoin_window`].
    pub(crate) fn unregistered_recently(&self, key: &InstanceKey, now: Instant) -> bool {
        !self.by_key.contains_key(key) && self.departures.contains(key, now)
    }

    /// Refuses an incarnation above `latest`, which is that of a start after any plausible one: it would
    /// keep every other server from this address. One more than what is known here is allowed, so that a
    /// server can follow one that had such an incarnation.
    ///
    /// # Errors
    /// It is above.
    pub(crate) fn refuse_implausible(
        &self,
        registration: &Registration,
        latest: u64,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(given) = registration.incarnation.filter(|given| *given > latest) else {
            return Ok(());
        };
        let key = &registration.key;
        let known = self.listed_incarnation(key).max(self.departures.incarnation(key, now));
        match known {
            Some(known) if given <= known.saturating_add(1) => Ok(()),
            _ => Err(Refusal::AheadOfClock(given)),
        }
    }

    /// A registration may have been on its way for long: a later life of the server may be listed, or
    /// its own may have ended.
    fn refuse_earlier_life(
        &self,
        registration: &Registration,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.refuse_earlier(&registration.key, registration.incarnation, now)
    }

    /// The same of that life of an instance.
    ///
    /// # Errors
    /// It is an earlier one.
    pub(crate) fn refuse_earlier(
        &self,
        key: &InstanceKey,
        incarnation: Option<u64>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(given) = &incarnation else { return Ok(()) };
        let later = self.listed_incarnation(key).filter(|listed| listed > given);
        let left = self.departures.incarnation(key, now).filter(|left| left >= given);
        match later.max(left) {
            None => Ok(()),
            Some(current) => Err(Refusal::EarlierLife { current, listed: later == Some(current) }),
        }
    }

    fn reply_at(&self, index: usize) -> Option<&Bytes> {
        Some(&self.slots.get(index)?.as_ref()?.entry.reply)
    }

    fn renew_known(
        &mut self,
        index: usize,
        registration: Registration,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Option<Changed>, Refusal> {
        let pause = self.pause(now);
        let stamp = self.stamp(&registration.key, now);
        let Some(Some(slot)) = self.slots.get_mut(index) else { return Ok(None) };
        slot.renew(now, pause, self.ttl);
        self.judge.set(slot, Liveness::Up);
        // The whole instance as JSON.
        if slot.entry.reply == registration.reply && slot.entry.identity == registration.identity {
            if std::mem::replace(&mut slot.suspect, false) {
                return Ok(Some((ChangeKind::Revived, None)));
            }
            return Ok(slot.end_restored().then_some((ChangeKind::Overridden, None)));
        }
        let Entry { peer: old_peer, registered, serial, .. } = *slot.entry;
        let is_another_life = slot.entry.incarnation != registration.incarnation;
        let (peer, registered) = match is_another_life {
            true => (peer, self.wall.moment(now)),
            false => (old_peer, registered),
        };
        let entry = Arc::new(Entry::new(registration, peer, registered, serial));
        let (old, new) = (slot.entry.bytes(), entry.bytes());
        let bytes = self.bytes - old + new;
        if new > old && bytes > self.max_bytes {
            return Err(Refusal::TableFull(self.max_bytes));
        }
        self.by_peer.replace(old_peer, peer)?;
        self.bytes = bytes;
        slot.suspect = false;
        slot.end_restored();
        if is_another_life {
            (slot.heartbeats, slot.pace) = (1, Pace::default());
        }
        slot.stamp = stamp;
        let replaced = std::mem::replace(&mut slot.entry, entry);
        let Entry { key, service, .. } = &*slot.entry;
        if *service != replaced.service {
            self.lists.remove(&key.protocol, replaced.service.as_deref(), serial);
            self.lists.insert(&key.protocol, service.as_deref(), serial, index);
        }
        Ok(Some((ChangeKind::Updated, Some(replaced))))
    }

    fn insert(
        &mut self,
        registration: Registration,
        body: Digest,
        peer: IpAddr,
        now: Instant,
    ) -> Result<usize, Refusal> {
        if self.len() >= self.max_instances {
            return Err(Refusal::Full(self.max_instances));
        }
        let serial = self.serial + 1;
        let entry = Entry::new(registration, peer, self.wall.moment(now), serial);
        if self.bytes + entry.bytes() > self.max_bytes {
            return Err(Refusal::TableFull(self.max_bytes));
        }
        self.by_peer.check(peer)?;
        let stamp = self.stamp(&entry.key, now);
        let index = self.place(entry, body, now);
        if let Some(Some(slot)) = self.slots.get_mut(index) {
            slot.stamp = stamp;
        }
        Ok(index)
    }

    pub(super) fn keep_digest(&mut self, index: usize, body: Digest) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let old = std::mem::replace(&mut slot.body, body);
        self.by_body.remove(&old);
        self.by_body.insert(body, index);
    }
}

impl Slot {
    fn renew(&mut self, now: Instant, pause: Duration, ttl: Duration) {
        self.pace.pause(pause, ttl);
        self.pace.beat(now.saturating_duration_since(self.last_heartbeat), ttl);
        self.last_heartbeat = now;
        self.deadline = now + ttl;
        self.heartbeats += 1;
    }

    /// Ends an override that is taken back, since its server is told now; whether there is one.
    pub(super) fn end_restored(&mut self) -> bool {
        let is_restored = std::mem::replace(&mut self.is_restored, false);
        if is_restored {
            self.overridden = None;
        }
        is_restored
    }
}
