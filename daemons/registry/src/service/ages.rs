//! Heartbeat ages for watchers: taken once a second, written once for all watchers of a scope.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{Beat, WatchEvent};

use super::{Service, now};
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
    /// Built when the first watcher of a scope asks; there are at most as many as watchers.
    frames: Mutex<HashMap<Scope, Option<Bytes>>>,
}

impl Ages {
    /// The heartbeats of a scope; `None` if there were none.
    pub(super) fn of(&self, scope: &Scope) -> Option<Bytes> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = frames.get(scope) {
            return built.clone();
        }
        let at = self.at?;
        let rows = self.rows.iter().filter(|row| scope.contains(&row.entry));
        let ages: Vec<Beat> = rows.map(|row| row.age(at)).collect();
        let built = (!ages.is_empty()).then(|| frame(ages));
        frames.insert(scope.clone(), built.clone());
        built
    }
}

impl Service {
    /// Publishes a round every [`INTERVAL`] while anyone watches. Never returns.
    pub(super) async fn publish_ages(&self) {
        let mut last = now();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let since = std::mem::replace(&mut last, now());
            if self.ages.receiver_count() > 0 {
                let rows = self.lock().table.with_heartbeat_since(since);
                if !rows.is_empty() {
                    self.ages.send_replace(Arc::new(Ages {
                        rows,
                        at: Some(now()),
                        frames: Mutex::default(),
                    }));
                }
            }
        }
    }
}

fn frame(ages: Vec<Beat>) -> Bytes {
    let event: WatchEvent = WatchEvent::Beats(ages);
    // Values that came from JSON serialise.
    sse::event(event.name(), None, &event.data().unwrap_or_default())
}
