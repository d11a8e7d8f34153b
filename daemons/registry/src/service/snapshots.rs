//! Snapshots, shared by watchers that need one at about the same time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::WatchEvent;

use super::history::{self, RECORD_BYTES};
use super::refused::Refused;
use super::{NoRoom, Reader, Service, now};
use crate::table::Scope;

/// How long a snapshot may be shared: its ages are off by at most that.
const FRESH: Duration = Duration::from_secs(1);

/// Snapshots by scope. Only scopes with instances have one.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    shared: Mutex<HashMap<(Scope, Reader), Snapshot>>,
    refused: Refused,
}

/// All instances at a revision, as a Server-Sent Event.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) revision: u64,
    pub(super) frame: Bytes,
    made: Instant,
}

impl Snapshots {
    /// Drops snapshots that are too old to be shared.
    pub(super) fn forget_old(&self, now: Instant) {
        self.lock().retain(|_, snapshot| snapshot.is_fresh(now));
    }

    /// Drops all of them.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Scope, Reader), Snapshot>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < FRESH
    }
}

impl Service {
    /// A snapshot whose revision the history still reaches. A new watcher's is never older than the
    /// last change acknowledged before it asked; a watcher that fell behind may get one up to [`FRESH`] old.
    /// Those who wait for a build share the next one: a thousand watchers do not cause a thousand builds.
    ///
    /// # Errors
    /// It would have to be built, and too much is unread.
    pub(super) async fn snapshot(
        &self,
        (scope, reader): (&Scope, Reader),
        fell_behind: bool,
    ) -> Result<Snapshot, NoRoom> {
        let least = if fell_behind { 0 } else { self.lock().table.revision() };
        let _turn = self.building.lock().await;
        let key = (scope.clone(), reader);
        let known = self.snapshots.lock().get(&key).cloned();
        let (revision, rows, made, bytes) = {
            let state = self.lock();
            let now = now();
            let serves = |known: &Snapshot| {
                known.is_fresh(now)
                    && known.revision >= least
                    && state.history.since(known.revision).is_some()
            };
            if let Some(known) = known.filter(serves) {
                self.metrics.snapshots.inc();
                return Ok(known);
            }
            let refused = &self.snapshots.refused;
            refused.check(scope, &self.answers, now)?;
            let rows = state.table.rows(scope);
            let bytes = rows.iter().map(|row| RECORD_BYTES + row.entry.reply.len()).sum();
            refused.check_measured(scope, bytes, &self.answers, now)?;
            (state.table.revision(), rows, now, bytes)
        };
        self.metrics.snapshots.inc();
        let records = rows.iter().map(|row| self.record(row, reader, made)).collect();
        let event = WatchEvent::Snapshot(records);
        let frame = self.answers.keep(history::frame(&event, &self.epoch, revision, bytes));
        let snapshot = Snapshot { revision, frame, made };
        if !rows.is_empty() {
            self.snapshots.lock().insert(key, snapshot.clone());
        }
        Ok(snapshot)
    }
}
