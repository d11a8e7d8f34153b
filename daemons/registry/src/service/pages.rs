//! All instances, page by page, for readers of any number of them.

use std::time::Instant;

use rpc_wire::instance::InstanceRecord;
use serde::Serialize;
use serde_json::value::RawValue;

use super::targets::Target;
use super::{Reader, Service, now};
use crate::table::{Row, Scope};

/// Bytes of a page, approximately.
const PAGE: usize = 32 * 1024;

/// How far a reader is that gets the instances page by page: nothing is kept for it in between.
#[derive(Debug, Default)]
pub(crate) struct Page {
    view: View,
    reader: Reader,
    /// The protocol of the last instance it has, and the number of its registration.
    after: Option<(String, u64)>,
    /// Later registrations are not for this reader, so that it gets no instance twice.
    until: Option<u64>,
    ended: bool,
}

/// What a reader gets of each instance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum View {
    /// A record with ages.
    #[default]
    Records,
    /// A target of Prometheus.
    Targets,
}

impl Page {
    /// Before the first page.
    pub(crate) fn new(view: View, reader: Reader) -> Self {
        Self { view, reader, ..Self::default() }
    }
}

impl Service {
    /// The next part of a scope's instances as one JSON array; `None` after the last. An instance that
    /// comes or leaves in between may be missing.
    pub(crate) async fn page(&self, scope: &Scope, page: &mut Page) -> Option<Vec<u8>> {
        if page.ended {
            return None;
        }
        // Whatever is there to be done has its turn between two pages.
        tokio::task::yield_now().await;
        let _turn = self.building.lock().await;
        let is_first = page.until.is_none();
        let (rows, now) = self.next_rows(scope, page);
        if rows.is_empty() {
            page.ended = true;
            return Some(if is_first { b"[]".to_vec() } else { b"]".to_vec() });
        }
        let record = |row| self.record(row, page.reader, now);
        let mut records: Vec<_> = rows.iter().map(record).collect();
        for (record, row) in records.iter_mut().zip(&rows) {
            record.durable = self.saving.has(row.change);
        }
        let mut part = page.view.write(&records);
        part.pop();
        if let Some(opening) = part.first_mut().filter(|_| !is_first) {
            *opening = b',';
        }
        Some(part)
    }

    /// The instances of the next page, and when they were like that; none after the last.
    pub(super) fn next_rows(&self, scope: &Scope, page: &mut Page) -> (Vec<Row>, Instant) {
        let (rows, now) = {
            let state = self.lock();
            let until = *page.until.get_or_insert(state.table.serial());
            (state.table.rows_after(scope, page.after.as_ref(), until, PAGE), now())
        };
        if let Some(last) = rows.last() {
            page.after = Some((last.entry.key.protocol.clone(), last.entry.serial));
        }
        (rows, now)
    }
}

impl View {
    fn write(self, records: &[InstanceRecord<&RawValue>]) -> Vec<u8> {
        match self {
            Self::Records => json(&records),
            Self::Targets => json(&records.iter().map(Target::of).collect::<Vec<_>>()),
        }
    }
}

/// Values that came from JSON serialise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
