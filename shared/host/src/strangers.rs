//! Places for connections, of which those of strangers, who have not shown who they are, give way to others.

mod visit;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc_security::Guard;
use tokio_util::sync::CancellationToken;

use crate::shares::{Full, Place, Share, Shares, group};
pub use visit::Visit;

/// How many connections of strangers there may be.
#[derive(Debug, Clone, Copy)]
pub struct StrangerLimits {
    /// Of all connections.
    pub most: Share,
    /// Of these, of one peer.
    pub per_peer: Share,
}

/// The places for all connections of a daemon.
///
/// A stranger is never refused because of other strangers: with too many, the oldest of the same peer is closed,
/// or of the peer that has most. So one peer keeps nobody out, and many must be faster than those who show who they
/// are.
#[derive(Debug)]
pub struct Seats {
    places: Arc<Shares>,
    /// `None` where everyone may do everything.
    crowd: Option<Arc<Crowd>>,
}

/// The place of one connection, free again when it is dropped.
#[derive(Debug)]
#[must_use = "a place is free again when it is dropped"]
pub struct Seat(Held);

#[derive(Debug)]
enum Held {
    Known(Place),
    /// It is kept in the crowd, unless it was closed for another.
    Stranger(Stranger),
    Gone,
}

#[derive(Debug)]
struct Stranger {
    crowd: Arc<Crowd>,
    peer: IpAddr,
    number: u64,
}

/// All strangers.
#[derive(Debug)]
struct Crowd {
    guard: Guard,
    most: usize,
    most_of_peer: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    count: usize,
    /// Those of each peer, the oldest first.
    peers: HashMap<IpAddr, BTreeMap<u64, Guest>>,
    /// The peers: last is that with most, of several that with the oldest.
    ranks: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
}

#[derive(Debug)]
struct Guest {
    place: Place,
    closing: CancellationToken,
}

impl Seats {
    /// In these places, of which strangers have a part.
    pub fn new(places: Arc<Shares>, guard: &Guard, limits: StrangerLimits) -> Self {
        let most = limits.most.of(places.whole());
        let crowd = || {
            Arc::new(Crowd {
                guard: guard.clone(),
                most,
                most_of_peer: limits.per_peer.of(most),
                inside: Mutex::default(),
            })
        };
        let crowd = (!guard.is_open()).then(crowd);
        Self { places, crowd }
    }

    /// A place for a connection, which is closed by `closing` if it is a stranger's and another needs its place.
    ///
    /// # Errors
    /// All are taken, or the peer holds its share, by connections that are not strangers'.
    pub fn take(&self, peer: IpAddr, closing: &CancellationToken) -> Result<Seat, Full> {
        self.take_or_free(peer, closing, || false)
    }

    /// The same; before a stranger gives way because all are taken, `free` may free a place, and says whether it did.
    ///
    /// # Errors
    /// See [`take`](Self::take).
    pub fn take_or_free(
        &self,
        peer: IpAddr,
        closing: &CancellationToken,
        mut free: impl FnMut() -> bool,
    ) -> Result<Seat, Full> {
        let mut closed = false;
        let place = loop {
            match self.places.take(peer) {
                Ok(place) => break place,
                Err(Full::Whole(_)) if free() => {}
                Err(full) if !closed && self.close_stranger(full, peer) => closed = true,
                Err(full) => return Err(full),
            }
        };
        Ok(match &self.crowd {
            Some(crowd) if crowd.guard.is_stranger(peer) => {
                Seat(Held::Stranger(crowd.enter(peer, place, closing.clone())))
            }
            _ => Seat::of(place),
        })
    }

    /// The places themselves.
    pub fn places(&self) -> &Arc<Shares> {
        &self.places
    }

    fn close_stranger(&self, full: Full, peer: IpAddr) -> bool {
        let Some(crowd) = &self.crowd else { return false };
        let mut inside = crowd.inside();
        let closed = match full {
            Full::Share(_) => inside.take_oldest(group(peer)),
            Full::Whole(_) => inside.take_oldest_of_most(),
        };
        drop(inside);
        closed.map(Guest::close).is_some()
    }
}

impl Seat {
    /// That of a connection which is not a stranger's.
    pub fn of(place: Place) -> Self {
        Self(Held::Known(place))
    }

    /// Whether its connection is a stranger's, which may have been closed.
    pub fn is_stranger(&self) -> bool {
        matches!(self.0, Held::Stranger(_))
    }

    /// Whether it is that of a connection which is not a stranger's.
    pub fn is_known(&self) -> bool {
        matches!(self.0, Held::Known(_))
    }

    /// Whether the connection still has it.
    pub fn is_held(&self) -> bool {
        match &self.0 {
            Held::Known(_) => true,
            Held::Stranger(stranger) => stranger.is_inside(),
            Held::Gone => false,
        }
    }

    /// The peer has shown who it is: from now on its place is its own, unless another has it already.
    pub fn become_known(&mut self) {
        if let Held::Stranger(stranger) = &self.0 {
            self.0 = stranger.leave().map_or(Held::Gone, Held::Known);
        }
    }

    /// The place, of who is no stranger; the connection has none then.
    pub fn give_up(&mut self) -> Option<Place> {
        match std::mem::replace(&mut self.0, Held::Gone) {
            Held::Known(place) => Some(place),
            other => {
                self.0 = other;
                None
            }
        }
    }
}

impl Stranger {
    fn is_inside(&self) -> bool {
        let inside = self.crowd.inside();
        inside.peers.get(&self.peer).is_some_and(|guests| guests.contains_key(&self.number))
    }

    fn leave(&self) -> Option<Place> {
        let left = self.crowd.inside().change(self.peer, |guests| guests.remove(&self.number));
        left.map(|guest| guest.place)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Crowd {
    fn enter(self: &Arc<Self>, peer: IpAddr, place: Place, closing: CancellationToken) -> Stranger {
        let peer = group(peer);
        let mut inside = self.inside();
        let number = inside.next;
        inside.next += 1;
        let of_peer = inside.change(peer, |guests| {
            guests.insert(number, Guest { place, closing });
            guests.len()
        });
        let closed = if of_peer > self.most_of_peer {
            inside.take_oldest(peer)
        } else if inside.count > self.most {
            inside.take_oldest_of_most()
        } else {
            None
        };
        drop(inside);
        if let Some(closed) = closed {
            closed.close();
        }
        Stranger { crowd: Arc::clone(self), peer, number }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn take_oldest(&mut self, peer: IpAddr) -> Option<Guest> {
        self.change(peer, |guests| guests.pop_first()).map(|(_, guest)| guest)
    }

    fn take_oldest_of_most(&mut self) -> Option<Guest> {
        let (_, _, peer) = *self.ranks.last()?;
        self.take_oldest(peer)
    }

    fn change<T>(
        &mut self,
        peer: IpAddr,
        change: impl FnOnce(&mut BTreeMap<u64, Guest>) -> T,
    ) -> T {
        let rank = |guests: &BTreeMap<u64, Guest>| {
            guests.first_key_value().map(|(oldest, _)| (guests.len(), Reverse(*oldest), peer))
        };
        let guests = self.peers.entry(peer).or_default();
        if let Some(rank) = rank(guests) {
            self.ranks.remove(&rank);
        }
        self.count -= guests.len();
        let done = change(guests);
        self.count += guests.len();
        match rank(guests) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.peers.remove(&peer);
            }
        }
        done
    }
}

impl Guest {
    /// Its place is free at once, whenever its connection notices.
    fn close(self) {
        self.closing.cancel();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rpc_security::{Access, Auth};

    use super::*;

    const ALL: StrangerLimits = StrangerLimits { most: Share::Whole, per_peer: Share::Whole };

    /// A connection and what closes it.
    type Taken = (Seat, CancellationToken);

    fn seats(places: Arc<Shares>, most: usize, per_peer: usize) -> Seats {
        let access = Access {
            auth: Auth::Required,
            anonymous: "call".parse().unwrap(),
            anonymous_networks: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let (most, per_peer) = (Share::AtMost(most), Share::AtMost(per_peer));
        Seats::new(places, &Guard::new(access, None), StrangerLimits { most, per_peer })
    }

    fn take(seats: &Seats, peer: &str) -> Result<Taken, Full> {
        let closing = CancellationToken::new();
        seats.take(peer.parse().unwrap(), &closing).map(|seat| (seat, closing))
    }

    fn open(taken: &[Taken]) -> Vec<bool> {
        let is_open = |(seat, closing): &Taken| {
            assert_eq!(seat.is_held(), !closing.is_cancelled());
            seat.is_held()
        };
        taken.iter().map(is_open).collect()
    }

    #[test]
    fn only_those_who_may_do_nothing_are_strangers() {
        let all = seats(Shares::new(9, Share::Whole), 1, 1);
        let is_stranger = |peer| take(&all, peer).unwrap().0.is_stranger();
        assert!(is_stranger("10.2.0.1") && !is_stranger("10.1.0.1"));
        assert!(!is_stranger("::ffff:10.1.0.1"));
        let open = Seats::new(Shares::new(9, Share::Whole), &Guard::open(), ALL);
        assert!(!take(&open, "10.2.0.1").unwrap().0.is_stranger());
    }

    #[test]
    fn over_its_share_the_oldest_stranger_of_a_peer_is_closed_and_no_other() {
        let seats = seats(Shares::new(9, Share::Whole), 9, 2);
        let peers = ["10.2.0.1", "10.2.0.2", "10.2.0.1", "10.2.0.1"];
        let mut taken: Vec<_> = peers.iter().map(|peer| take(&seats, peer).unwrap()).collect();
        assert_eq!(open(&taken), [false, true, true, true]);
        assert_eq!(seats.places.taken(), 3, "its place is free before it has noticed");
        taken[2].0.become_known();
        taken.push(take(&seats, "10.2.0.1").unwrap());
        assert_eq!(open(&taken), [false, true, true, true, true], "one is no stranger any more");
    }

    #[test]
    fn over_the_whole_the_oldest_of_the_peer_with_most_is_closed() {
        let seats = seats(Shares::new(9, Share::Whole), 3, 9);
        let take = |peer| take(&seats, peer).unwrap();
        let mut taken = vec![take("10.2.0.3"), take("10.2.0.1"), take("10.2.0.1")];
        taken.push(take("10.2.0.2"));
        assert_eq!(open(&taken), [true, false, true, true]);
        taken.push(take("10.2.0.4"));
        assert_eq!(open(&taken), [false, false, true, true, true], "of several the oldest");
    }

    #[test]
    fn where_no_place_is_left_a_stranger_gives_way_but_who_is_known_does_not() {
        let seats = seats(Shares::new(3, Share::AtMost(2)), 3, 3);
        let take = |peer| take(&seats, peer);
        let mut taken = vec![take("10.2.0.1").unwrap(), take("10.2.0.1").unwrap()];
        taken.push(take("10.2.0.1").unwrap());
        assert_eq!(open(&taken), [false, true, true], "of a peer with its share its own");
        taken.push(take("10.2.0.2").unwrap());
        taken.push(take("10.1.0.1").unwrap());
        assert_eq!(open(&taken), [false, false, true, true, true]);
        for (seat, _) in &mut taken {
            seat.become_known();
        }
        assert_eq!(take("10.2.0.3").unwrap_err(), Full::Whole(3));
        assert_eq!(open(&taken), [false, false, true, true, true]);
        drop(taken);
        assert_eq!(seats.places.taken(), 0);
    }

    proptest! {
        #[test]
        fn a_newcomer_gets_in_the_limits_hold_and_all_is_forgotten(
            steps in prop::collection::vec((0u8..4, 0u8..4), 0..100),
        ) {
            let seats = seats(Shares::new(8, Share::Whole), 6, 3);
            let mut taken: Vec<(u8, Taken)> = Vec::new();
            for (peer, step) in steps {
                let at = taken.iter().position(|(known, _)| *known == peer);
                match (step, at) {
                    (0, Some(at)) => drop(taken.swap_remove(at)),
                    _ => {
                        let newcomer = take(&seats, &format!("10.2.0.{peer}")).unwrap();
                        prop_assert!(newcomer.0.is_held());
                        taken.push((peer, newcomer));
                    }
                }
                let held = |of: u8| taken.iter().filter(|(peer, it)| *peer == of && it.0.is_held()).count();
                let counts: Vec<_> = (0..4).map(held).collect();
                prop_assert!(counts.iter().all(|count| *count <= 3));
                prop_assert!(counts.iter().sum::<usize>() <= 6);
                prop_assert_eq!(counts.iter().sum::<usize>(), seats.places.taken());
            }
            drop(taken);
            let crowd = seats.crowd.as_ref().unwrap().inside();
            prop_assert!(crowd.peers.is_empty() && crowd.ranks.is_empty() && crowd.count == 0);
        }
    }
}
