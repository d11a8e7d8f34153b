//! Refusals for want of a token or a role: held back a little, and of one peer only so many are explained.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::shares::group;

/// How long a refusal is held back.
pub const DELAY: Duration = Duration::from_millis(100);
/// One refusal in this time is explained to a peer, in the long run.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many at once.
const BURST: u32 = 50;
/// Peers that are told apart; those beyond share a count with one of them, which refuses nobody.
const COUNTS: usize = 4096;

/// The refusals of all peers, in memory of one size: 32 KiB, taken with the first.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: OnceLock<Counts>,
}

#[derive(Debug)]
struct Counts {
    start: Instant,
    hasher: RandomState,
    /// Of each peer, in milliseconds since the start, when all of its refusals would have been due.
    due: Box<[AtomicU64]>,
}

/// The peer was refused too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many refused requests from this address; wait, and send a token with the role that they need"
)]
pub struct TooMany;

impl Refusals {
    /// Notes that a request of the peer was refused.
    ///
    /// # Errors
    /// It is one of too many.
    pub fn note(&self, peer: IpAddr, now: Instant) -> Result<(), TooMany> {
        let counts = self.counts.get_or_init(|| Counts::new(now));
        let now = milliseconds(now.saturating_duration_since(counts.start));
        let (interval, most) = (milliseconds(INTERVAL), milliseconds(INTERVAL * BURST));
        let next = |due: u64| {
            let next = due.max(now) + interval;
            (next <= now + most).then_some(next)
        };
        let noted = counts.of(peer).fetch_update(Relaxed, Relaxed, next);
        noted.map(drop).map_err(|_| TooMany)
    }
}

impl Counts {
    fn new(start: Instant) -> Self {
        let due = (0..COUNTS).map(|_| AtomicU64::new(0)).collect();
        Self { start, hasher: RandomState::new(), due }
    }

    fn of(&self, peer: IpAddr) -> &AtomicU64 {
        let hash = self.hasher.hash_one(group(peer));
        // The remainder is less than their number.
        &self.due[(hash % COUNTS as u64) as usize]
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_so_many_reasons_at_once_and_so_many_in_the_long_run() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let peer = IpAddr::from([10, 0, 0, 1]);
        let explained = |after: Duration, tries: u32| {
            (0..tries).filter(|_| refusals.note(peer, start + after).is_ok()).count()
        };
        assert_eq!(explained(Duration::ZERO, 2 * BURST), BURST as usize);
        assert_eq!(explained(10 * INTERVAL, BURST), 10);
        assert_eq!(explained(10 * INTERVAL, BURST), 0);
        assert_eq!(explained(1000 * INTERVAL, 2 * BURST), BURST as usize);
    }

    #[test]
    fn the_refusals_of_one_peer_do_not_count_for_another() {
        let refusals = Refusals::default();
        let now = Instant::now();
        while refusals.note([10, 0, 0, 1].into(), now).is_ok() {}
        // One of these may share the count.
        let others = (0..10).filter(|last| refusals.note([10, 0, 1, *last].into(), now).is_ok());
        assert!(others.count() >= 9);
    }
}
