//! The live instances as data: instances, their deadlines, and prepared replies.
//!
//! No I/O and no clock: `now` is an argument, from one monotonic clock, and never goes back.
//! An instance is found by:
//!
//! - a keyed hash of the bytes of its last registration, for a heartbeat (no parsing),
//! - its key (protocol, host, port), for everything else,
//! - its protocol, for lists.

mod departures;
mod digest;
mod entry;
mod lists;
mod pace;
mod peers;

mod scope;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rpc_host::shares;
use rpc_wire::instance::InstanceKey;

use departures::Departures;
pub(crate) use departures::{Departure, HeldBack};
use digest::{Digest, Digests};
pub(crate) use entry::{Change, ChangeKind, Entry, Row};
pub(crate) use lists::List;
use lists::Lists;
use pace::Pace;
use peers::Peers;
pub(crate) use scope::Scope;

use crate::RegistryOptions;
use crate::error::Refusal;
use crate::registration::Registration;

/// The live instances, and those that unregistered recently.
#[derive(Debug)]
pub(crate) struct Table {
    ttl: Duration,
    check: Duration,
    max_instances: usize,
    max_bytes: usize,
    /// Memory of all entries, approximately.
    bytes: usize,
    /// When deadlines are checked next; a later check means that this process was paused.
    next_check: Instant,
    /// The revision of the last change.
    revision: u64,
    /// Instances ever registered.
    serial: u64,
    slots: Vec<Option<Slot>>,
    /// Free slots. Not `slab`: expiry walks the slots by index, which is plain with our own.
    free: Vec<usize>,
    by_body: HashMap<Digest, usize>,
    digests: Digests,
    by_key: HashMap<InstanceKey, usize>,
    by_peer: Peers,
    lists: Lists,
    departures: Departures,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    /// Of the body of the last registration: a heartbeat has the same bytes.
    body: Digest,
    deadline: Instant,
    last_heartbeat: Instant,
    heartbeats: u64,
    pace: Pace,
}

/// A kind of change, and the entry that it replaced.
type Changed = (ChangeKind, Option<Arc<Entry>>);

/// The result of an expiry check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Instances removed because their deadlines have passed.
    pub(crate) expired: Vec<Change>,
    /// Instances found for the first time to send heartbeats too seldom.
    pub(crate) slow: Vec<Row>,
    /// How late the check was: every deadline was extended by that.
    pub(crate) late: Duration,
}

impl Table {
    pub(crate) fn new(options: &RegistryOptions, now: Instant) -> Self {
        Self {
            ttl: options.ttl,
            check: options.check_interval,
            max_instances: options.max_instances,
            max_bytes: options.max_table_bytes,
            bytes: 0,
            next_check: now + options.check_interval,
            revision: 0,
            serial: 0,
            slots: Vec::new(),
            free: Vec::new(),
            by_body: HashMap::new(),
            digests: Digests::default(),
            by_key: HashMap::new(),
            by_peer: Peers::new(options.max_instances_per_peer),
            lists: Lists::default(),
            departures: Departures::new(options.rejoin_window, options.max_rejoins),
        }
    }

    /// Handles a heartbeat, if the body is that of a listed instance's last registration; returns
    /// the reply.
    pub(crate) fn renew(&mut self, body: &[u8], now: Instant) -> Option<Bytes> {
        let slot = *self.by_body.get(&self.digests.of(body))?;
        let slot = self.slots.get_mut(slot)?.as_mut()?;
        slot.renew(now, self.ttl);
        Some(slot.entry.reply.clone())
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
        let (index, change) = match known {
            Some(index) => (index, self.renew_known(index, registration, peer, now)?),
            None => {
                let index = self.insert(registration, digest, peer, now)?;
                (index, Some((ChangeKind::Registered, None)))
            }
        };
        self.keep_digest(index, digest);
        let Some(row) = self.slots[index].as_ref().map(Slot::row) else { return Ok(None) };
        Ok(change.map(|(kind, replaced)| self.changed(kind, row, replaced, now)))
    }

    /// Removes the instance, unless another life of it is listed that is not earlier, and remembers that
    /// it left. Returns the change, if it was listed. Without an incarnation it removes whatever is listed.
    pub(crate) fn unregister(
        &mut self,
        key: &InstanceKey,
        incarnation: Option<u64>,
        now: Instant,
    ) -> Option<Change> {
        self.departures.note(key.clone(), incarnation, Duration::ZERO, now);
        let index = *self.by_key.get(key)?;
        let listed = self.listed_incarnation(key);
        if incarnation.is_some() && (listed.is_none() || listed > incarnation) {
            return None;
        }
        self.remove(index, ChangeKind::Unregistered, now)
    }

    /// Remembers what left while an earlier process kept the list; `wall` is the time at `now`.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the store, which does not call it yet"))]
    pub(crate) fn restore_departure(
        &mut self,
        departure: Departure,
        wall: SystemTime,
        now: Instant,
    ) {
        let Departure { key, incarnation, at } = departure;
        // Of a later time if the clock was set back: then the whole window is left.
        let ago = wall.duration_since(at).unwrap_or_default();
        self.departures.note(key, incarnation, ago, now);
    }

    /// Remembers that an unregistered instance accepted no connection.
    pub(crate) fn hold_back(&mut self, key: InstanceKey, now: Instant) -> HeldBack {
        self.departures.hold_back(key, now)
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

    /// When the next [`expire`](Self::expire) is due.
    pub(crate) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Removes the instances whose deadlines have passed.
    ///
    /// A late check means that this process was paused, and heartbeats may be waiting unread: every
    /// deadline is extended by the delay, though never beyond a full TTL from now. It reads every
    /// slot: keeping them in order of deadline would make every heartbeat pay for one check in 5 s.
    pub(crate) fn expire(&mut self, now: Instant) -> Checked {
        let late = now.saturating_duration_since(self.next_check);
        self.next_check = now + self.check;
        let furthest = now + self.ttl;
        let mut over = Vec::new();
        let mut slow = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            slot.deadline = (slot.deadline + late).min(furthest);
            if slot.deadline <= now {
                over.push(index);
            } else if slot.pace.is_found_slow() {
                slow.push(slot.row());
            }
        }
        self.departures.forget_old(now);
        let remove = |index| self.remove(index, ChangeKind::Expired, now);
        Checked { expired: over.into_iter().filter_map(remove).collect(), slow, late }
    }

    /// The prepared list of a scope with a protocol, if it is current.
    pub(crate) fn prepared(&self, scope: &Scope) -> Option<List> {
        self.lists.prepared(scope)
    }

    /// The content of a scope's list: its revision, and its elements as JSON.
    pub(crate) fn elements(&self, scope: &Scope) -> (u64, Vec<Bytes>) {
        let reply = |index: usize| Some(self.slots.get(index)?.as_ref()?.entry.reply.clone());
        let elements = self.lists.slots(scope).filter_map(reply).collect();
        (self.lists.revision(scope), elements)
    }

    /// Keeps a list for its readers, unless it changed since its elements were taken.
    pub(crate) fn keep(&mut self, scope: &Scope, list: &List) {
        self.lists.keep(scope, list);
    }

    /// The instances of a scope, in order of registration within a protocol.
    pub(crate) fn rows(&self, scope: &Scope) -> Vec<Row> {
        let row = |index: usize| Some(self.slots.get(index)?.as_ref()?.row());
        self.lists.slots(scope).filter_map(row).collect()
    }

    /// The instances of a scope after one (its protocol and number), in the same order: those registered
    /// up to a number, as many as fit into about `bytes`, and one at least.
    pub(crate) fn rows_after(
        &self,
        scope: &Scope,
        after: Option<&(String, u64)>,
        until: u64,
        bytes: usize,
    ) -> Vec<Row> {
        let row = |index: usize| Some(self.slots.get(index)?.as_ref()?.row());
        let mut rows = Vec::new();
        let mut taken = 0;
        for row in self.lists.slots_after(scope, after, until).filter_map(row) {
            taken += row.entry.reply.len();
            rows.push(row);
            if taken > bytes {
                break;
            }
        }
        rows
    }

    /// The number of the last registration of a new instance.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Forgets the lists that are kept for their readers.
    pub(crate) fn forget_prepared(&mut self) {
        self.lists.forget_prepared();
    }

    /// One instance.
    pub(crate) fn row(&self, key: &InstanceKey) -> Option<Row> {
        Some(self.slots.get(*self.by_key.get(key)?)?.as_ref()?.row())
    }

    /// The instances whose last heartbeat was after `then`.
    pub(crate) fn with_heartbeat_since(&self, then: Instant) -> Vec<Row> {
        self.slots
            .iter()
            .flatten()
            .filter(|slot| slot.last_heartbeat > then)
            .map(Slot::row)
            .collect()
    }

    /// Instances listed.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Memory of all instances, in bytes, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The incarnation of the listed instance, if it has one.
    fn listed_incarnation(&self, key: &InstanceKey) -> Option<u64> {
        self.slots.get(*self.by_key.get(key)?)?.as_ref()?.entry.incarnation
    }

    /// A registration may have been on its way for long: a later life of the server may be listed, or
    /// its own may have ended.
    fn refuse_earlier_life(
        &self,
        registration: &Registration,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Registration { key, incarnation: Some(given), .. } = registration else {
            return Ok(());
        };
        let later = self.listed_incarnation(key).filter(|listed| listed > given);
        let left = self.departures.incarnation(key, now).filter(|left| left >= given);
        match later.max(left) {
            None => Ok(()),
            Some(current) => Err(Refusal::EarlierLife { current, listed: later == Some(current) }),
        }
    }

    fn renew_known(
        &mut self,
        index: usize,
        registration: Registration,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Option<Changed>, Refusal> {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return Ok(None) };
        slot.renew(now, self.ttl);
        // The whole instance as JSON.
        if slot.entry.reply == registration.reply {
            return Ok(None);
        }
        let Entry { peer: old_peer, registered, serial, .. } = *slot.entry;
        let is_another_life = slot.entry.incarnation != registration.incarnation;
        let (peer, registered) =
            if is_another_life { (shares::group(peer), now) } else { (old_peer, registered) };
        let entry = Arc::new(Entry::new(registration, peer, registered, serial));
        let (old, new) = (slot.entry.bytes(), entry.bytes());
        let bytes = self.bytes - old + new;
        if new > old && bytes > self.max_bytes {
            return Err(Refusal::TableFull(self.max_bytes));
        }
        if peer != old_peer {
            self.by_peer.add(peer)?;
            self.by_peer.remove(old_peer);
        }
        self.bytes = bytes;
        if is_another_life {
            (slot.heartbeats, slot.pace) = (1, Pace::default());
        }
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
        let peer = shares::group(peer);
        let serial = self.serial + 1;
        let entry = Entry::new(registration, peer, now, serial);
        let bytes = self.bytes + entry.bytes();
        if bytes > self.max_bytes {
            return Err(Refusal::TableFull(self.max_bytes));
        }
        self.by_peer.add(peer)?;
        self.bytes = bytes;
        self.serial = serial;
        let key = entry.key.clone();
        if entry.incarnation.is_none() {
            self.departures.came_back(&key);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.lists.insert(&key.protocol, entry.service.as_deref(), serial, index);
        self.by_key.insert(key, index);
        self.slots[index] = Some(Slot {
            entry: Arc::new(entry),
            body,
            deadline: now + self.ttl,
            last_heartbeat: now,
            heartbeats: 1,
            pace: Pace::default(),
        });
        Ok(index)
    }

    fn remove(&mut self, index: usize, kind: ChangeKind, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.free.push(index);
        self.by_body.remove(&slot.body);
        self.bytes -= slot.entry.bytes();
        let Entry { key, service, peer, serial, .. } = &*slot.entry;
        self.by_key.remove(key);
        self.by_peer.remove(*peer);
        self.lists.remove(&key.protocol, service.as_deref(), *serial);
        Some(self.changed(kind, slot.row(), None, now))
    }

    fn keep_digest(&mut self, index: usize, body: Digest) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let old = std::mem::replace(&mut slot.body, body);
        self.by_body.remove(&old);
        self.by_body.insert(body, index);
    }

    fn changed(
        &mut self,
        kind: ChangeKind,
        row: Row,
        replaced: Option<Arc<Entry>>,
        now: Instant,
    ) -> Change {
        self.revision += 1;
        for entry in replaced.iter().chain([&row.entry]) {
            let protocol = &entry.key.protocol;
            self.lists.changed(protocol, entry.service.as_deref(), self.revision);
        }
        Change { revision: self.revision, kind, at: now, row, replaced }
    }
}

impl Slot {
    fn renew(&mut self, now: Instant, ttl: Duration) {
        self.pace.beat(now.saturating_duration_since(self.last_heartbeat), ttl);
        self.last_heartbeat = now;
        self.deadline = now + ttl;
        self.heartbeats += 1;
    }

    fn row(&self) -> Row {
        Row {
            entry: Arc::clone(&self.entry),
            last_heartbeat: self.last_heartbeat,
            heartbeats: self.heartbeats,
        }
    }
}

#[cfg(test)]
mod tests;
