//! The latest changes, for watchers: each takes those after the revision it has.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use rpc_wire::instance::{InstanceRecord, WatchEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Reader;
use crate::RegistryOptions;
use crate::sse;
use crate::table::{Change, ChangeKind, Row};

/// A change, and its Server-Sent Event, which is built once for all watchers of a kind.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) change: Change,
    frames: [OnceLock<Bytes>; Reader::KINDS],
}

impl Event {
    /// Memory that it keeps beside the table, approximately: what has left that, and its frames, whether they are built
    /// yet or not.
    fn bytes(&self) -> usize {
        let Change { kind, row, .. } = &self.change;
        let record = if kind.is_departure() { 0 } else { row.entry.reply.len() };
        size_of::<Self>() + self.change.removed_bytes() + Reader::KINDS * (RECORD_BYTES + record)
    }

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

/// A sequence of changes without gaps, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct History {
    capacity: usize,
    max_bytes: usize,
    bytes: usize,
    events: VecDeque<Arc<Event>>,
    /// The revision of the last change, even if it is no longer kept.
    last: u64,
}

impl History {
    /// Of the changes after a revision.
    pub(super) fn starting_at(revision: u64, options: &RegistryOptions) -> Self {
        let (capacity, max_bytes) = (options.max_history, options.max_history_bytes);
        Self { capacity, max_bytes, bytes: 0, events: VecDeque::new(), last: revision }
    }

    /// Appends changes, which must follow the last one without a gap.
    pub(super) fn extend(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.last = change.revision;
            let event = Event { change, frames: Default::default() };
            self.bytes += event.bytes();
            self.events.push_back(Arc::new(event));
            while self.events.len() > self.capacity || self.bytes > self.max_bytes {
                let Some(oldest) = self.events.pop_front() else { break };
                self.bytes -= oldest.bytes();
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
    use rpc_wire::instance::InstanceKey;

    use super::*;
    use crate::registration::Registration;
    use crate::table::Table;

    struct Changes {
        table: Table,
        history: History,
        now: Instant,
    }

    impl Changes {
        fn kept_with(options: &RegistryOptions) -> Self {
            let now = Instant::now();
            let history = History::starting_at(0, options);
            Self { table: Table::new(options, now), history, now }
        }

        fn register(&mut self, port: u16, parameters: &str) {
            let body = format!(
                r#"{{"protocol":"json","host":"h","port":{port},"parameters":{parameters}}}"#
            );
            let options = RegistryOptions::default();
            let registration = Registration::parse(body.as_bytes(), &options).unwrap();
            let peer = [127, 0, 0, 1].into();
            let change = self.table.register(registration, body.as_bytes(), peer, self.now);
            self.history.extend(change.unwrap());
        }

        fn unregister(&mut self, port: u16) {
            let key = InstanceKey { protocol: "json".into(), host: "h".into(), port };
            self.history.extend(self.table.unregister(&key, None, self.now));
        }

        fn since(&self, revision: u64) -> Option<Vec<u64>> {
            let events = self.history.since(revision)?;
            Some(events.map(|event| event.change.revision).collect())
        }
    }

    #[test]
    fn it_returns_exactly_the_changes_after_a_revision_it_keeps() {
        let options = RegistryOptions { max_history: 3, ..Default::default() };
        let mut changes = Changes::kept_with(&options);
        assert_eq!(changes.since(0), Some(vec![]));
        assert_eq!(changes.since(1), None);
        for port in 1..=5 {
            changes.register(port, "{}");
        }
        assert_eq!(changes.since(1), None);
        assert_eq!(changes.since(2), Some(vec![3, 4, 5]));
        assert_eq!(changes.since(4), Some(vec![5]));
        assert_eq!(changes.since(5), Some(vec![]));
        assert_eq!(changes.since(6), None);
    }

    #[test]
    fn what_it_keeps_beside_the_table_is_bounded_in_bytes() {
        const MAX: usize = 256 * 1024;
        let options = RegistryOptions { max_history_bytes: MAX, ..Default::default() };
        let mut changes = Changes::kept_with(&options);
        for round in 0..200 {
            changes.register(1, &format!(r#"{{"round":{round},"text":"{}"}}"#, "x".repeat(3500)));
            if round % 10 == 9 {
                changes.unregister(1);
            }
            let mut kept = 0;
            for event in &changes.history.events {
                let Change { kind, row, replaced, .. } = &event.change;
                for reader in [Reader::Ages, Reader::Owners] {
                    let ttl = options.ttl;
                    kept += event.frame(*kind, "", reader, |row, at| row.record(ttl, at)).len();
                }
                kept += replaced.as_ref().map_or(0, |entry| entry.reply.len());
                kept += if kind.is_departure() { row.entry.reply.len() } else { 0 };
            }
            assert!(kept <= MAX, "{kept} bytes after {round} rounds");
        }
        // It is no less than that for nothing: the last ones are there.
        assert_eq!(changes.since(changes.history.last - 10).map(|last| last.len()), Some(10));
    }

    #[test]
    fn many_small_changes_are_bounded_by_their_number_only() {
        let options = RegistryOptions::default();
        let mut changes = Changes::kept_with(&options);
        for port in 1..=5000 {
            changes.register(port, r#"{"service":"calculator","version":"1.2.3","contract":"x"}"#);
        }
        assert_eq!(changes.history.events.len(), options.max_history);
    }
}
