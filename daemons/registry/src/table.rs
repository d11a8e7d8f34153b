//! The live instances as data: instances, their deadlines, and prepared replies.
//!
//! No I/O and no clock: `now` is an argument, from one monotonic clock, and never goes back.
//! An instance is found by:
//!
//! - a keyed hash of the bytes of its last registration, for a heartbeat (no parsing),
//! - its key (protocol, host, port), for everything else,
//! - its protocol, for lists.

mod brake;
mod departures;
mod digest;
mod entry;
mod kept;
mod lists;
mod liveness;
mod overrides;
mod pace;
mod peers;
mod scope;
mod standing;
mod target;
mod unsaved;
mod wall;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rpc_wire::instance::{InstanceKey, OverrideState};

use departures::Departures;
pub(crate) use departures::HeldBack;
use digest::{Digest, Digests};
pub(crate) use entry::{Change, ChangeKind, Entry, Row};
pub(crate) use kept::{Batch, Restored};
pub(crate) use lists::List;
use lists::Lists;
pub(crate) use liveness::{BrakeBegin, BrakeEnd, BrakeStatus, Due, Outcome, Probe, Tally, Ticket};
use liveness::{Judge, Liveness};
pub(crate) use overrides::Overridden;
use overrides::Overrides;
use pace::Pace;
use peers::Peers;
pub(crate) use scope::Scope;
pub(crate) use standing::{Override, Standing};
pub(crate) use target::target;
use unsaved::Unsaved;
use wall::Wall;

use crate::RegistryOptions;
use crate::error::Refusal;
use crate::record::Kind;
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
    overrides: Overrides,
    judge: Judge,
    wall: Wall,
    unsaved: Unsaved,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    /// Of the body of the last registration: a heartbeat has the same bytes.
    body: Digest,
    /// When its TTL ends; of one that is kept beyond that, when it is probed next.
    deadline: Instant,
    liveness: Liveness,
    /// Watchers know it as a suspect.
    suspect: bool,
    last_heartbeat: Instant,
    heartbeats: u64,
    pace: Pace,
    /// When the last round of probes began because the connection of its heartbeats had ended.
    lost: Option<Instant>,
    /// The operator's override of it, which outlives it.
    overridden: Option<Arc<Standing>>,
    /// The override is taken back, but its server is only told with its next heartbeat, and refuses calls
    /// until then.
    is_restored: bool,
    /// The number of its last change that is to be saved.
    change: u64,
}

/// A kind of change, and the entry that it replaced.
type Changed = (ChangeKind, Option<Arc<Entry>>);

/// What an instance is told that registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renewed {
    /// The instance as JSON.
    pub(crate) reply: Bytes,
    /// The operator's override of it.
    pub(crate) overridden: Option<OverrideState>,
    /// The registration is durable when the store has that many changes.
    pub(crate) change: u64,
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
            overrides: Overrides::new(options.max_overrides),
            judge: Judge::new(options),
            wall: Wall::new(SystemTime::UNIX_EPOCH, now),
            unsaved: Unsaved::new(None),
        }
    }

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
        let slot = self.slots.get_mut(index)?.as_mut()?;
        slot.renew(now, pause, self.ttl);
        let overridden = slot.overridden.as_ref().filter(|_| !slot.is_restored);
        let overridden = overridden.map(|standing| standing.what.state);
        let Slot { ref entry, change, .. } = *slot;
        let renewed = Renewed { reply: entry.reply.clone(), overridden, change };
        let change = self.revive(index, now);
        // One change at a time: of a suspect the override ends with the heartbeat after.
        Some((renewed, change.or_else(|| self.end_restored(index, now))))
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
        let (index, change) = match known {
            Some(index) => (index, self.renew_known(index, registration, peer, now)?),
            None => {
                let index = self.insert(registration, digest, peer, now)?;
                (index, Some((ChangeKind::Registered, None)))
            }
        };
        self.keep_digest(index, digest);
        let Some((kind, replaced)) = change else { return Ok(None) };
        let Some(row) = self.slots[index].as_ref().map(Slot::row) else { return Ok(None) };
        let change = self.changed(kind, row, replaced, now);
        if let Some(slot) = &mut self.slots[index] {
            slot.change = self.unsaved.changes();
        }
        Ok(Some(change))
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
        self.departures.note(key.clone(), incarnation, was_listed, Duration::ZERO, now);
        self.note_departures();
        let index = *self.by_key.get(key)?;
        let listed = self.listed_incarnation(key);
        if incarnation.is_some() && (listed.is_none() || listed > incarnation) {
            return None;
        }
        self.remove(index, ChangeKind::Unregistered, now)
    }

    /// Remembers that an unregistered instance accepted no connection.
    pub(crate) fn hold_back(&mut self, key: InstanceKey, now: Instant) -> HeldBack {
        let held = self.departures.hold_back(key, now);
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

    /// The prepared list of a scope with a protocol, if it is current.
    pub(crate) fn prepared(&self, scope: &Scope) -> Option<List> {
        self.lists.prepared(scope)
    }

    /// The content of a scope's list: its revision, and its elements as JSON. Instances that an operator
    /// took out of use are not in it.
    pub(crate) fn elements(&self, scope: &Scope) -> (u64, Vec<Bytes>) {
        let reply = |index: usize| {
            let slot = self.slots.get(index)?.as_ref()?;
            slot.overridden.is_none().then(|| slot.entry.reply.clone())
        };
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

    /// The number of the last change of an instance that is to be saved; 0 if it is not listed.
    pub(crate) fn change_of(&self, key: &InstanceKey) -> u64 {
        let slot = self.by_key.get(key).and_then(|index| self.slots.get(*index)?.as_ref());
        slot.map_or(0, |slot| slot.change)
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
        let pause = self.pause(now);
        let Some(Some(slot)) = self.slots.get_mut(index) else { return Ok(None) };
        slot.renew(now, pause, self.ttl);
        self.judge.set(slot, Liveness::Up);
        // The whole instance as JSON.
        if slot.entry.reply == registration.reply {
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
        Ok(self.place(entry, body, now))
    }

    /// Gives an instance that is not listed a slot.
    fn place(&mut self, entry: Entry, body: Digest, now: Instant) -> usize {
        let Entry { peer, serial, .. } = entry;
        self.by_peer.add(peer);
        self.bytes += entry.bytes();
        self.serial = serial;
        let key = entry.key.clone();
        let overridden = self.overrides.get(&key);
        if entry.incarnation.is_none() {
            self.departures.came_back(&key);
            self.note_departures();
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
            liveness: Liveness::Up,
            suspect: false,
            last_heartbeat: now,
            heartbeats: 1,
            pace: Pace::default(),
            lost: None,
            overridden,
            is_restored: false,
            change: 0,
        });
        index
    }

    fn remove(&mut self, index: usize, kind: ChangeKind, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.judge.moved(slot.liveness, Liveness::Up);
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
        // Neither is in a list: those who keep one need not read it again.
        if matches!(kind, ChangeKind::Suspect | ChangeKind::Revived) {
            return Change { revision: self.revision, kind, at: now, row, replaced };
        }
        for entry in replaced.iter().chain([&row.entry]) {
            let protocol = &entry.key.protocol;
            self.lists.changed(protocol, entry.service.as_deref(), self.revision);
        }
        // What an operator wants has a record of its own.
        if kind != ChangeKind::Overridden {
            self.unsaved.note(Kind::Instance, &row.entry.key);
        }
        Change { revision: self.revision, kind, at: now, row, replaced }
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
    fn end_restored(&mut self) -> bool {
        let is_restored = std::mem::replace(&mut self.is_restored, false);
        if is_restored {
            self.overridden = None;
        }
        is_restored
    }

    fn row(&self) -> Row {
        Row {
            entry: Arc::clone(&self.entry),
            last_heartbeat: self.last_heartbeat,
            heartbeats: self.heartbeats,
            overridden: self.overridden.clone(),
            suspect: self.suspect,
            held_until: match self.liveness {
                Liveness::Held(until) => Some(until),
                _ => None,
            },
            change: self.change,
        }
    }
}

#[cfg(test)]
mod tests;
