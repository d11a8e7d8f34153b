//! A bounded ring of log lines that any number of readers can follow.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use rpc_wire::report::{Level, LogLine, LogSearch};

/// Limits of a ring, and what it reports.
#[derive(Debug, Clone)]
pub(super) struct RingOptions {
    /// Maximum lines kept.
    pub(super) lines: usize,
    /// Maximum bytes kept, approximately.
    pub(super) bytes: usize,
    /// The minimum level of the lines.
    pub(super) level: Level,
    /// Lines that the process's writers (terminal, file) lost.
    pub(super) lost: Lost,
}

/// Default of the maximum bytes in a ring.
pub const DEFAULT_RING_BYTES: usize = 16 * 1024 * 1024;

/// Lines a follower examines before it yields to other tasks.
const BATCH: usize = 128;

/// The recent lines of one daemon. Cheap to clone: all clones are the same ring.
///
/// When it is full the oldest lines are dropped; a follower that had not read them gets their
/// number.
#[derive(Debug, Clone)]
pub struct LogRing {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: RingOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    /// The `seq` of the next line.
    next: u64,
    closed: bool,
    last_follower: u64,
    /// Followers waiting for the next line, by their number.
    waiting: HashMap<u64, Waker>,
}

impl LogRing {
    /// An empty ring of at most `capacity` lines (and [`DEFAULT_RING_BYTES`]), outside any
    /// [`Logging`](super::Logging).
    pub fn new(capacity: usize) -> Self {
        Self::with(RingOptions {
            lines: capacity,
            bytes: DEFAULT_RING_BYTES,
            level: Level::Info,
            lost: Lost::default(),
        })
    }

    pub(super) fn with(options: RingOptions) -> Self {
        Self { shared: Arc::new(Shared { options, state: Mutex::default() }) }
    }

    /// Appends a line; its `seq` is set here.
    pub fn push(&self, mut line: LogLine) {
        let woken = {
            let mut state = self.shared.lock();
            if state.closed {
                return;
            }
            line.seq = state.next;
            state.next += 1;
            state.bytes += size(&line);
            state.lines.push_back(Arc::new(line));
            state.make_room(&self.shared.options);
            std::mem::take(&mut state.waiting)
        };
        // Outside the lock: a waker runs foreign code.
        woken.into_values().for_each(Waker::wake);
    }

    /// Follows the ring: first the last `recent` matching lines, then every new one. A line matches
    /// if it is at least as severe as `level` and contains `contains`, ignoring case (empty: all
    /// do).
    pub fn follow(&self, recent: usize, level: Level, contains: &str) -> LogFollower {
        let (next, id) = {
            let mut state = self.shared.lock();
            state.last_follower += 1;
            (state.next, state.last_follower)
        };
        LogFollower {
            shared: Arc::clone(&self.shared),
            id,
            past: Some(Past { before: next, wanted: recent, found: VecDeque::new() }),
            ready: VecDeque::new(),
            next,
            dropped: 0,
            search: LogSearch::new(level, contains),
        }
    }

    /// The last `count` lines, oldest first.
    pub fn recent(&self, count: usize) -> Vec<LogLine> {
        let lines = self.shared.lock().lines.clone();
        let skip = lines.len().saturating_sub(count);
        lines.iter().skip(skip).map(|line| LogLine::clone(line)).collect()
    }

    /// Lines that the process's writers (terminal, file) lost because they could not keep up. The
    /// lines a follower lost are reported to that follower.
    pub fn dropped(&self) -> u64 {
        self.shared.options.lost.total()
    }

    /// The minimum level of the lines, as the process is configured.
    pub fn level(&self) -> Level {
        self.shared.options.level
    }

    /// Closes the ring: followers read what it has and end.
    pub fn close(&self) {
        let woken = {
            let mut state = self.shared.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        woken.into_values().for_each(Waker::wake);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in here panics halfway through a change, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self, options: &RingOptions) {
        // The newest line stays even if it alone exceeds the limit of bytes.
        while self.lines.len() > options.lines.max(1)
            || (self.bytes > options.bytes && self.lines.len() > 1)
        {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= size(&oldest);
        }
    }

    /// The `seq` of the oldest line kept.
    fn oldest(&self) -> u64 {
        self.next - self.lines.len() as u64
    }
}

/// Approximate memory of a line.
fn size(line: &LogLine) -> usize {
    let fields: usize = line.fields.iter().map(|(k, v)| k.len() + 64 + text_length(v)).sum();
    128 + line.target.len() + line.message.len() + fields
}

fn text_length(value: &serde_json::Value) -> usize {
    value.as_str().map_or(0, str::len)
}

/// A reader of a [`LogRing`]. Dropping it unsubscribes.
#[derive(Debug)]
pub struct LogFollower {
    shared: Arc<Shared>,
    id: u64,
    /// While it looks for the lines from before.
    past: Option<Past>,
    /// Lines taken from the ring, not yet examined or returned.
    ready: VecDeque<Arc<LogLine>>,
    /// The `seq` of the first line not taken.
    next: u64,
    /// Lost since the last line returned.
    dropped: u64,
    search: LogSearch,
}

/// A look back from the newest line to the oldest.
#[derive(Debug)]
struct Past {
    /// The `seq` of the oldest line examined.
    before: u64,
    /// Further lines wanted.
    wanted: usize,
    /// Those that matched, oldest first.
    found: VecDeque<Arc<LogLine>>,
}

/// A line, and the number of lines lost just before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// The line.
    pub line: LogLine,
    /// Lines dropped by the ring before this follower read them, matching or not.
    pub dropped: u64,
}

impl LogFollower {
    /// Waits for the next matching line. `None` when the ring is closed and read to the end.
    pub async fn next(&mut self) -> Option<Followed> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Followed>> {
        if !self.look_back() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(found) = self.next_ready() {
            return Poll::Ready(Some(found));
        }
        {
            let mut state = self.shared.lock();
            let oldest = state.oldest();
            self.dropped += oldest.saturating_sub(self.next);
            self.next = self.next.max(oldest);
            let skip = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
            self.ready.extend(state.lines.iter().skip(skip).take(BATCH).cloned());
            self.next += self.ready.len() as u64;
            if self.ready.is_empty() {
                if state.closed {
                    return Poll::Ready(None);
                }
                state.waiting.insert(self.id, context.waker().clone());
                return Poll::Pending;
            }
        }
        match self.next_ready() {
            Some(found) => Poll::Ready(Some(found)),
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// Examines the next batch of lines from before; `true` when there are no more to look for.
    fn look_back(&mut self) -> bool {
        let Some(past) = &mut self.past else { return true };
        let batch: Vec<_> = {
            let state = self.shared.lock();
            let oldest = state.oldest();
            let end = usize::try_from(past.before.saturating_sub(oldest)).unwrap_or(0);
            state.lines.range(end.saturating_sub(BATCH)..end).cloned().collect()
        };
        past.before = past.before.saturating_sub(batch.len() as u64);
        for line in batch.iter().rev() {
            if past.wanted > 0 && self.search.finds(line) {
                past.wanted -= 1;
                past.found.push_front(Arc::clone(line));
            }
        }
        if past.wanted > 0 && !batch.is_empty() {
            return false;
        }
        // They are few, and examined a second time when they are returned.
        self.ready = std::mem::take(&mut past.found);
        self.past = None;
        true
    }

    fn next_ready(&mut self) -> Option<Followed> {
        while let Some(line) = self.ready.pop_front() {
            if self.search.finds(&line) {
                let dropped = std::mem::take(&mut self.dropped);
                return Some(Followed { line: LogLine::clone(&line), dropped });
            }
        }
        None
    }
}

impl Stream for LogFollower {
    type Item = Followed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Followed>> {
        self.poll(context)
    }
}

impl Drop for LogFollower {
    fn drop(&mut self) {
        self.shared.lock().waiting.remove(&self.id);
    }
}

/// Counts what the writers of a process lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    writers: Arc<Mutex<Vec<tracing_appender::non_blocking::ErrorCounter>>>,
    other: Arc<AtomicU64>,
}

impl Lost {
    pub(super) fn watch(&self, writer: tracing_appender::non_blocking::ErrorCounter) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
    }

    pub(super) fn one(&self) {
        self.other.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let lost: usize = writers.iter().map(|writer| writer.dropped_lines()).sum();
        lost as u64 + self.other.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn line(level: Level, message: &str) -> LogLine {
        LogLine {
            seq: 0,
            at_ms: 0,
            level,
            target: "t".to_owned(),
            message: message.to_owned(),
            fields: serde_json::Map::new(),
        }
    }

    fn messages(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| line.message.as_str()).collect()
    }

    #[test]
    fn a_full_ring_forgets_the_oldest_and_keeps_counting() {
        let ring = LogRing::new(3);
        for message in ["a", "b", "c", "d", "e"] {
            ring.push(line(Level::Info, message));
        }
        assert_eq!(messages(&ring.recent(10)), ["c", "d", "e"]);
        assert_eq!(messages(&ring.recent(1)), ["e"]);
        assert_eq!(ring.recent(1)[0].seq, 4);
    }

    #[test]
    fn bytes_are_bounded_as_well_as_lines() {
        let ring = LogRing::with(RingOptions {
            lines: 1000,
            bytes: 10_000,
            level: Level::Info,
            lost: Lost::default(),
        });
        for _ in 0..100 {
            ring.push(line(Level::Info, &"x".repeat(4000)));
        }
        assert_eq!(ring.recent(1000).len(), 2);
    }

    #[tokio::test]
    async fn a_follower_gets_the_recent_matching_lines_and_then_the_new_ones() {
        let ring = LogRing::new(100);
        for n in 0..10 {
            ring.push(line(Level::Info, &format!("old {n}")));
            ring.push(line(Level::Debug, &format!("noise {n}")));
        }
        let mut follower = ring.follow(2, Level::Info, "OLD");
        assert_eq!(follower.next().await.unwrap().line.message, "old 8");
        assert_eq!(follower.next().await.unwrap().line.message, "old 9");
        let later = ring.clone();
        let writer = tokio::spawn(async move {
            later.push(line(Level::Error, "other"));
            later.push(line(Level::Error, "older"));
        });
        let found = follower.next().await.unwrap();
        assert_eq!((found.line.message.as_str(), found.dropped), ("older", 0));
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_follower_that_lags_learns_how_much_it_lost() {
        let ring = LogRing::new(5);
        let mut follower = ring.follow(0, Level::Trace, "");
        for n in 0..12 {
            ring.push(line(Level::Info, &n.to_string()));
        }
        let found = follower.next().await.unwrap();
        assert_eq!((found.line.message.as_str(), found.dropped), ("7", 7));
        assert_eq!(follower.next().await.unwrap().dropped, 0);
    }

    #[tokio::test]
    async fn a_closed_ring_is_read_to_its_end() {
        let ring = LogRing::new(5);
        ring.push(line(Level::Info, "last"));
        let follower = ring.follow(5, Level::Trace, "");
        ring.close();
        ring.push(line(Level::Info, "too late"));
        let lines: Vec<_> = follower.collect().await;
        assert_eq!(lines.len(), 1);
    }

    #[tokio::test]
    async fn many_lines_that_do_not_match_do_not_block_other_tasks() {
        let ring = LogRing::new(10_000);
        let mut follower = ring.follow(0, Level::Trace, "needle");
        for _ in 0..5000 {
            ring.push(line(Level::Info, "hay"));
        }
        let mut context = Context::from_waker(Waker::noop());
        assert!(follower.poll(&mut context).is_pending());
        assert_eq!(follower.next, BATCH as u64, "one turn looks at one batch");
        ring.push(line(Level::Info, "needle"));
        assert_eq!(follower.next().await.unwrap().line.message, "needle");
    }

    #[tokio::test]
    async fn a_look_back_over_many_lines_is_done_in_batches() {
        let ring = LogRing::new(10_000);
        ring.push(line(Level::Info, "needle 1"));
        for _ in 0..5000 {
            ring.push(line(Level::Info, "hay"));
        }
        ring.push(line(Level::Info, "needle 2"));
        let mut follower = ring.follow(3, Level::Trace, "needle");
        let mut context = Context::from_waker(Waker::noop());
        assert!(follower.poll(&mut context).is_pending());
        let before = follower.past.as_ref().unwrap().before;
        assert_eq!(before, 5002 - BATCH as u64, "one turn looks at one batch");
        ring.push(line(Level::Info, "needle 3"));
        for number in 1..=3 {
            let found = follower.next().await.unwrap();
            assert_eq!((found.line.message, found.dropped), (format!("needle {number}"), 0));
        }
    }

    #[test]
    fn a_dropped_follower_leaves_nothing_behind() {
        let ring = LogRing::new(5);
        let mut follower = ring.follow(0, Level::Trace, "");
        let mut context = Context::from_waker(Waker::noop());
        assert!(follower.poll(&mut context).is_pending());
        assert_eq!(ring.shared.lock().waiting.len(), 1);
        drop(follower);
        assert!(ring.shared.lock().waiting.is_empty());
    }
}
