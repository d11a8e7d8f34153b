//! The instances: what the registry said, how old it is, and what that makes of each.

mod filter;
mod row;

pub use filter::Filter;
pub use row::{Aged, Gone, Probe, Row, State};

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rpc_wire::instance::{Beat, Instance, InstanceKey, InstanceRecord};
use tui_input::Input;

use super::scroll::Step;

/// How long a row stays after its instance is gone.
pub const LINGER: Duration = Duration::from_secs(6);
/// How long a changed row is marked.
/// How long a changed row is marked.
pub const FLASH: Duration = Duration::from_millis(900);
/// How many instances are looked after (methods, probes, log) at most unless the settings say
/// otherwise; others are listed only.
pub const DEFAULT_PROBED: usize = 200;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after their headings")]
pub enum Column {
    State,
    Address,
    Beat,
    Rtt,
    Methods,
    Since,
}

impl Column {
    /// Every column, from left to right.
    pub const ALL: [Self; 6] =
        [Self::State, Self::Address, Self::Beat, Self::Rtt, Self::Methods, Self::Since];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Address => "ADDRESS",
            Self::Beat => "BEAT",
            Self::Rtt => "RTT",
            Self::Methods => "MTH",
            Self::Since => "SINCE",
        }
    }

    /// The column `by` places further, around the end.
    #[must_use]
    pub fn step(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|column| *column == self).unwrap_or(0);
        let len = Self::ALL.len();
        let to = at.saturating_add(len).saturating_add_signed(by) % len;
        Self::ALL[to]
    }
}

/// The table.
#[derive(Debug)]
pub struct Instances {
    rows: HashMap<InstanceKey, Row>,
    /// Which row is selected; it stays so through sort, filter and refresh.
    pub selected: Option<InstanceKey>,
    /// Which column it is sorted by.
    pub sort: Column,
    /// Whether the order is reversed.
    pub reversed: bool,
    /// What is typed as a filter of the rows.
    pub filter: Input,
    compiled: Filter,
    /// First visible row.
    pub top: usize,
    /// When the list was last known to be right.
    pub known_at: Option<Instant>,
    /// How many instances are looked after at most.
    pub max_probed: usize,
}

impl Default for Instances {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            selected: None,
            sort: Column::Address,
            reversed: false,
            filter: Input::default(),
            compiled: Filter::default(),
            top: 0,
            known_at: None,
            max_probed: DEFAULT_PROBED,
        }
    }
}

/// What a message changed in the table, for events and effects.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An instance appeared or added back.
    Added(Box<Instance>),
    /// Another life of an instance that was not yet known to be gone.
    Restarted(Box<Instance>),
    /// An instance went.
    Removed(InstanceKey, Gone, String),
    /// Its heartbeat is late; the age says by how much.
    Late(InstanceKey, Duration),
    /// It beats again after having been late, for that long.
    Recovered(InstanceKey),
    /// The registry gave it another state.
    StateChanged(InstanceKey, State),
}

impl Instances {
    /// How many rows there are, gone ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// One row.
    pub fn get(&self, key: &InstanceKey) -> Option<&Row> {
        self.rows.get(key)
    }

    /// One row, to be changed.
    pub fn get_mut(&mut self, key: &InstanceKey) -> Option<&mut Row> {
        self.rows.get_mut(key)
    }

    /// The selected row.
    pub fn selected_row(&self) -> Option<&Row> {
        self.selected.as_ref().and_then(|key| self.rows.get(key))
    }

    /// The whole list, with ages. Who is not in it is gone.
    pub fn snapshot(&mut self, records: Vec<InstanceRecord>, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let listed: std::collections::HashSet<_> =
            records.iter().map(|record| record.instance.key()).collect();
        for record in records {
            changes.extend(self.record(record, now));
        }
        changes.extend(self.drop_unlisted(|key| listed.contains(key), now));
        changes
    }

    /// The whole list of an older registry, without ages.
    pub fn list(&mut self, instances: Vec<Instance>, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let listed: std::collections::HashSet<_> = instances.iter().map(Instance::key).collect();
        for instance in instances {
            let row = self.rows.entry(instance.key());
            let mut added = true;
            let row = match row {
                std::collections::hash_map::Entry::Occupied(old) => {
                    added = old.get().gone.is_some();
                    old.into_mut()
                }
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(Row::new(instance.clone(), now))
                }
            };
            row.instance = instance;
            row.forget_ages();
            if added {
                row.gone = None;
                row.changed_at = Some(now);
                changes.push(Change::Added(Box::new(row.instance.clone())));
            }
        }
        changes.extend(self.drop_unlisted(|key| listed.contains(key), now));
        changes
    }

    /// One instance with its ages: new, updated, or as it was.
    pub fn record(&mut self, record: InstanceRecord, now: Instant) -> Vec<Change> {
        let key = record.instance.key();
        let row = self.rows.entry(key.clone()).or_insert_with(|| {
            let mut row = Row::new(record.instance.clone(), now);
            row.gone = Some((now, Gone::Expired));
            row
        });
        let added = row.gone.is_some();
        let before = row.reported;
        let (old, new) = (row.instance.incarnation(), record.instance.incarnation());
        let restarted = !added && old.is_some() && new.is_some() && old != new;
        if added || restarted {
            row.intervals.clear();
            row.heartbeats = None;
        }
        row.apply(record, now);
        let mut changes = Vec::new();
        if added {
            row.gone = None;
            row.changed_at = Some(now);
            row.was_late = false;
            changes.push(Change::Added(Box::new(row.instance.clone())));
        } else if restarted {
            row.changed_at = Some(now);
            changes.push(Change::Restarted(Box::new(row.instance.clone())));
        } else if before != row.reported {
            row.changed_at = Some(now);
            changes.push(Change::StateChanged(key, row.state(now, true)));
        }
        changes
    }

    /// Heartbeat ages.
    pub fn beats(&mut self, beats: Vec<Beat>, now: Instant) {
        for beat in beats {
            if let Some(row) = self.rows.get_mut(&beat.key) {
                row.beat(beat.age_ms, beat.heartbeats, now);
            }
        }
    }

    /// An instance went.
    pub fn mark_gone(&mut self, key: &InstanceKey, why: Gone, now: Instant) -> Option<Change> {
        let row = self.rows.get_mut(key).filter(|row| row.gone.is_none())?;
        row.gone = Some((now, why));
        row.changed_at = Some(now);
        let last = row
            .age(now)
            .map_or_else(String::new, |age| format!("last beat {} ago", crate::text::age(age)));
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

    /// Lets time pass: who became late or recovered, and rows whose time is over go.
    /// `live` is whether the registry is reached; without it nothing is judged.
    pub fn tick(&mut self, now: Instant, live: bool) -> Vec<Change> {
        let has_lingered =
            |row: &Row| row.gone.is_some_and(|(at, _)| now.saturating_duration_since(at) >= LINGER);
        if self.selected.as_ref().is_some_and(|key| self.rows.get(key).is_some_and(has_lingered)) {
            self.select_neighbour(now, live);
        }
        self.rows.retain(|_, row| !has_lingered(row));
        let mut changes = Vec::new();
        if !live {
            return changes;
        }
        for (key, row) in &mut self.rows {
            if row.gone.is_some() {
                continue;
            }
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

    /// The rows that pass the filter, in the order of the table.
    pub fn visible(&self, now: Instant, live: bool) -> Vec<&Row> {
        let mut rows =
            self.compiled.matching(self.rows.values(), |row| row.filter_texts(now, live));
        let by = self.sort;
        rows.sort_by(|a, b| {
            let order = match by {
                Column::State => a.state(now, live).cmp(&b.state(now, live)),
                Column::Address => std::cmp::Ordering::Equal,
                Column::Beat => a.age(now).cmp(&b.age(now)),
                Column::Rtt => a.probe.rtt().cmp(&b.probe.rtt()),
                Column::Methods => a.methods.cmp(&b.methods),
                Column::Since => a.registered(now).cmp(&b.registered(now)),
            };
            let order = order.then_with(|| a.address_order().cmp(b.address_order()));
            if self.reversed { order.reverse() } else { order }
        });
        rows
    }

    /// The place of the selection in `visible`.
    pub fn selected_index(&self, visible: &[&Row]) -> Option<usize> {
        let key = self.selected.as_ref()?;
        visible.iter().position(|row| row.key == *key)
    }

    /// Moves the selection.
    pub fn step(&mut self, step: Step, height: usize, now: Instant, live: bool) {
        let visible = self.visible(now, live);
        let to = match self.selected_index(&visible) {
            Some(at) => step.from(at, visible.len()),
            None => 0,
        };
        let selected = visible.get(to).map(|row| row.key.clone());
        let top = super::scroll::keep_visible(self.top, to, height, visible.len());
        (self.selected, self.top) = (selected, top);
    }

    /// The filter as it is understood.
    pub fn compiled_filter(&self) -> &Filter {
        &self.compiled
    }

    /// Makes sure that something visible is selected, if anything is visible. To be called when
    /// the filter may have changed.
    pub fn keep_selection(&mut self, now: Instant, live: bool) {
        self.compiled.set(self.filter.value());
        // The usual case must not sort: it comes with every message, and rows may be many.
        let selected = self.selected_row().into_iter();
        if !self.compiled.matching(selected, |row| row.filter_texts(now, live)).is_empty() {
            return;
        }
        let visible = self.visible(now, live);
        if self.selected_index(&visible).is_none() {
            self.selected = visible.first().map(|row| row.key.clone());
        }
    }

    fn select_neighbour(&mut self, now: Instant, live: bool) {
        let visible = self.visible(now, live);
        let Some(at) = self.selected_index(&visible) else { return };
        let next = visible.get(at + 1).or_else(|| visible.get(at.wrapping_sub(1)));
        self.selected = next.map(|row| row.key.clone());
    }

    /// How many are up, late (or otherwise doubtful), and down (gone, lingering).
    pub fn counts(&self, now: Instant, live: bool) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows.values() {
            match row.state(now, live) {
                State::Up => counts.up += 1,
                State::Late | State::Suspect | State::Draining | State::Maintenance => {
                    counts.late += 1;
                }
                State::Unknown => counts.unknown += 1,
                State::Gone => counts.gone += 1,
            }
        }
        counts
    }
}

/// How many instances are in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the states")]
pub struct Counts {
    pub up: usize,
    pub late: usize,
    pub unknown: usize,
    pub gone: usize,
}

#[cfg(test)]
mod tests;
