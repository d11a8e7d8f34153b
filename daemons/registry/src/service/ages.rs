//! Heartbeat ages for watchers: built once a second for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{Beat, WatchEvent};

use super::{Service, now};
use crate::sse;
use crate::table::Row;

/// Interval between rounds of ages.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The heartbeats of one interval as Server-Sent Events. They change no revision, so they have no
/// id; a watcher that misses a round gets the next.
#[derive(Debug, Default)]
pub(super) struct Ages {
    all: Bytes,
    by_protocol: BTreeMap<String, Bytes>,
}

impl Ages {
    fn build(rows: &[Row], now: Instant) -> Self {
        let mut by_protocol = BTreeMap::<String, Vec<Beat>>::new();
        for row in rows {
            let age = row.age(now);
            by_protocol.entry(age.key.protocol.clone()).or_default().push(age);
        }
        let by_protocol: BTreeMap<_, _> =
            by_protocol.into_iter().map(|(protocol, ages)| (protocol, frame(ages))).collect();
        let all = match by_protocol.first_key_value() {
            Some((_, only)) if by_protocol.len() == 1 => only.clone(),
            _ => frame(rows.iter().map(|row| row.age(now)).collect()),
        };
        Self { all, by_protocol }
    }

    /// The heartbeats of a protocol, or all; `None` if there were none.
    pub(super) fn of(&self, protocol: Option<&str>) -> Option<Bytes> {
        match protocol {
            Some(protocol) => self.by_protocol.get(protocol).cloned(),
            None => (!self.all.is_empty()).then(|| self.all.clone()),
        }
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
                    self.ages.send_replace(Arc::new(Ages::build(&rows, now())));
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
