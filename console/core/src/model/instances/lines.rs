//! The lines of the table: services with their instances below them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{Column, Instances, Row, State};
use crate::model::service::Service;

/// A line of the table.
#[derive(Debug)]
pub enum TableLine<'a> {
    /// The heading of a service.
    Service(Group<'a>),
    /// An instance.
    Instance(&'a Row),
}

impl<'a> TableLine<'a> {
    /// The instance, unless it is the heading of a service.
    pub fn instance(&self) -> Option<&'a Row> {
        match self {
            Self::Service(_) => None,
            Self::Instance(row) => Some(row),
        }
    }
}

/// A service, and its instances that match the filter, sorted.
#[derive(Debug)]
pub struct Group<'a> {
    /// The service.
    pub service: &'a Service,
    /// Its instances.
    pub rows: Vec<&'a Row>,
    /// Whether its instances are hidden.
    pub is_folded: bool,
}

impl Group<'_> {
    /// The worst state of its instances, its text, and how many are in it.
    pub fn worst(&self, now: Instant, live: bool) -> Option<(State, &'static str, usize)> {
        let worst = self.rows.iter().max_by_key(|row| severity(row.state(now, live)))?;
        let state = worst.state(now, live);
        let count = self.rows.iter().filter(|row| row.state(now, live) == state).count();
        Some((state, worst.state_text(now, live), count))
    }

    /// The versions of its instances, without repetition.
    pub fn versions(&self) -> BTreeSet<&str> {
        self.rows.iter().filter_map(|row| row.instance.version()).collect()
    }
}

/// Higher is worse.
fn severity(state: State) -> u8 {
    match state {
        State::Up => 0,
        State::Draining | State::Maintenance => 1,
        State::Late => 2,
        State::Suspect => 3,
        State::Unknown => 4,
        State::Gone => 5,
    }
}

impl Instances {
    /// Whether there are several services, so that each has a heading.
    pub fn is_grouped(&self) -> bool {
        let mut services = self.all().map(|row| &row.service);
        let first = services.next();
        services.any(|service| Some(service) != first)
    }

    /// The service of all instances, if it is one.
    pub fn only_service(&self) -> Option<&Service> {
        let first = self.all().next().map(|row| &row.service)?;
        self.all().all(|row| row.service == *first).then_some(first)
    }

    /// The services with their instances that match the filter, sorted.
    pub fn groups(&self, now: Instant, live: bool) -> Vec<Group<'_>> {
        let rows = self.compiled.matching(self.rows.values(), |row| row.filter_texts(now, live));
        let mut groups: BTreeMap<&Service, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            groups.entry(&row.service).or_default().push(row);
        }
        for rows in groups.values_mut() {
            self.sort_rows(rows, now, live);
        }
        let is_folded = |service: &Service| self.folded.contains(service);
        let groups = groups.into_iter();
        groups
            .map(|(service, rows)| Group { service, rows, is_folded: is_folded(service) })
            .collect()
    }

    fn sort_rows(&self, rows: &mut [&Row], now: Instant, live: bool) {
        rows.sort_by(|a, b| {
            let order = match self.sort {
                Column::State => a.state(now, live).cmp(&b.state(now, live)),
                Column::Address => std::cmp::Ordering::Equal,
                Column::Calls => {
                    let calls =
                        |row: &Row| row.traffic.total(now).map_or(-1.0, |total| total.now.calls);
                    calls(a).total_cmp(&calls(b))
                }
                Column::Beat => a.age(now).cmp(&b.age(now)),
                Column::Rtt => a.probe.rtt().cmp(&b.probe.rtt()),
                Column::Methods => a.methods.cmp(&b.methods),
                Column::Since => a.registered(now).cmp(&b.registered(now)),
            };
            let order = order.then_with(|| a.address_order().cmp(b.address_order()));
            if self.reversed { order.reverse() } else { order }
        });
    }

    /// The lines of the table. A single service has no heading.
    pub fn lines(&self, now: Instant, live: bool) -> Vec<TableLine<'_>> {
        let mut lines = Vec::new();
        let is_grouped = self.is_grouped();
        for group in self.groups(now, live) {
            let rows = if is_grouped && group.is_folded { Vec::new() } else { group.rows.clone() };
            if is_grouped {
                lines.push(TableLine::Service(group));
            }
            lines.extend(rows.into_iter().map(TableLine::Instance));
        }
        lines
    }

    /// The instances that are shown, in the order of the table.
    pub fn visible(&self, now: Instant, live: bool) -> Vec<&Row> {
        self.lines(now, live).iter().filter_map(TableLine::instance).collect()
    }

    /// Number of lines without a filter.
    pub fn line_count(&self) -> usize {
        if !self.is_grouped() {
            return self.len();
        }
        let services: BTreeSet<_> = self.all().map(|row| &row.service).collect();
        let is_shown = |row: &&Row| !self.folded.contains(&row.service);
        services.len() + self.all().filter(is_shown).count()
    }

    /// The index of the selected line in `lines`.
    pub fn selected_line(&self, lines: &[TableLine<'_>]) -> Option<usize> {
        lines.iter().position(|line| match line {
            TableLine::Service(group) => self.selected_service.as_ref() == Some(group.service),
            TableLine::Instance(row) => self.selected.as_ref() == Some(&row.key),
        })
    }

    /// Selects a line.
    pub fn select_line(&mut self, line: Option<LineKey>) {
        (self.selected, self.selected_service) = match line {
            None => (None, None),
            Some(LineKey::Instance(key)) => (Some(key), None),
            Some(LineKey::Service(service)) => (None, Some(service)),
        };
    }

    /// Selects an instance, and unfolds its service.
    pub fn show(&mut self, key: rpc_wire::instance::InstanceKey) {
        if let Some(row) = self.rows.get(&key) {
            self.folded.remove(&row.service);
        }
        self.select_line(Some(LineKey::Instance(key)));
    }

    /// Hides the instances of the selected service.
    pub fn fold(&mut self) {
        if let Some(service) = self.current_service() {
            self.folded.insert(service.clone());
            self.select_line(Some(LineKey::Service(service)));
        }
    }

    /// Shows the instances of the selected service.
    pub fn unfold(&mut self) {
        if let Some(service) = self.current_service() {
            self.folded.remove(&service);
        }
    }

    /// Hides or shows the instances of the selected service.
    pub fn toggle_fold(&mut self) {
        match &self.selected_service {
            Some(service) if self.folded.contains(service) => self.unfold(),
            _ => self.fold(),
        }
    }

    /// Hides all instances, or shows all if none is shown.
    pub fn toggle_fold_all(&mut self) {
        let services: BTreeSet<Service> = self.all().map(|row| row.service.clone()).collect();
        if services.is_subset(&self.folded) {
            return self.folded.clear();
        }
        self.fold();
        self.folded = services;
    }

    /// The service of the selected line.
    pub fn current_service(&self) -> Option<Service> {
        let of_instance = || self.selected_row().map(|row| row.service.clone());
        self.selected_service.clone().or_else(of_instance)
    }
}

/// What identifies a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineKey {
    /// The heading of a service.
    Service(Service),
    /// An instance.
    Instance(rpc_wire::instance::InstanceKey),
}

impl TableLine<'_> {
    /// What identifies it.
    pub fn key(&self) -> LineKey {
        match self {
            Self::Service(group) => LineKey::Service(group.service.clone()),
            Self::Instance(row) => LineKey::Instance(row.key.clone()),
        }
    }
}
