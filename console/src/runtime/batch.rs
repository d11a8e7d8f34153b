//! Groups log lines, so that a fast log wakes the screen only a few times a second.

use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rpc_wire::report::LogLine;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use rpc_console_core::message::Msg;
use rpc_console_core::model::logs::{Source, bounded, size};

/// How long the first line of a batch waits for further lines.
const GATHER: Duration = Duration::from_millis(200);
/// Lines in a batch at most.
const MAX_BATCH: usize = 500;
/// Memory of a batch at most, in bytes, or one line.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// Forwards lines until their stream ends or fails.
pub(super) async fn forward<E>(
    source: &Source,
    inbox: &mpsc::Sender<Msg>,
    seen: &mut Seen,
    lines: impl Stream<Item = Result<(LogLine, u64), E>>,
) -> Result<(), E> {
    let mut lines = pin!(lines);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut deadline = Instant::now();
    loop {
        let arrived = if batch.is_empty() {
            Some(lines.next().await)
        } else if batch.len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES {
            None
        } else {
            timeout_at(deadline, lines.next()).await.ok()
        };
        let ended = match arrived {
            Some(Some(Ok((line, dropped)))) => {
                if batch.is_empty() {
                    deadline = Instant::now() + GATHER;
                }
                if seen.is_new(&line) {
                    let line = bounded(line);
                    bytes += size(&line);
                    batch.push((line, dropped));
                }
                continue;
            }
            Some(Some(Err(error))) => Some(Err(error)),
            Some(None) => Some(Ok(())),
            None => None,
        };
        let full = std::mem::take(&mut batch);
        bytes = 0;
        let sent = full.is_empty() || inbox.send(Msg::Logs(source.clone(), full)).await.is_ok();
        match ended {
            Some(ended) => return ended,
            None if !sent => return Ok(()),
            None => {}
        }
    }
}

/// The newest line seen: after a reconnect, recent lines are sent again.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: Option<(u64, u64)>,
}

impl Seen {
    /// Whether the line is new. Time is compared first, because a restarted daemon numbers its
    /// lines from zero.
    fn is_new(&mut self, line: &LogLine) -> bool {
        let this = (line.at_ms, line.seq);
        let new = self.last.is_none_or(|last| this > last);
        if new {
            self.last = Some(this);
        }
        new
    }
}
