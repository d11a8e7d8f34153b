//! What a session knows of the cluster's keys, and in which revisions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;

/// What one session knows of the cluster's keys.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The last revision of each address: of what is there, and of what was deleted here a moment ago.
    pub(super) revisions: HashMap<InstanceKey, Version>,
    /// Their writes are under way: what is heard of them waits for the outcome.
    pub(super) in_flight: HashSet<InstanceKey>,
    pub(super) waiting: Vec<Heard>,
    /// The registries that live, by id.
    pub(super) live: BTreeMap<String, String>,
    /// When those that ended were missed first.
    pub(super) ended: HashMap<String, Instant>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Version {
    pub(super) revision: i64,
    pub(super) exists: bool,
}

/// What became of an address, in which revision.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) key: InstanceKey,
    pub(super) document: Option<Bytes>,
    pub(super) revision: i64,
}

impl Known {
    /// The revision that a write has to know; 0 if there is nothing.
    pub(super) fn revision_of(&self, key: &InstanceKey) -> i64 {
        self.revisions.get(key).filter(|known| known.exists).map_or(0, |known| known.revision)
    }

    /// Notes what was heard; whether it is new.
    pub(super) fn note_heard(&mut self, Heard { key, document, revision }: &Heard) -> bool {
        let is_new = self.revisions.get(key).is_none_or(|known| known.revision < *revision);
        if document.is_some() {
            if is_new {
                self.note(key, *revision, true);
            }
        } else if is_new || !self.revisions.get(key).is_some_and(|known| known.exists) {
            // Nothing of before is heard after that.
            self.revisions.remove(key);
        }
        is_new
    }

    pub(super) fn note(&mut self, key: &InstanceKey, revision: i64, exists: bool) {
        self.revisions.insert(key.clone(), Version { revision, exists });
    }
}
