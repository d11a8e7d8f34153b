//! The table of instances: what the registry reported, and the states that follow from it.

mod change;
mod column;
mod counts;
mod lines;
mod row;

pub use super::filter::Filter;
pub use change::Change;
pub use column::Column;
pub use counts::Counts;
pub use lines::{Group, LineKey, TableLine};
pub use row::{Aged, Dialect, Gone, HELD, Probe, Row, State, bytes as size};

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rpc_wire::instance::{Beat, Instance, InstanceKey, InstanceRecord};
use tui_input::Input;

use super::heard::Heard;
use super::scroll::Step;
use super::service::Service;

/// How long the row of a gone instance stays.
pub const LINGER: Duration = Duration::from_secs(6);
/// How long a changed row is highlighted.
pub const FLASH: Duration = Duration::from_millis(900);
/// The first row of a longer table is not followed: that sorts all rows for every message.
const MAX_FOLLOWED: usize = 200;
/// Default number of rows kept; further instances are counted, but not shown.
const MAX_ROWS: usize = 200_000;
/// Default size of the rows kept, in bytes of memory; the same.
const MAX_BYTES: usize = 256 << 20;
/// A table of more rows is judged at most once in [`JUDGED`], not for every message.
const MANY: usize = 2_000;
/// How long a judgement of many rows counts.
const JUDGED: Duration = Duration::from_millis(250);
/// Default maximum of monitored instances (methods, probes, log); others are only listed.
pub const DEFAULT_PROBED: usize = 200;

/// The table of instances.
#[derive(Debug)]
pub struct Instances {
    rows: HashMap<InstanceKey, Row>,
    /// What the rows take, in bytes.
    bytes: usize,
    /// Maximum number of rows; further instances are not shown, but counted.
    pub max_rows: usize,
    /// Maximum size of the rows, in bytes of memory; the same.
    pub max_bytes: usize,
    /// Instances that were listed since the last full list, and are not shown.
    pub beyond: usize,
    /// When the rows were last judged.
    judged_at: Option<Instant>,
    /// The selected row; it survives sorting, filtering and refreshes.
    pub selected: Option<InstanceKey>,
    /// The service whose heading is selected instead.
    pub selected_service: Option<Service>,
    /// The services whose instances are hidden, where there are several.
    pub folded: BTreeSet<Service>,
    /// The column to sort by.
    pub sort: Column,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// The filter as typed.
    pub filter: Input,
    compiled: Filter,
    /// The first visible row.
    pub top: usize,
    /// The first visible row of the detail.
    pub detail_top: usize,
    /// Whether the first row is selected as rows arrive: until the first key or click.
    pub follow_first: bool,
    /// When the list was last received.
    pub known_at: Option<Instant>,
    /// Maximum number of monitored instances.
    pub max_probed: usize,
}

impl Default for Instances {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            bytes: 0,
            max_rows: MAX_ROWS,
            max_bytes: MAX_BYTES,
            beyond: 0,
            judged_at: None,
            selected: None,
            selected_service: None,
            folded: BTreeSet::new(),
            sort: Column::Address,
            reversed: false,
            filter: Input::default(),
            compiled: Filter::default(),
            top: 0,
            detail_top: 0,
            follow_first: true,
            known_at: None,
            max_probed: DEFAULT_PROBED,
        }
    }
}

impl Instances {
    /// Number of rows, gone ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row, unordered.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The same, mutable.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.values_mut()
    }

    /// The row of an instance.
    pub fn get(&self, key: &InstanceKey) -> Option<&Row> {
        self.rows.get(key)
    }

    /// The same, mutable.
    pub fn get_mut(&mut self, key: &InstanceKey) -> Option<&mut Row> {
        self.rows.get_mut(key)
    }

    /// The selected row.
    pub fn selected_row(&self) -> Option<&Row> {
        self.selected.as_ref().and_then(|key| self.rows.get(key))
    }

    /// Applies the full list, with ages; instances not in it are gone.
    pub fn snapshot(
        &mut self,
        records: Vec<InstanceRecord>,
        arrived: Instant,
        now: Instant,
    ) -> Vec<Change> {
        self.beyond = 0;
        let mut changes = Vec::new();
        let listed: std::collections::HashSet<_> =
            records.iter().map(|record| record.instance.key()).collect();
        for record in records {
            changes.extend(self.record(record, arrived, now));
        }
        changes.extend(self.drop_unlisted(|key| listed.contains(key), now));
        changes
    }

    /// Applies the full list of an older registry, without ages.
    pub fn list(&mut self, instances: Vec<Instance>, now: Instant) -> Vec<Change> {
        self.beyond = 0;
        let mut changes = Vec::new();
        let listed: std::collections::HashSet<_> = instances.iter().map(Instance::key).collect();
        for instance in instances {
            if !self.has_room(&instance) {
                continue;
            }
            let row = self.rows.entry(instance.key());
            let (mut added, mut is_new) = (true, true);
            let row = match row {
                std::collections::hash_map::Entry::Occupied(old) => {
                    (added, is_new) = (old.get().gone.is_some(), false);
                    old.into_mut()
                }
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(Row::new(instance.clone(), now))
                }
            };
            let bytes = row.bytes();
            let (restarted, redeployed) = row.set_instance(instance);
            self.bytes = self.bytes - if is_new { 0 } else { bytes } + row.bytes();
            row.forget_ages();
            let instance = || Box::new(row.instance.clone());
            let change = match (added, restarted, redeployed) {
                (true, ..) => Change::Added(instance()),
                (_, true, _) => Change::Restarted(instance()),
                (.., true) => Change::Redeployed(instance()),
                _ => continue,
            };
            row.gone = None;
            row.changed_at = Some(now);
            changes.push(change);
        }
        changes.extend(self.drop_unlisted(|key| listed.contains(key), now));
        changes
    }

    /// Adds the one server that is opened without a registry.
    pub fn open(&mut self, instance: Instance, now: Instant) {
        let mut row = Row::new(instance, now);
        row.is_direct = true;
        self.bytes += row.bytes();
        self.rows.insert(row.key.clone(), row);
    }

    /// Applies the record of an instance, whose ages are those at `arrived`.
    pub fn record(
        &mut self,
        record: InstanceRecord,
        arrived: Instant,
        now: Instant,
    ) -> Vec<Change> {
        if !self.has_room(&record.instance) {
            return Vec::new();
        }
        let key = record.instance.key();
        let known = self.rows.get(&key).map_or(0, Row::bytes);
        let row = self.rows.entry(key.clone()).or_insert_with(|| {
            let mut row = Row::new(record.instance.clone(), now);
            row.gone = Some((now, Gone::Expired(None)));
            row
        });
        let added = row.gone.is_some();
        let before = (row.reported, row.held_until.is_some());
        if added {
            row.forget_beats();
        }
        let (restarted, redeployed) = row.apply(record, arrived);
        self.bytes = self.bytes - known + row.bytes();
        let mut changes = Vec::new();
        if added {
            row.gone = None;
            row.changed_at = Some(now);
            row.was_late = false;
            changes.push(Change::Added(Box::new(row.instance.clone())));
        } else if restarted {
            row.changed_at = Some(now);
            changes.push(Change::Restarted(Box::new(row.instance.clone())));
        } else if redeployed {
            row.changed_at = Some(now);
            changes.push(Change::Redeployed(Box::new(row.instance.clone())));
        } else if before != (row.reported, row.held_until.is_some()) {
            row.changed_at = Some(now);
            changes.push(Change::StateChanged(key, row.state(now, true)));
        }
        changes
    }

    /// Whether an instance is shown, or may be; else it is counted.
    fn has_room(&mut self, instance: &Instance) -> bool {
        let key = instance.key();
        let known = self.rows.get(&key).map(Row::bytes);
        let bytes = self.bytes - known.unwrap_or_default() + row::bytes(instance);
        let has_room =
            bytes <= self.max_bytes && (known.is_some() || self.rows.len() < self.max_rows);
        self.beyond += usize::from(!has_room);
        has_room
    }

    /// Applies heartbeats, whose ages are those at `arrived`.
    pub fn beats(&mut self, beats: Vec<Beat>, arrived: Instant) {
        for beat in beats {
            if let Some(row) = self.rows.get_mut(&beat.key) {
                row.beat(beat.age_ms, beat.heartbeats, arrived);
            }
        }
    }

    /// Marks an instance as gone.
    pub fn mark_gone(&mut self, key: &InstanceKey, why: Gone, now: Instant) -> Option<Change> {
        let row = self.rows.get_mut(key).filter(|row| row.gone.is_none())?;
        row.gone = Some((now, why));
        row.changed_at = Some(now);
        let ttl = row.ttl.as_secs_f64();
        let last = row.age(now).map_or_else(String::new, |age| {
            format!("last heartbeat {} ago (TTL {ttl:.0}s)", crate::text::age(age))
        });
        Some(Change::Removed(key.clone(), why, last))
    }

    fn drop_unlisted(
        &mut self,
        listed: impl Fn(&InstanceKey) -> bool,
        now: Instant,
    ) -> Vec<Change> {
        let mut missing: Vec<_> = self.rows.keys().filter(|key| !listed(key)).cloned().collect();
        missing.sort();
        missing.iter().filter_map(|key| self.mark_gone(key, Gone::Unlisted, now)).collect()
    }

    /// Applies the passing of time: late and recovered heartbeats, and rows whose time is over.
    /// Nothing is judged unless the registry is connected (`live`).
    pub fn tick(&mut self, now: Instant, live: bool, heard: Option<Heard>) -> Vec<Change> {
        let is_judged = |at: Instant| now.saturating_duration_since(at) < JUDGED;
        if self.rows.len() > MANY {
            if self.judged_at.is_some_and(is_judged) {
                return Vec::new();
            }
            self.judged_at = Some(now);
        }
        let has_lingered =
            |row: &Row| row.gone.is_some_and(|(at, _)| now.saturating_duration_since(at) >= LINGER);
        if self.selected.as_ref().is_some_and(|key| self.rows.get(key).is_some_and(has_lingered)) {
            self.select_neighbour(now, live);
        }
        let mut bytes = 0;
        self.rows.retain(|_, row| {
            let stays = !has_lingered(row);
            bytes += if stays { row.bytes() } else { 0 };
            stays
        });
        self.bytes = bytes;
        let mut changes = Vec::new();
        if !live {
            return changes;
        }
        for (key, row) in &mut self.rows {
            if row.gone.is_some() {
                continue;
            }
            row.heard = heard;
            let late = row.is_late(now);
            if late != row.was_late {
                row.was_late = late;
                row.changed_at = Some(now);
                changes.push(match (late, row.age(now)) {
                    (true, Some(age)) => Change::Late(key.clone(), age),
                    _ => Change::Recovered(key.clone()),
                });
            }
        }
        changes.sort_by_key(|change| match change {
            Change::Late(key, _) | Change::Recovered(key) => Some(key.clone()),
            _ => None,
        });
        changes
    }

    /// Moves the selection.
    pub fn step(&mut self, step: Step, height: usize, now: Instant, live: bool) {
        let lines = self.lines(now, live);
        let to = match self.selected_line(&lines) {
            Some(at) => step.from(at, lines.len()),
            None => 0,
        };
        let selected = lines.get(to).map(TableLine::key);
        self.top = super::scroll::keep_visible(self.top, to, height, lines.len());
        self.select_line(selected);
    }

    /// The compiled filter.
    pub fn compiled_filter(&self) -> &Filter {
        &self.compiled
    }

    /// Selects the first visible row if the selected one is not visible. Called whenever the filter
    /// may have changed.
    pub fn keep_selection(&mut self, now: Instant, live: bool) {
        self.compiled.set(self.filter.value());
        if self.follow_first && self.rows.len() <= MAX_FOLLOWED {
            return self.select_first(now, live);
        }
        // No sorting while the selection is visible: this runs for every message, on many rows.
        if self.is_selection_visible(now, live) {
            return;
        }
        let lines = self.lines(now, live);
        if self.selected_line(&lines).is_none() {
            let first = first_of(&lines);
            self.select_line(first);
        }
    }

    /// Selects the first visible row.
    pub fn select_first(&mut self, now: Instant, live: bool) {
        self.compiled.set(self.filter.value());
        let first = first_of(&self.lines(now, live));
        self.select_line(first);
        self.top = 0;
    }

    fn is_selection_visible(&self, now: Instant, live: bool) -> bool {
        let matches = |row: &Row| {
            !self.compiled.matching([row].into_iter(), |row| row.filter_texts(now, live)).is_empty()
        };
        if let Some(service) = &self.selected_service {
            let mut rows = self.rows.values().filter(|row| row.service == *service);
            return self.is_grouped() && rows.any(matches);
        }
        let is_hidden = |row: &Row| self.folded.contains(&row.service) && self.is_grouped();
        self.selected_row().is_some_and(|row| !is_hidden(row) && matches(row))
    }

    /// After the first list: its rows are not changes of something seen before.
    pub fn settle(&mut self) {
        self.rows.values_mut().for_each(|row| row.changed_at = None);
    }

    fn select_neighbour(&mut self, now: Instant, live: bool) {
        let lines = self.lines(now, live);
        let Some(at) = self.selected_line(&lines) else { return };
        let (before, after) = lines.split_at(at);
        let mut near = after.iter().skip(1).chain(before.iter().rev());
        let next = near.find(|line| line.instance().is_some()).or(lines.first());
        let next = next.map(TableLine::key);
        self.select_line(next);
    }
}

/// The first instance, else the first service.
fn first_of(lines: &[TableLine<'_>]) -> Option<LineKey> {
    let instance = lines.iter().find(|line| line.instance().is_some());
    instance.or(lines.first()).map(TableLine::key)
}

#[cfg(test)]
mod tests;
