//! What all connections keep for their peers, bounded in sum: input, calls that wait or are in
//! flight, output.
//!
//! A connection counts for what it keeps beyond a free share. Over the limit nothing more is read
//! from those that do, so that small calls go on; and of the peers that take nothing of their output
//! the one that makes the server keep most is disconnected.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// A request that is no longer is read in any case.
pub(crate) const SMALL_BYTES: usize = 4 * 1024;
/// What a connection may keep without being counted: a small request, in a buffer that has as much room again.
pub(crate) const FREE_BYTES: usize = 2 * SMALL_BYTES;
/// A peer that took nothing of its output for this long does not read.
const STALLED: Duration = Duration::from_secs(1);

/// What all connections of a server keep.
#[derive(Debug)]
pub(crate) struct Buffers {
    most: usize,
    started: Instant,
    kept: AtomicUsize,
    next: AtomicU64,
    /// Those that keep more than their free share.
    large: Mutex<HashMap<u64, Arc<Large>>>,
}

/// What one connection keeps.
#[derive(Debug)]
pub(crate) struct Account {
    buffers: Arc<Buffers>,
    number: u64,
    /// Beyond the free share.
    counted: usize,
    large: Option<Arc<Large>>,
    closing: CancellationToken,
}

#[derive(Debug)]
struct Large {
    bytes: AtomicUsize,
    /// Since when the peer has taken nothing, in milliseconds since the start; [`READS`] if it does.
    stalled_since: AtomicU64,
    /// Closes the connection.
    closing: CancellationToken,
}

const READS: u64 = u64::MAX;

impl Buffers {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            started: Instant::now(),
            kept: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            large: Mutex::default(),
        })
    }

    /// The account of a new connection, which `closing` closes.
    pub(crate) fn account(self: &Arc<Self>, closing: CancellationToken) -> Account {
        let number = self.next.fetch_add(1, Relaxed);
        Account { buffers: Arc::clone(self), number, counted: 0, large: None, closing }
    }

    /// Whether the limit is exceeded.
    pub(crate) fn are_full(&self) -> bool {
        self.kept() > self.most
    }

    /// What is kept beyond the free shares.
    pub(crate) fn kept(&self) -> usize {
        self.kept.load(Relaxed)
    }

    /// Disconnects the peer that makes the server keep most and reads nothing, unless those that are
    /// being disconnected make room enough.
    pub(crate) fn make_room(&self, now: Instant) {
        let large = self.large();
        let bytes = |large: &Large| large.bytes.load(Relaxed);
        let closing = large.values().filter(|large| large.closing.is_cancelled());
        if self.kept().saturating_sub(closing.map(|large| bytes(large)).sum()) <= self.most {
            return;
        }
        let stalled = self.millis(now).saturating_sub(STALLED.as_millis() as u64);
        let largest = large
            .values()
            .filter(|large| large.stalled_since.load(Relaxed) <= stalled)
            .filter(|large| !large.closing.is_cancelled())
            .max_by_key(|large| bytes(large));
        if let Some(largest) = largest {
            largest.closing.cancel();
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(READS - 1)
    }

    fn large(&self) -> MutexGuard<'_, HashMap<u64, Arc<Large>>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// The connection keeps so many bytes; since when its peer has taken none of its output.
    #[inline]
    pub(crate) fn set(&mut self, bytes: usize, stalled_since: Option<Instant>) {
        let counted = bytes.saturating_sub(FREE_BYTES);
        if counted != self.counted {
            self.count(counted);
        }
        if let Some(large) = &self.large {
            let since = stalled_since.map_or(READS, |since| self.buffers.millis(since));
            large.stalled_since.store(since, Relaxed);
        }
    }

    /// Whether nothing more may be read from the connection.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.counted > 0 && self.buffers.are_full()
    }

    fn count(&mut self, counted: usize) {
        let kept = &self.buffers.kept;
        if counted > self.counted {
            kept.fetch_add(counted - self.counted, Relaxed);
        } else {
            kept.fetch_sub(self.counted - counted, Relaxed);
        }
        self.counted = counted;
        match &self.large {
            Some(_) if counted == 0 => {
                self.large = None;
                self.buffers.large().remove(&self.number);
            }
            Some(large) => large.bytes.store(counted, Relaxed),
            None => {
                let large = Arc::new(Large {
                    bytes: AtomicUsize::new(counted),
                    stalled_since: AtomicU64::new(READS),
                    closing: self.closing.clone(),
                });
                self.buffers.large().insert(self.number, Arc::clone(&large));
                self.large = Some(large);
            }
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.count(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_the_free_share_counts_until_it_is_dropped() {
        let buffers = Buffers::new(100);
        let mut small = buffers.account(CancellationToken::new());
        let mut large = buffers.account(CancellationToken::new());
        small.set(FREE_BYTES, None);
        large.set(FREE_BYTES + 101, None);
        assert!(buffers.are_full() && large.is_over() && !small.is_over());
        large.set(FREE_BYTES + 100, None);
        assert!(!large.is_over());
        drop(large);
        assert_eq!((buffers.kept(), buffers.large().len()), (0, 0));
    }

    #[test]
    fn the_largest_of_those_that_read_nothing_is_closed_and_no_more_than_needed() {
        let buffers = Buffers::new(100);
        let tokens: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
        let mut accounts: Vec<_> =
            tokens.iter().map(|token| buffers.account(token.clone())).collect();
        let now = Instant::now() + Duration::from_secs(9);
        let stalled = Some(now - STALLED);
        accounts[0].set(FREE_BYTES + 50, stalled);
        accounts[1].set(FREE_BYTES + 60, stalled);
        accounts[2].set(FREE_BYTES + 90, None);
        accounts[3].set(FREE_BYTES + 70, Some(now));
        let closed = || tokens.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>();
        buffers.make_room(now);
        assert_eq!(closed(), [false, true, false, false]);
        buffers.make_room(now);
        assert_eq!(closed(), [true, true, false, false]);
        // Nobody else is known to read nothing.
        buffers.make_room(now);
        assert_eq!(closed(), [true, true, false, false]);
        drop(accounts);
        let mut last = buffers.account(CancellationToken::new());
        last.set(FREE_BYTES + 100, stalled);
        buffers.make_room(now);
        assert!(!last.closing.is_cancelled(), "there is room");
    }
}
