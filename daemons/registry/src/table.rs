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
mod moves;
mod overrides;
mod owner;
mod owners;
mod pace;
mod peers;
mod registering;
mod scope;
#[cfg(feature = "etcd")]
mod shared;
mod standing;
mod target;
mod unsaved;
mod wall;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;

use departures::Departures;
pub(crate) use departures::HeldBack;
use digest::{Digest, Digests};
pub(crate) use entry::{Change, ChangeKind, Entry, Row};
pub(crate) use kept::{Batch, Restored};
pub(crate) use lists::List;
use lists::Lists;
#[cfg(feature = "etcd")]
pub(crate) use liveness::Apart;
pub(crate) use liveness::{BrakeBegin, BrakeEnd, BrakeStatus, Due, Outcome, Probe, Tally, Ticket};
use liveness::{Judge, Liveness};
use moves::Moves;
pub(crate) use overrides::Overridden;
use overrides::Overrides;
pub(crate) use owner::Owner;
use owners::Owners;
use pace::Pace;
use peers::Peers;
pub(crate) use registering::Renewed;
pub(crate) use scope::{Scope, Sight};
#[cfg(feature = "etcd")]
pub(crate) use shared::{Pending, Shared, Unshared};
pub(crate) use standing::{Override, Standing};
pub(crate) use target::target;
use unsaved::Unsaved;
use wall::Wall;

use crate::RegistryOptions;
use crate::record::Kind;

/// So many changes no store will ever have.
pub(crate) const NEVER: u64 = u64::MAX;

/// The live instances, and those that unregistered recently.
#[derive(Debug)]
pub(crate) struct Table {
    ttl: Duration,
    check: Duration,
    max_instances: usize,
    max_bytes: usize,
    /// So often a minute an instance passes from one registry to another.
    max_moves: usize,
    /// Memory of all entries, approximately.
    bytes: usize,
    /// When deadlines are checked next; a later check means that this process was paused.
    next_check: Instant,
    /// The revision of the last change.
    revision: u64,
    /// That of the last one that gave an instance another owner.
    last_move: u64,
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
    owners: Owners,
    /// What others wrote and is not taken.
    #[cfg(feature = "etcd")]
    left_out: shared::LeftOut,
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
    /// When it said what is known of it: see [`Table::stamp`].
    stamp: u64,
    owner: Owner,
    moves: Moves,
}

impl Table {
    pub(crate) fn new(options: &RegistryOptions, now: Instant) -> Self {
        Self {
            ttl: options.ttl,
            check: options.check_interval,
            max_instances: options.max_instances,
            max_bytes: options.max_table_bytes,
            max_moves: options.max_moves_per_minute,
            bytes: 0,
            next_check: now + options.check_interval,
            revision: 0,
            last_move: 0,
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
            owners: Owners::default(),
            #[cfg(feature = "etcd")]
            left_out: shared::LeftOut::default(),
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
            let slot = self
                .slots
                .get(index)?
                .as_ref()
                .filter(|slot| scope.shows(&slot.entry, &slot.owner))?;
            slot.overridden.is_none().then(|| slot.entry.reply.clone())
        };
        let elements = self.lists.slots(scope).filter_map(reply).collect();
        let revision = self.lists.revision(scope);
        (if scope.is_local { revision.max(self.last_move) } else { revision }, elements)
    }

    /// Keeps a list for its readers, unless it changed since its elements were taken.
    pub(crate) fn keep(&mut self, scope: &Scope, list: &List) {
        self.lists.keep(scope, list);
    }

    /// The instances of a scope, in order of registration within a protocol.
    pub(crate) fn rows(&self, scope: &Scope) -> Vec<Row> {
        self.lists.slots(scope).filter_map(|index| self.row_at(scope, index)).collect()
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
        let row = |index: usize| self.row_at(scope, index);
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

    fn row_at(&self, scope: &Scope, index: usize) -> Option<Row> {
        let slot = self.slots.get(index)?.as_ref()?;
        let row = || Row { change: self.durable_with(slot), ..slot.row() };
        scope.shows(&slot.entry, &slot.owner).then(row)
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

    /// What is listed at an address.
    pub(crate) fn entry(&self, key: &InstanceKey) -> Option<&Arc<Entry>> {
        Some(&self.slots.get(*self.by_key.get(key)?)?.as_ref()?.entry)
    }

    /// One instance.
    pub(crate) fn row(&self, key: &InstanceKey) -> Option<Row> {
        Some(self.slots.get(*self.by_key.get(key)?)?.as_ref()?.row())
    }

    /// The instances whose last heartbeat was after `then`.
    pub(crate) fn with_heartbeat_since(&self, then: Instant) -> Vec<Row> {
        let is_new = |slot: &&Slot| slot.last_heartbeat > then && slot.owner.is_heard();
        self.slots.iter().flatten().filter(is_new).map(Slot::row).collect()
    }

    /// The instances whose heartbeats other registries take.
    pub(crate) fn foreign_rows(&self) -> Vec<Row> {
        self.slots.iter().flatten().filter(|slot| slot.is_elsewhere()).map(Slot::row).collect()
    }

    /// How many there are of these.
    pub(crate) fn foreign(&self) -> usize {
        self.slots.iter().flatten().filter(|slot| slot.is_elsewhere()).count()
    }

    /// Instances listed.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Those of them whose heartbeats this registry takes.
    fn len_here(&self) -> usize {
        self.len() - self.owners.elsewhere()
    }

    /// Addresses of which others wrote what is not taken: those that cannot be read, and those without room.
    pub(crate) fn left_out(&self) -> (usize, usize) {
        #[cfg(feature = "etcd")]
        return self.left_out.count();
        #[cfg(not(feature = "etcd"))]
        (0, 0)
    }

    /// Whether what is known of an address is not written, since others wrote what is not known here.
    pub(crate) fn is_left_out(&self, key: &InstanceKey) -> bool {
        #[cfg(feature = "etcd")]
        return self.left_out.has(key);
        #[cfg(not(feature = "etcd"))]
        {
            let _one_store = key;
            false
        }
    }

    /// With how many changes in the store an instance is durable as it is.
    fn durable_with(&self, slot: &Slot) -> u64 {
        if self.is_left_out(&slot.entry.key) { NEVER } else { slot.change }
    }

    /// Memory of all instances, in bytes, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The revision of the last change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The stamp of what is said of an address now: milliseconds since 1970, and more than that of all that is known
    /// of it. So of two registries that were told different things while they did not hear of each other, both
    /// know which was later, as well as their clocks agree; and of what one of them knew, also if they do not.
    fn stamp(&self, key: &InstanceKey, now: Instant) -> u64 {
        let slot = self.by_key.get(key).and_then(|index| self.slots.get(*index)?.as_ref());
        let known = slot.map_or(0, |slot| slot.stamp);
        let known = known.max(self.departures.stamp(key)).max(self.overrides.stamp(key));
        self.wall.moment(now).wall_ms.max(known.saturating_add(1))
    }

    /// The incarnation of the listed instance, if it has one.
    fn listed_incarnation(&self, key: &InstanceKey) -> Option<u64> {
        self.slots.get(*self.by_key.get(key)?)?.as_ref()?.entry.incarnation
    }

    /// Gives an instance that is not listed a slot.
    fn place(&mut self, entry: Entry, body: Digest, now: Instant) -> usize {
        let Entry { peer, serial, registered, .. } = entry;
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
            stamp: registered.wall_ms,
            owner: Owner::Here,
            moves: Moves::default(),
        });
        index
    }

    fn remove(&mut self, index: usize, kind: ChangeKind, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.judge.moved(slot.liveness, Liveness::Up);
        self.owners.remove(&slot.owner);
        self.free.push(index);
        self.by_body.remove(&slot.body);
        self.bytes -= slot.entry.bytes();
        let Entry { key, service, peer, serial, .. } = &*slot.entry;
        self.by_key.remove(key);
        self.overrides.left(key);
        self.by_peer.remove(*peer);
        self.lists.remove(&key.protocol, service.as_deref(), *serial);
        Some(self.changed(kind, slot.row(), None, now))
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
            return Change {
                revision: self.revision,
                kind,
                at: now,
                row,
                replaced,
                moved_from: None,
            };
        }
        for entry in replaced.iter().chain([&row.entry]) {
            let protocol = &entry.key.protocol;
            self.lists.changed(protocol, entry.service.as_deref(), self.revision);
        }
        // What an operator wants has a record of its own.
        if kind != ChangeKind::Overridden {
            self.unsaved.note(Kind::Instance, &row.entry.key);
        }
        Change { revision: self.revision, kind, at: now, row, replaced, moved_from: None }
    }
}

impl Slot {
    /// Whether another registry takes its heartbeats, and decides whether it lives.
    fn is_elsewhere(&self) -> bool {
        self.owner.is_elsewhere()
    }

    /// Whether its registry has ended and its heartbeats may go to one that is cut off from the others.
    fn is_adopted(&self) -> bool {
        self.owner == Owner::Adopted
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
            owner: self.owner.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
