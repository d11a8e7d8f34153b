//! Places that peers compete for: none of them may hold more than its share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How many of some places one peer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Share {
    /// A quarter of all, at least 256; all where there are fewer.
    #[default]
    Quarter,
    /// All: for a daemon behind a proxy, which is one peer.
    Whole,
    /// At most this many.
    AtMost(usize),
}

impl Share {
    /// The share of `whole`, in places.
    pub fn of(self, whole: usize) -> usize {
        const LEAST: usize = 256;
        match self {
            Self::Quarter => (whole / 4).max(LEAST).min(whole),
            Self::Whole => whole,
            Self::AtMost(most) => most.min(whole),
        }
    }
}

/// Places for connections, calls or streams. A place is free again when it is dropped.
#[derive(Debug)]
pub struct Shares {
    whole: usize,
    share: usize,
    /// Places beyond the whole for peers on this machine, such as health checks.
    for_loopback: usize,
    taken: AtomicUsize,
    /// Only peers that are known to somebody.
    peers: Mutex<HashMap<IpAddr, Weak<Known>>>,
}

/// A peer, looked up once: it takes places without being looked up again.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Known>);

#[derive(Debug)]
struct Known {
    shares: Arc<Shares>,
    address: IpAddr,
    /// Places that it holds.
    held: AtomicUsize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All places are taken; how many there are.
    Whole(usize),
    /// The peer holds its share; how much that is.
    Share(usize),
}

/// A place that is held.
#[derive(Debug)]
#[must_use = "a place is free again when it is dropped"]
pub struct Place(Arc<Known>);

impl Shares {
    /// `whole` places, of which one peer may hold its `share`.
    pub fn new(whole: usize, share: Share) -> Arc<Self> {
        Self::with_places_for_loopback(whole, share, 0)
    }

    /// The same, with further places for peers on this machine.
    pub fn with_places_for_loopback(whole: usize, share: Share, further: usize) -> Arc<Self> {
        Arc::new(Self {
            whole,
            share: share.of(whole),
            for_loopback: further,
            taken: AtomicUsize::new(0),
            peers: Mutex::default(),
        })
    }

    /// Takes a place for the peer.
    ///
    /// # Errors
    /// All are taken, or the peer holds its share.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Full> {
        self.peer(peer).take()
    }

    /// Looks the peer up, for one that takes many places.
    pub fn peer(self: &Arc<Self>, peer: IpAddr) -> Peer {
        let address = group(peer);
        let mut peers = self.peers();
        if let Some(known) = peers.get(&address).and_then(Weak::upgrade) {
            return Peer(known);
        }
        let known = Known { shares: Arc::clone(self), address, held: AtomicUsize::new(0) };
        let known = Arc::new(known);
        peers.insert(address, Arc::downgrade(&known));
        Peer(known)
    }

    /// Places there are, without those for peers on this machine.
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// Places taken now.
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Known>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    /// Takes a place.
    ///
    /// # Errors
    /// All are taken, or the peer holds its share.
    pub fn take(&self) -> Result<Place, Full> {
        let Known { shares, address, held } = &*self.0;
        let further = if address.is_loopback() { shares.for_loopback } else { 0 };
        if !up_to(held, shares.share.saturating_add(further)) {
            return Err(match shares.share < shares.whole {
                true => Full::Share(shares.share),
                false => Full::Whole(shares.whole),
            });
        }
        if !up_to(&shares.taken, shares.whole.saturating_add(further)) {
            held.fetch_sub(1, Relaxed);
            return Err(Full::Whole(shares.whole));
        }
        Ok(Place(Arc::clone(&self.0)))
    }
}

/// Counts one more, unless there are `most`. Nothing else depends on the order of these counts.
fn up_to(count: &AtomicUsize, most: usize) -> bool {
    count.fetch_update(Relaxed, Relaxed, |now| (now < most).then_some(now + 1)).is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
        self.0.shares.taken.fetch_sub(1, Relaxed);
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let mut peers = self.shares.peers();
        // Another may have come while this one ended: it stays known.
        if peers.get(&self.address).is_some_and(|known| known.strong_count() == 0) {
            peers.remove(&self.address);
        }
    }
}

/// The address that stands for a peer: an IPv4 address itself, also written as IPv6; of an IPv6
/// address its /64, which a single machine usually owns. Loopback addresses stay apart.
pub fn group(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_is_a_quarter_unless_that_is_little() {
        let quarter = |whole| Share::Quarter.of(whole);
        assert_eq!([quarter(10_000), quarter(1000), quarter(100)], [2500, 256, 100]);
        assert_eq!([Share::Whole.of(7), Share::AtMost(3).of(7), Share::AtMost(9).of(7)], [7, 3, 7]);
    }

    #[test]
    fn one_peer_leaves_places_for_others_and_gets_its_own_back() {
        let shares = Shares::new(3, Share::AtMost(2));
        let mut first =
            vec![shares.take(ip("10.0.0.1")).unwrap(), shares.take(ip("::ffff:10.0.0.1")).unwrap()];
        assert_eq!(shares.take(ip("10.0.0.1")).unwrap_err(), Full::Share(2));
        let _other = shares.take(ip("10.0.0.2")).unwrap();
        assert_eq!(shares.take(ip("10.0.0.3")).unwrap_err(), Full::Whole(3));
        first.pop();
        assert_eq!(shares.taken(), 2);
        first.push(shares.take(ip("10.0.0.1")).unwrap());
        drop(first);
        assert_eq!((shares.taken(), shares.peers().len()), (1, 1));
    }

    #[test]
    fn a_peer_that_was_looked_up_takes_from_the_same_share() {
        let shares = Shares::new(9, Share::AtMost(2));
        let (peer, again) = (shares.peer(ip("10.0.0.1")), shares.peer(ip("10.0.0.1")));
        let _places = [peer.take().unwrap(), again.take().unwrap()];
        assert_eq!(peer.take().unwrap_err(), Full::Share(2));
        assert_eq!(shares.take(ip("10.0.0.1")).unwrap_err(), Full::Share(2));
        drop((peer, again));
        assert_eq!(shares.peers().len(), 1, "its places are still known");
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let shares = Shares::new(9, Share::AtMost(1));
        let _one = shares.take(ip("2001:db8::1")).unwrap();
        assert_eq!(shares.take(ip("2001:db8::ffff:1")).unwrap_err(), Full::Share(1));
        assert!(shares.take(ip("2001:db8:0:1::1")).is_ok());
        assert!(shares.take(ip("::1")).is_ok());
    }

    #[test]
    fn peers_on_this_machine_find_a_place_when_all_are_taken() {
        let shares = Shares::with_places_for_loopback(1, Share::Whole, 2);
        let _stranger = shares.take(ip("10.0.0.1")).unwrap();
        assert_eq!(shares.take(ip("10.0.0.2")).unwrap_err(), Full::Whole(1));
        let _local = [shares.take(ip("127.0.0.1")).unwrap(), shares.take(ip("::1")).unwrap()];
        assert_eq!(shares.take(ip("127.0.0.1")).unwrap_err(), Full::Whole(1));
    }

    proptest! {
        #[test]
        fn what_is_held_is_what_was_taken_and_not_dropped(
            steps in prop::collection::vec((0u8..5, any::<bool>()), 0..100),
        ) {
            let shares = Shares::new(6, Share::AtMost(3));
            let mut held: Vec<(u8, Place)> = Vec::new();
            for (peer, takes) in steps {
                if takes {
                    let of_peer = held.iter().filter(|(known, _)| *known == peer).count();
                    let taken = shares.take(IpAddr::from([10, 0, 0, peer]));
                    prop_assert_eq!(taken.is_ok(), of_peer < 3 && held.len() < 6);
                    held.extend(taken.ok().map(|place| (peer, place)));
                } else if let Some(at) = held.iter().position(|(known, _)| *known == peer) {
                    drop(held.swap_remove(at));
                }
                prop_assert_eq!(shares.taken(), held.len());
            }
        }
    }
}
