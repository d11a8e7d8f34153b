//! Heartbeat ages for those who watch them: put together once a second, for all at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rpc_wire::instance::{Beat, WatchEvent};

use super::{Service, now};
use crate::sse;
use crate::table::Row;

/// Between two rounds of ages.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The heartbeats of one interval as Server-Sent Events. They change no revision, so they carry no
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
            let beat = row.age(now);
            by_protocol.entry(beat.key.protocol.clone()).or_default().push(beat);
        }
        let by_protocol: BTreeMap<_, _> =
            by_protocol.into_iter().map(|(protocol, beats)| (protocol, frame(beats))).collect();
        let all = match by_protocol.first_key_value() {
            Some((_, only)) if by_protocol.len() == 1 => only.clone(),
            _ => frame(rows.iter().map(|row| row.age(now)).collect()),
        };
        Self { all, by_protocol }
    }

    /// Those of a protocol, or all; `None` when there were none.
    pub(super) fn of(&self, protocol: Option<&str>) -> Option<Bytes> {
        match protocol {
            Some(protocol) => self.by_protocol.get(protocol).cloned(),
            None => (!self.all.is_empty()).then(|| self.all.clone()),
        }
    }
}

impl Service {
    /// Publishes a round every [`INTERVAL`] while somebody watches. Never ends by itself.
    pub(super) async fn publish_ages(&self) {
        let mut last = now();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let since = std::mem::replace(&mut last, now());
            if self.ages.receiver_count() > 0 {
                let rows = self.lock().table.beaten_since(since);
                if !rows.is_empty() {
                    self.ages.send_replace(Arc::new(Ages::build(&rows, now())));
                }
            }
        }
    }
}

fn frame(beats: Vec<Beat>) -> Bytes {
    let event: WatchEvent = WatchEvent::Beats(beats);
    // What came from JSON goes back into JSON.
    sse::event(event.name(), None, &event.data().unwrap_or_default())
}
