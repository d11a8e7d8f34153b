//! The recent lines of all daemons, which are printed in order of time once they are there.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::QUIET;
use super::source::{Ended, Event, Line};

/// Text that waits to be sorted, in bytes; then it is printed, and what follows is live.
const MAX_BYTES: usize = 16 << 20;

/// What the daemons sent first.
#[derive(Default)]
pub(super) struct Recent {
    pub(super) lines: Vec<Line>,
    bytes: usize,
    /// Daemons that send their log.
    pub(super) started: BTreeSet<String>,
    /// Daemons that do not, or no longer.
    pub(super) ended: Vec<Ended>,
}

impl Recent {
    /// Waits for the recent lines of as many daemons as expected; for the first line of each at most
    /// `timeout`.
    pub(super) async fn of(
        expected: usize,
        events: &mut Receiver<Event>,
        timeout: Duration,
    ) -> Self {
        let mut recent = Self::default();
        let mut last = Instant::now() + timeout;
        let mut end = last;
        while recent.ended.len() < expected && recent.bytes < MAX_BYTES {
            match timeout_at(end, events.recv()).await {
                Ok(Some(event)) => recent.add(event),
                Ok(None) | Err(_) => break,
            }
            if recent.started.len() + recent.ended.len() >= expected {
                // A log that never pauses must not hold back the others.
                last = last.min(Instant::now() + 4 * QUIET);
                end = last.min(Instant::now() + QUIET);
            }
        }
        recent
    }

    /// Those of `names` that have said nothing, not even that they send no log.
    pub(super) fn silent<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = &'a String> {
        let has_ended = |name: &String| self.ended.iter().any(|ended| ended.name == *name);
        names.iter().filter(move |name| !self.started.contains(*name) && !has_ended(name))
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Started(name) => {
                self.started.insert(name);
            }
            Event::Line(line) => {
                self.bytes += line.line.text().len();
                self.lines.push(line);
            }
            Event::Ended(ended) => self.ended.push(ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_wire::report::{Level, LogLine};
    use serde_json::{Map, Value};

    /// A line of one MiB and more, in its message or in a field.
    fn line(seq: u64) -> Line {
        let large = || "x".repeat(1 << 20);
        let is_field = seq.is_multiple_of(2);
        let fields = match is_field {
            true => Map::from_iter([("f".to_owned(), Value::from(large()))]),
            false => Map::new(),
        };
        let message = if is_field { String::new() } else { large() };
        let line = LogLine {
            seq,
            at_ms: seq,
            level: Level::Info,
            target: "t".to_owned(),
            message,
            fields,
        };
        Line { name: "a:1".to_owned(), line, dropped: 0 }
    }

    #[tokio::test]
    async fn recent_lines_wait_for_a_slow_daemon_only_while_there_is_room() {
        let (sender, mut events) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let _ = sender.send(Event::Started("a:1".to_owned())).await;
            for seq in 0..100 {
                let _ = sender.send(Event::Line(line(seq))).await;
            }
            // The channel stays open, and the second daemon silent.
            std::future::pending::<()>().await;
        });
        let hour = Duration::from_secs(3600);
        let recent = Recent::of(2, &mut events, hour);
        let recent = tokio::time::timeout(Duration::from_secs(20), recent).await.unwrap();
        assert_eq!((recent.lines.len(), recent.started.len()), (16, 1));
        assert!(matches!(events.recv().await, Some(Event::Line(line)) if line.line.seq == 16));
    }
}
