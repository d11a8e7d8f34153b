//! The operators' overrides: which instances take no new calls, listed or not, and until when.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rpc_wire::instance::{InstanceKey, OverrideEntry, OverrideRecord, OverrideState};
use serde::{Deserialize, Serialize};

use super::wall::millis;
use super::{Change, ChangeKind, Table};
use crate::error::Refusal;
use crate::record::Kind;

/// An operator's decision about an instance: plain data, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Override {
    pub(crate) state: OverrideState,
    pub(crate) reason: Option<String>,
    pub(crate) by: Option<String>,
    /// When it ends, in milliseconds since 1970; `None`: when it is taken back. Wall time, since it has to
    /// last over restarts; while the process runs its monotonic clock counts.
    pub(crate) until_ms: Option<u64>,
}

impl Override {
    /// One that ends after some time from `wall` on.
    pub(crate) fn lasting(mut self, time: Option<Duration>, wall: SystemTime) -> Self {
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let until = time.and_then(|time| since_1970(wall.checked_add(time)?));
        self.until_ms = until.and_then(|until| u64::try_from(until.as_millis()).ok());
        self
    }
}

/// An override that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) what: Override,
    /// When it ends, if by itself.
    pub(crate) ends: Option<Instant>,
}

impl Standing {
    /// An override while the wall clock shows `wall`, and the monotonic one `now`.
    pub(crate) fn new(what: Override, now: Instant, wall: SystemTime) -> Self {
        let until = what.until_ms.map(Duration::from_millis);
        let until = until.and_then(|until| SystemTime::UNIX_EPOCH.checked_add(until));
        let left = until.map(|until| until.duration_since(wall).unwrap_or_default());
        Self { what, ends: left.and_then(|left| now.checked_add(left)) }
    }

    /// It as people see it at `now`.
    pub(super) fn record(&self, now: Instant) -> OverrideRecord {
        let Override { state, reason, by, .. } = self.what.clone();
        OverrideRecord { state, reason, by, for_ms: self.ends.map(|ends| millis(ends, now)) }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}

/// The overrides that stand, bounded in number.
#[derive(Debug)]
pub(super) struct Overrides {
    capacity: usize,
    by_key: HashMap<InstanceKey, Arc<Standing>>,
}

impl Overrides {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_key: HashMap::new() }
    }

    pub(super) fn get(&self, key: &InstanceKey) -> Option<Arc<Standing>> {
        self.by_key.get(key).cloned()
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
    /// What it changed, if the instance is listed.
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
        let Overrides { capacity, by_key } = &mut self.overrides;
        if by_key.len() >= *capacity && !by_key.contains_key(&key) {
            return Err(Refusal::OverridesFull(*capacity));
        }
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
        let (key, standing) = self.overrides.by_key.remove_entry(key)?;
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
        OverrideEntry { key, overridden: standing.record(now), listed }
    }

    /// Gives a listed instance another override, or none.
    fn put_override(
        &mut self,
        key: &InstanceKey,
        standing: Option<Arc<Standing>>,
        now: Instant,
    ) -> Option<Change> {
        let slot = self.slots.get_mut(*self.by_key.get(key)?)?.as_mut()?;
        slot.overridden = standing;
        let row = slot.row();
        Some(self.changed(ChangeKind::Overridden, row, None, now))
    }
}

#[cfg(test)]
mod tests;
