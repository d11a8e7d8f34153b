//! The latest changes, for watchers: each takes those after the revision it has.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use rpc_wire::instance::{InstanceRecord, WatchEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Reader;
use crate::sse;
use crate::table::{Change, ChangeKind, Row};

/// A change, and its Server-Sent Event, which is built once for all watchers of a kind.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) change: Change,
    frames: [OnceLock<Bytes>; Reader::KINDS],
}

impl Event {
    /// With the record of its instance at the time of the change, for a reader.
    pub(super) fn frame<'event>(
        &'event self,
        kind: ChangeKind,
        epoch: &str,
        reader: Reader,
        record: impl FnOnce(&'event Row, Instant) -> InstanceRecord<&'event RawValue>,
    ) -> Bytes {
        let row = &self.change.row;
        let build = || self.frame_of(kind, row, epoch, || record(row, self.change.at));
        // Only readers of one service, or of one registry, see another kind.
        match self.frames.get(reader as usize).filter(|_| kind == self.change.kind) {
            Some(frame) => frame.get_or_init(build).clone(),
            None => build(),
        }
    }

    /// The change as one of this kind, with a record of `row`.
    pub(super) fn frame_of<'row>(
        &self,
        kind: ChangeKind,
        row: &'row Row,
        epoch: &str,
        record: impl FnOnce() -> InstanceRecord<&'row RawValue>,
    ) -> Bytes {
        let event = match kind {
            ChangeKind::Registered => WatchEvent::Registered(record()),
            ChangeKind::Updated
            | ChangeKind::Overridden
            | ChangeKind::Revived
            | ChangeKind::Moved => WatchEvent::Updated(record()),
            ChangeKind::Unregistered => WatchEvent::Unregistered(row.entry.key.clone()),
            ChangeKind::Expired(reason) => WatchEvent::Expired(row.entry.key.clone(), reason),
            ChangeKind::Suspect => WatchEvent::Suspect(record()),
        };
        frame(&event, epoch, self.change.revision, RECORD_BYTES + row.entry.reply.len())
    }
}

/// What a record has beside the instance, approximately.
pub(super) const RECORD_BYTES: usize = 256;

/// The event with the id `<epoch>.<revision>`, of about that many bytes.
pub(super) fn frame(
    event: &WatchEvent<impl Serialize>,
    epoch: &str,
    revision: u64,
    bytes: usize,
) -> Bytes {
    sse::event_of(event, Some(&format!("{epoch}.{revision}")), bytes)
}

/// A bounded sequence of changes without gaps.
#[derive(Debug)]
pub(super) struct History {
    capacity: usize,
    events: VecDeque<Arc<Event>>,
    /// The revision of the last change, even if it is no longer kept.
    last: u64,
}

impl History {
    /// Of the changes after a revision.
    pub(super) fn starting_at(revision: u64, capacity: usize) -> Self {
        Self { capacity, events: VecDeque::new(), last: revision }
    }

    /// Appends changes, which must follow the last one without a gap.
    pub(super) fn extend(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.last = change.revision;
            self.events.push_back(Arc::new(Event { change, frames: Default::default() }));
            if self.events.len() > self.capacity {
                self.events.pop_front();
            }
        }
    }

    /// The changes after `revision`; `None` if not all of them are kept, or it never existed.
    pub(super) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Arc<Event>>> {
        let missing = usize::try_from(self.last.checked_sub(revision)?).ok()?;
        let first = self.events.len().checked_sub(missing)?;
        Some(self.events.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RegistryOptions;
    use crate::registration::Registration;
    use crate::table::Table;

    #[test]
    fn it_returns_exactly_the_changes_after_a_revision_it_keeps() {
        let options = RegistryOptions::default();
        let now = Instant::now();
        let mut table = Table::new(&options, now);
        let mut history = History::starting_at(0, 3);
        assert_eq!(history.since(0).map(Iterator::count), Some(0));
        assert!(history.since(1).is_none());
        for port in 1..=5 {
            let body = format!(r#"{{"protocol":"json","host":"h","port":{port}}}"#);
            let registration = Registration::parse(body.as_bytes(), &options).unwrap();
            let peer = [127, 0, 0, 1].into();
            history.extend(table.register(registration, body.as_bytes(), peer, now).unwrap());
        }
        let since = |revision| {
            let events = history.since(revision)?;
            Some(events.map(|event| event.change.revision).collect::<Vec<_>>())
        };
        assert_eq!(since(1), None);
        assert_eq!(since(2), Some(vec![3, 4, 5]));
        assert_eq!(since(4), Some(vec![5]));
        assert_eq!(since(5), Some(vec![]));
        assert_eq!(since(6), None);
    }
}
