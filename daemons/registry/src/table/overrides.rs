//! The operators' overrides: which instances take no new calls, listed or not, and until when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rpc_wire::instance::{InstanceKey, OverrideEntry, OverrideState};

use super::standing::Standing;
use super::{Change, ChangeKind, Table};
use crate::error::Refusal;
use crate::record::Kind;

/// The overrides that stand, bounded in number.
#[derive(Debug)]
pub(super) struct Overrides {
    capacity: usize,
    by_key: HashMap<InstanceKey, Arc<Standing>>,
    /// The stamps of the last decisions, to set one or to take it back: of those that stand, and of instances that
    /// are listed.
    decided: HashMap<InstanceKey, u64>,
}

impl Overrides {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_key: HashMap::new(), decided: HashMap::new() }
    }

    pub(super) fn get(&self, key: &InstanceKey) -> Option<Arc<Standing>> {
        self.by_key.get(key).cloned()
    }

    /// The stamp of the last decision about an instance; 0 if none is known.
    pub(super) fn stamp(&self, key: &InstanceKey) -> u64 {
        self.decided.get(key).copied().unwrap_or(0)
    }

    /// Notes when what stands, or stands no more, was decided.
    pub(super) fn decided(&mut self, key: &InstanceKey, stamp: u64) {
        match stamp {
            0 => _ = self.decided.remove(key),
            stamp => _ = self.decided.insert(key.clone(), stamp),
        }
    }

    /// An instance is not listed any more.
    pub(super) fn left(&mut self, key: &InstanceKey) {
        if !self.by_key.contains_key(key) {
            self.decided.remove(key);
        }
    }

    /// The instances that have one.
    pub(super) fn keys(&self) -> impl Iterator<Item = &InstanceKey> {
        self.by_key.keys()
    }
}

/// An override that was set, or taken back.
#[derive(Debug)]
pub(crate) struct Overridden {
    pub(crate) key: InstanceKey,
    /// What stands now, or stood until now.
    pub(crate) standing: Arc<Standing>,
    /// What it changed, if the instance is listed: nothing yet while its server has to be told.
    pub(crate) change: Option<Change>,
}

impl Table {
    /// Sets an override, in the place of the one that stands.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) fn set_override(
        &mut self,
        key: InstanceKey,
        standing: Standing,
        now: Instant,
    ) -> Result<Overridden, Refusal> {
        let stamp = self.stamp(&key, now);
        let Overrides { capacity, by_key, .. } = &mut self.overrides;
        if by_key.len() >= *capacity && !by_key.contains_key(&key) {
            return Err(Refusal::OverridesFull(*capacity));
        }
        self.overrides.decided(&key, stamp);
        let by_key = &mut self.overrides.by_key;
        let standing = Arc::new(standing);
        by_key.insert(key.clone(), Arc::clone(&standing));
        self.unsaved.note(Kind::Override, &key);
        let change = self.put_override(&key, Some(Arc::clone(&standing)), now);
        Ok(Overridden { key, standing, change })
    }

    /// Sets an override of an earlier process, before any instance is listed.
    pub(super) fn restore_override(&mut self, key: InstanceKey, standing: Standing) {
        self.overrides.by_key.insert(key, Arc::new(standing));
    }

    /// Takes an override back; `None` if there is none.
    pub(crate) fn clear_override(&mut self, key: &InstanceKey, now: Instant) -> Option<Overridden> {
        let stamp = self.stamp(key, now);
        let (key, standing) = self.overrides.by_key.remove_entry(key)?;
        let is_listed = self.by_key.contains_key(&key);
        self.overrides.decided(&key, if is_listed { stamp } else { 0 });
        self.unsaved.note(Kind::Override, &key);
        let change = self.put_override(&key, None, now);
        Some(Overridden { key, standing, change })
    }

    /// Takes back those that have ended.
    pub(crate) fn end_overrides(&mut self, now: Instant) -> Vec<Overridden> {
        let all = self.overrides.by_key.iter();
        let over = all.filter(|(_, standing)| standing.is_over(now));
        let mut over: Vec<_> = over.map(|(key, standing)| (standing.ends, key.clone())).collect();
        over.sort();
        over.iter().filter_map(|(_, key)| self.clear_override(key, now)).collect()
    }

    /// What stands for an instance, listed or not.
    pub(crate) fn override_of(&self, key: &InstanceKey) -> Option<OverrideState> {
        self.overrides.by_key.get(key).map(|standing| standing.what.state)
    }

    /// How many stand.
    pub(crate) fn overrides_len(&self) -> usize {
        self.overrides.by_key.len()
    }

    /// When the next one ends.
    pub(crate) fn next_override_end(&self) -> Option<Instant> {
        self.overrides.by_key.values().filter_map(|standing| standing.ends).min()
    }

    /// All of them, in order of protocol, host and port.
    pub(crate) fn overrides(&self, now: Instant) -> Vec<OverrideEntry> {
        let all = self.overrides.by_key.iter();
        let mut entries: Vec<_> =
            all.map(|(key, standing)| self.override_entry(key.clone(), standing, now)).collect();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        entries
    }

    /// One of them as people see it.
    pub(crate) fn override_entry(
        &self,
        key: InstanceKey,
        standing: &Standing,
        now: Instant,
    ) -> OverrideEntry {
        let listed = self.by_key.contains_key(&key);
        OverrideEntry { key, overridden: standing.record(now), listed, durable: true }
    }

    /// The change with which a listed instance is up again, if its override is taken back.
    pub(super) fn end_restored(&mut self, index: usize, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        if !slot.end_restored() {
            return None;
        }
        let row = slot.row();
        Some(self.changed(ChangeKind::Overridden, row, None, now))
    }

    /// Gives a listed instance another override, or none.
    fn put_override(
        &mut self,
        key: &InstanceKey,
        standing: Option<Arc<Standing>>,
        now: Instant,
    ) -> Option<Change> {
        let slot = self.slots.get_mut(*self.by_key.get(key)?)?.as_mut()?;
        // A server of ours refuses calls until it is told; any other never did.
        slot.is_restored = standing.is_none() && slot.entry.extended && !slot.is_elsewhere();
        if slot.is_restored {
            return None;
        }
        slot.overridden = standing;
        slot.change = self.unsaved.changes();
        let row = slot.row();
        Some(self.changed(ChangeKind::Overridden, row, None, now))
    }
}

#[cfg(test)]
mod tests;
