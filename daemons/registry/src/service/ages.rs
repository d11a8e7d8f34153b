//! Heartbeat ages for watchers: taken once a second, written once for all watchers of a scope.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{Beat, WatchEvent};

use super::{Answers, Reader, Service, now};
use crate::sse;
use crate::table::{Row, Scope};

/// Interval between rounds of ages.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The heartbeats of one interval. As Server-Sent Events they change no revision, so they have no
/// id; a watcher that misses a round gets the next.
#[derive(Debug, Default)]
pub(super) struct Ages {
    rows: Vec<Row>,
    at: Option<Instant>,
    /// Those that other registries take, for readers that need an age of each.
    foreign: Vec<Row>,
    /// The age of these: for how long nothing was heard of the cluster.
    unheard: Duration,
    /// Built when the first watcher of a scope asks; there are at most as many as watchers.
    frames: Mutex<HashMap<(Scope, Reader), Option<Bytes>>>,
}

impl Ages {
    /// The heartbeats of a scope; `None` if there were none, or too much is unread for them.
    pub(super) fn of(
        &self,
        scope: &Scope,
        reader: Reader,
        answers: &Arc<Answers>,
    ) -> Option<Bytes> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (scope.clone(), reader);
        if let Some(built) = frames.get(&key) {
            return built.clone();
        }
        let at = self.at?;
        let is_of = |row: &&Row| scope.contains(&row.entry, &row.owner);
        let mut ages: Vec<Beat> = self.rows.iter().filter(is_of).map(|row| row.age(at)).collect();
        if reader == Reader::Ages {
            let age_ms = u64::try_from(self.unheard.as_millis()).unwrap_or(u64::MAX);
            let beat = |row: &Row| Beat { key: row.entry.key.clone(), age_ms, heartbeats: 0 };
            ages.extend(self.foreign.iter().filter(is_of).map(beat));
        }
        let built = (!ages.is_empty()).then(|| frame(ages));
        let fits = |frame: &Bytes| answers.check_room(frame.len()).is_ok();
        let built = built.filter(fits).map(|frame| answers.keep(frame));
        frames.insert(key, built.clone());
        built
    }

    /// Drops what is kept for readers to come.
    pub(super) fn forget(&self) {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Service {
    /// Publishes a round every [`INTERVAL`] while anyone watches. Never returns.
    pub(super) async fn publish_ages(&self) {
        let mut last = now();
        let mut told = now();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let since = std::mem::replace(&mut last, now());
            if self.ages.receiver_count() == 0 {
                continue;
            }
            // As often as a server sends its heartbeats.
            let is_due = now().saturating_duration_since(told) >= self.options.ttl / 2;
            let shares = self.membership().filter(|_| is_due);
            let (rows, foreign) = {
                let table = &self.lock().table;
                let foreign = shares.map(|_| table.foreign_rows()).unwrap_or_default();
                (table.with_heartbeat_since(since), foreign)
            };
            if rows.is_empty() && foreign.is_empty() {
                continue;
            }
            if !foreign.is_empty() {
                told = now();
            }
            let unheard = shares.and_then(|shares| shares.cut_off(now())).unwrap_or_default();
            let (at, frames) = (Some(now()), Mutex::default());
            self.ages.send_replace(Arc::new(Ages { rows, at, foreign, unheard, frames }));
        }
    }
}

fn frame(ages: Vec<Beat>) -> Bytes {
    let event: WatchEvent = WatchEvent::Beats(ages);
    // Values that came from JSON serialise.
    sse::event_of(&event, None, 0)
}
