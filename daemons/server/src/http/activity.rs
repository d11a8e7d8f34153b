//! What a connection is doing: what the limits of its time depend on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rpc_host::watched::Watch;

/// After so long others have their turn before the next request, as on a JSON connection.
const TURN: Duration = Duration::from_millis(1);
/// There is no such time yet.
const NEVER: u64 = u64::MAX;

/// One connection. All that note and ask belong to one task.
#[derive(Debug)]
pub(super) struct Activity {
    since: Instant,
    /// Whether something waits for the peer to take it. Held by each request without a whole reply, too.
    is_writing: Arc<AtomicBool>,
    /// In nanoseconds since then, when something was written last.
    wrote: AtomicU64,
    /// Bytes have come since [`Activity::forget_reads`].
    was_read: AtomicBool,
    /// Bytes have come since the last request: a head that is not whole.
    has_part: AtomicBool,
    /// A request has begun since [`Activity::take_asked`].
    asked: AtomicBool,
    /// When it began to handle requests that came at once, without others having their turn.
    turn: AtomicU64,
}

/// A request without a whole reply, as long as it is held.
#[derive(Debug)]
pub(super) struct Asking(Arc<AtomicBool>);

impl Asking {
    /// Whether something that was to be written waits for the peer to take it.
    pub(super) fn is_writing(&self) -> bool {
        self.0.load(Relaxed)
    }
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            is_writing: Arc::default(),
            wrote: AtomicU64::new(0),
            was_read: AtomicBool::new(false),
            has_part: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            turn: AtomicU64::new(NEVER),
        }
    }

    pub(super) fn ask(&self) -> Asking {
        self.has_part.store(false, Relaxed);
        self.asked.store(true, Relaxed);
        Asking(Arc::clone(&self.is_writing))
    }

    /// Whether a request has begun since the last time.
    pub(super) fn take_asked(&self) -> bool {
        let asked = self.asked.load(Relaxed);
        self.asked.store(false, Relaxed);
        asked
    }

    pub(super) fn is_asking(&self) -> bool {
        Arc::strong_count(&self.is_writing) > 1
    }

    /// Since when the next head has been waited for, if it is: the reply before it is with the system.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let waits = !self.is_asking() && !self.is_writing.load(Relaxed);
        waits.then(|| self.since + Duration::from_nanos(self.wrote.load(Relaxed)))
    }

    /// Whether the next head has begun. One that came together with the request before it is not noticed.
    pub(super) fn has_part(&self) -> bool {
        self.has_part.load(Relaxed)
    }

    /// Whether anything has come since [`Self::forget_reads`].
    pub(super) fn was_read(&self) -> bool {
        self.was_read.load(Relaxed)
    }

    pub(super) fn forget_reads(&self) {
        self.was_read.store(false, Relaxed);
    }

    fn note_read(&self) {
        self.was_read.store(true, Relaxed);
        if !self.is_asking() {
            self.has_part.store(true, Relaxed);
        }
    }

    /// Others had their turn.
    pub(super) fn begin_turn(&self) {
        self.turn.store(NEVER, Relaxed);
    }

    /// Whether others should have theirs, before a request that is to be handled now.
    pub(super) fn turn_is_over(&self, now: Instant) -> bool {
        let now = self.nanos(now);
        let began = self.turn.load(Relaxed);
        if began == NEVER {
            self.turn.store(now, Relaxed);
            return false;
        }
        now.saturating_sub(began) >= TURN.as_nanos() as u64
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.since).as_nanos()).unwrap_or(NEVER)
    }
}

impl<S> Watch<S> for &Activity {
    fn read(&mut self, read: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = read {
            self.note_read();
        }
    }

    fn written(
        &mut self,
        _: &mut Context<'_>,
        _bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let is_ready = written.is_ready();
        self.is_writing.store(!is_ready, Relaxed);
        if is_ready {
            self.wrote.store(self.nanos(Instant::now()), Relaxed);
        }
        written
    }

    fn flushed(&mut self, flushed: &Poll<io::Result<()>>) {
        self.is_writing.store(flushed.is_pending(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use rpc_host::watched::Watched;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn a_connection_waits_for_a_head_from_its_last_reply_on() {
        let now = Instant::now();
        let activity = Activity::new(now);
        assert_eq!(activity.waits_since(), Some(now));
        let (asking, stream) = (activity.ask(), activity.ask());
        drop(asking);
        assert_eq!(activity.waits_since(), None, "its reply goes on");
        drop(stream);
        assert_eq!(activity.waits_since(), Some(now));
    }

    #[test]
    fn a_turn_begins_with_its_first_request() {
        let now = Instant::now();
        let activity = Activity::new(now);
        assert!(!activity.turn_is_over(now + TURN));
        assert!(!activity.turn_is_over(now + TURN * 3 / 2));
        assert!(activity.turn_is_over(now + TURN * 2));
        activity.begin_turn();
        assert!(!activity.turn_is_over(now + TURN * 9));
    }

    #[tokio::test]
    async fn what_is_written_counts_when_the_peer_takes_it() {
        let began = Instant::now();
        let activity = Activity::new(began);
        let (near, mut far) = duplex(4);
        let mut noted = Watched::new(near, &activity);
        let parts: Vec<u8> = (0..100).collect();
        let write = async {
            let mut rest = [&parts[..50], &parts[50..]].map(IoSlice::new);
            let mut rest = &mut rest[..];
            while !rest.is_empty() {
                let written = noted.write_vectored(rest).await.unwrap();
                IoSlice::advance_slices(&mut rest, written);
            }
        };
        let read = async {
            tokio::task::yield_now().await;
            assert_eq!(activity.waits_since(), None, "it has not taken all");
            let mut taken = vec![0; 100];
            far.read_exact(&mut taken).await.unwrap();
            taken
        };
        let ((), taken) = tokio::join!(write, read);
        assert_eq!(taken, parts);
        assert!(activity.waits_since() > Some(began));
    }
}
