//! One watcher: a snapshot or the changes it missed, then every new change, as Server-Sent Events.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::ages::Ages;
use super::history::Event;
use super::{Answers, NoRoom, Reader, Service, now};
use crate::error::Refusal;
use crate::sse;
use crate::table::{ChangeKind, Row, Scope};

/// A watcher's position in the changes. It has no queue of its own: it takes the changes after its
/// revision from the shared history, and a new snapshot if it fell too far behind.
#[derive(Debug)]
pub(crate) struct Watcher {
    service: Arc<Service>,
    scope: Scope,
    reader: Reader,
    /// The revision it has; `None` before its first snapshot.
    revision: Option<u64>,
    pub(super) ready: VecDeque<Bytes>,
    changed: watch::Receiver<()>,
    ages: Option<watch::Receiver<Arc<Ages>>>,
}

/// Changes taken from the history at a time.
const BATCH: usize = 64;

/// Bytes of their events that are ready at a time; the last one may be beyond that. Late ones are each watcher's own.
const READY_BYTES: usize = 16 * 1024;

/// A change sent later than this after it happened is sent with current ages.
const STALE: Duration = Duration::from_secs(1);

impl Watcher {
    /// Watches a scope, starting after the event with the id `last` if it is known, with heartbeat
    /// ages if wanted.
    pub(crate) fn new(
        service: Arc<Service>,
        (scope, reader): (Scope, Reader),
        last: Option<&str>,
        beats: bool,
    ) -> Self {
        let revision = last.and_then(|id| service.revision_of(id));
        let changed = service.changed.subscribe();
        let ages = beats.then(|| service.ages.subscribe());
        let ready = VecDeque::new();
        Self { service, scope, reader, revision, ready, changed, ages }
    }

    /// Gets ready what is sent first.
    ///
    /// # Errors
    /// It is a snapshot, and too much is unread for another one.
    pub(crate) async fn start(&mut self) -> Result<(), Refusal> {
        if let Err(no_room) = self.catch_up().await {
            self.service.make_room(no_room.bytes).await?;
            self.catch_up().await?;
        }
        Ok(())
    }

    /// Waits for the next event to send; `None` if it fell behind and too much is unread for another
    /// snapshot: its reader must ask again.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        let keep_alive = self.service.options.keep_alive;
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            // Marked as seen before reading, so that no change in between is missed.
            self.changed.mark_unchanged();
            match self.catch_up().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(no_room) => {
                    self.service.make_room(no_room.bytes).await.ok()?;
                    continue;
                }
            }
            tokio::select! {
                Ok(()) = self.changed.changed() => {}
                frame = next_ages(&mut self.ages, &self.scope, self.reader, &self.service.answers) => {
                    return Some(frame);
                }
                () = tokio::time::sleep(keep_alive) => return Some(sse::comment()),
            }
        }
    }

    /// Takes the next changes; `true` if there were any, also outside its scope.
    async fn catch_up(&mut self) -> Result<bool, NoRoom> {
        let Some(missed) = self.revision.and_then(|revision| self.service.missed(revision)) else {
            let snapshot =
                self.service.snapshot((&self.scope, self.reader), self.revision.is_some()).await?;
            self.revision = Some(snapshot.revision);
            self.ready.push_back(snapshot.frame);
            return Ok(true);
        };
        let mut bytes = 0;
        for missed in &missed {
            let change = &missed.event.change;
            self.revision = Some(change.revision);
            let Some(kind) = self.scope.kind_of(change) else { continue };
            let frame = self.service.frame(missed, kind, self.reader);
            bytes += frame.len();
            self.ready.push_back(frame);
            if bytes >= READY_BYTES {
                break;
            }
        }
        Ok(!missed.is_empty())
    }
}

/// A change that a watcher has not been sent.
struct Missed {
    event: Arc<Event>,
    /// The instance's current state, if the change is old and it is still listed.
    current: Option<Row>,
}

impl Service {
    /// The revision in an event id of this run of the registry.
    fn revision_of(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.epoch)?.strip_prefix('.')?.parse().ok()
    }

    /// The next changes after `revision`; `None` if not all of them are kept.
    fn missed(&self, revision: u64) -> Option<Vec<Missed>> {
        let state = self.lock();
        let now = now();
        let missed = state.history.since(revision)?.take(BATCH).map(|event| {
            let change = &event.change;
            let has_ages = !change.kind.is_departure();
            let stale = has_ages && now.saturating_duration_since(change.at) > STALE;
            let current = || state.table.row(&change.row.entry.key);
            Missed { event: Arc::clone(event), current: stale.then(current).flatten() }
        });
        Some(missed.collect())
    }

    fn frame(&self, missed: &Missed, kind: ChangeKind, reader: Reader) -> Bytes {
        let Missed { event, current } = missed;
        match current {
            Some(row) => event.frame_of(kind, row, &self.epoch, || self.record(row, reader, now())),
            None => event.frame(kind, &self.epoch, reader, |row, at| self.record(row, reader, at)),
        }
    }
}

/// Waits for the next round of ages for this watcher; for ever if none are wanted.
async fn next_ages(
    ages: &mut Option<watch::Receiver<Arc<Ages>>>,
    scope: &Scope,
    reader: Reader,
    answers: &Arc<Answers>,
) -> Bytes {
    if let Some(ages) = ages {
        while ages.changed().await.is_ok() {
            if let Some(frame) = ages.borrow_and_update().of(scope, reader, answers) {
                return frame;
            }
        }
    }
    std::future::pending().await
}
