//! What the store does not have yet. Only keys are noted; what they stand for is read when a batch is
//! taken, so that every batch is what the table is at one time.

use std::collections::HashSet;
use std::mem;

use rpc_wire::instance::InstanceKey;

use crate::record::{Kind, RecordKey};

/// The keys of records that changed since the last batch was taken.
#[derive(Debug)]
pub(super) struct Unsaved {
    /// The most keys; `None` where there is no store.
    capacity: Option<usize>,
    keys: HashSet<RecordKey>,
    /// More keys than there is room for, or unknown ones: the next batch has all records.
    is_everything: bool,
    /// Changes noted so far.
    changes: u64,
    /// What is noted of this address meanwhile need not be saved.
    paused: Option<InstanceKey>,
}

impl Unsaved {
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self { capacity, keys: HashSet::new(), is_everything: false, changes: 0, paused: None }
    }

    /// Notes that a record changed, came or left.
    pub(super) fn note(&mut self, kind: Kind, instance: &InstanceKey) {
        let Some(capacity) = self.capacity else { return };
        if self.paused.as_ref() == Some(instance) {
            return;
        }
        self.changes += 1;
        if self.is_everything {
            return;
        }
        self.keys.insert(RecordKey { kind, instance: instance.clone() });
        if self.keys.len() > capacity {
            self.note_everything();
        }
    }

    /// Notes that the store may have anything.
    pub(super) fn note_everything(&mut self) {
        self.is_everything = true;
        self.keys = HashSet::new();
    }

    /// Notes nothing of an address until [`resume`](Self::resume).
    #[cfg(feature = "etcd")]
    pub(super) fn pause(&mut self, instance: &InstanceKey) {
        self.paused = Some(instance.clone());
    }

    /// Notes all changes again.
    #[cfg(feature = "etcd")]
    pub(super) fn resume(&mut self) {
        self.paused = None;
    }

    /// Whether a record is to be saved.
    #[cfg(feature = "etcd")]
    pub(super) fn has(&self, kind: Kind, instance: &InstanceKey) -> bool {
        let key = RecordKey { kind, instance: instance.clone() };
        self.is_everything || self.keys.contains(&key)
    }

    /// A record need not be saved any more.
    #[cfg(feature = "etcd")]
    pub(super) fn forget(&mut self, kind: Kind, instance: &InstanceKey) {
        self.keys.remove(&RecordKey { kind, instance: instance.clone() });
    }

    /// Changes noted so far; 0 where there is no store.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes the keys; `None` instead of all of them.
    pub(super) fn take(&mut self) -> Option<HashSet<RecordKey>> {
        let is_everything = mem::take(&mut self.is_everything);
        let keys = mem::take(&mut self.keys);
        (!is_everything).then_some(keys)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.is_everything
    }
}
