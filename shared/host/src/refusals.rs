//! How often a peer may be refused: who is refused too often is slowed down, and told to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::shares::group;

/// The refusals of late, by peer. Pure: the time is an argument.
#[derive(Debug, Default)]
pub struct Refusals {
    peers: HashMap<IpAddr, Bucket>,
}

/// What a refusal costs its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// How long the reply waits.
    pub delay: Duration,
    /// It was refused so often that it is only told to wait for this long.
    pub wait: Option<Duration>,
}

/// Refusals that a peer has left, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Refusals of a peer in a row; then one in a second.
const MAX_REFUSALS: f64 = 20.0;
/// Peers that are remembered; at the limit those are forgotten who have not been refused lately.
const MAX_PEERS: usize = 10_000;
/// How long the reply of one that is refused too often waits.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

impl Bucket {
    fn full(at: Instant) -> Self {
        Self { left: MAX_REFUSALS, at }
    }

    fn at(self, now: Instant) -> Self {
        let regained = now.saturating_duration_since(self.at).as_secs_f64();
        Self { left: (self.left + regained).min(MAX_REFUSALS), at: now }
    }

    fn is_full(self) -> bool {
        self.left >= MAX_REFUSALS
    }
}

impl Refusals {
    /// Notes that a peer (IPv6: a /64) is refused, and says what that costs it.
    pub fn note(&mut self, peer: IpAddr, now: Instant) -> Cost {
        let peer = group(peer);
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&peer) {
            self.peers.retain(|_, bucket| !bucket.at(now).is_full());
            if self.peers.len() >= MAX_PEERS {
                // So many at once are one attacker.
                return Cost { delay: LONGEST_DELAY, wait: Some(LONGEST_DELAY) };
            }
        }
        let bucket = self.peers.entry(peer).or_insert_with(|| Bucket::full(now));
        *bucket = bucket.at(now);
        if bucket.left < 1.0 {
            return Cost { delay: LONGEST_DELAY, wait: Some(LONGEST_DELAY) };
        }
        bucket.left -= 1.0;
        // The first ones are mistakes: they cost next to nothing.
        let share = 1.0 - bucket.left / MAX_REFUSALS;
        Cost { delay: LONGEST_DELAY.mul_f64(share * share * share), wait: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusals_cost_little_and_many_make_a_peer_wait_until_time_has_passed() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        let peer = IpAddr::from([10, 0, 0, 1]);
        let first = refusals.note(peer, start);
        assert!(first.wait.is_none() && first.delay < Duration::from_millis(1), "{first:?}");
        let mut delays = vec![first.delay];
        for _ in 1..20 {
            let cost = refusals.note(peer, start);
            assert_eq!(cost.wait, None);
            delays.push(cost.delay);
        }
        assert!(delays.is_sorted() && delays[19] == LONGEST_DELAY, "{delays:?}");
        assert!(refusals.note(peer, start).wait.is_some());
        assert_eq!(refusals.note([10, 0, 0, 2].into(), start).wait, None, "others are not meant");
        assert_eq!(refusals.note(peer, start + Duration::from_secs(1)).wait, None);
        assert_eq!(refusals.note(peer, start + Duration::from_secs(60)), first);
    }

    #[test]
    fn many_peers_take_bounded_memory() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        let peer = |at: u32| IpAddr::from(at.to_be_bytes());
        let most = u32::try_from(MAX_PEERS).unwrap();
        let waits = (0..most + 9).filter(|at| refusals.note(peer(*at), start).wait.is_some());
        assert_eq!(waits.count(), 9);
        let later = start + Duration::from_secs(2);
        assert_eq!(refusals.note(peer(most + 9), later).wait, None);
        assert_eq!(refusals.peers.len(), 1);
    }
}
