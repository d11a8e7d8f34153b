//! Places for connections: those that wait longest for a request give way when there is none left.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rpc_host::net::Room;
use rpc_host::shares::{Full, Place, Share, Shares};
use rpc_host::strangers::{Seat, Seats, StrangerLimits};
use rpc_security::Guard;
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// Connections from this machine beyond the limit, so that health checks work.
const PLACES_FOR_LOOPBACK: usize = 8;

/// The places for all connections.
#[derive(Debug)]
pub(crate) struct ConnectionPlaces {
    seats: Seats,
    /// For connections that get a refusal; further ones are closed unread.
    refusals: Arc<Shares>,
    /// Those that give way, by when they began to wait.
    waiting: Mutex<BTreeMap<(Instant, u64), Waiting>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    closing: CancellationToken,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    places: Arc<ConnectionPlaces>,
    seat: Seat,
    /// It is kept in the list of those that give way, unless another connection has got it.
    waiting: Option<(Instant, u64)>,
    opened: Instant,
    closing: CancellationToken,
    expulsion: Option<Expulsion>,
}

/// Closes a connection, with a reason that its peer is told.
#[derive(Debug, Clone)]
pub(crate) struct Expulsion {
    #[cfg(feature = "tls")]
    closing: CancellationToken,
    why: Arc<OnceLock<String>>,
}

impl ConnectionPlaces {
    /// As many as the limits say and there are open files for, beside those that are kept for something else.
    pub(crate) fn new(limits: &Limits, guard: &Guard, kept_files: usize) -> Arc<Self> {
        let room = Room::for_connections_beside(limits.max_connections, kept_files);
        let places = Shares::with_places_for_loopback(
            room.connections,
            limits.max_connections_per_peer,
            PLACES_FOR_LOOPBACK,
        );
        let strangers = StrangerLimits {
            most: limits.max_unidentified_connections,
            per_peer: limits.max_unidentified_connections_per_peer,
        };
        Arc::new(Self {
            seats: Seats::new(places, guard, strangers),
            refusals: Shares::new(room.refusals, Share::Quarter),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// A place for a connection that `closing` closes, if need be that of one that waits, or of a stranger.
    ///
    /// # Errors
    /// The peer has its share, or all others are busy.
    pub(crate) fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        closing: CancellationToken,
    ) -> Result<Slot, Full> {
        let seat = self.seats.take_or_free(peer, &closing, || self.close_longest_waiting())?;
        Ok(Slot {
            places: Arc::clone(self),
            seat,
            waiting: None,
            opened: Instant::now(),
            closing,
            expulsion: None,
        })
    }

    /// A place for a connection that is being refused.
    pub(crate) fn take_refusal(&self, peer: IpAddr) -> Option<Place> {
        self.refusals.take(peer).ok()
    }

    fn close_longest_waiting(&self) -> bool {
        let Some((_, Waiting { place, closing })) = self.waiting().pop_first() else {
            return false;
        };
        closing.cancel();
        drop(place);
        true
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<(Instant, u64), Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The peer is no stranger any more.
    pub(crate) fn become_known(&mut self) {
        self.seat.become_known();
    }

    /// When the connection was accepted.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Until when the first request of the connection is waited for, from now on.
    pub(crate) fn first_until(&self, limits: &Limits) -> Instant {
        let until = Instant::now() + limits.idle_timeout;
        match self.seat.is_stranger() {
            true => until.min(self.opened + limits.unidentified_timeout),
            false => until,
        }
    }

    /// How long a connection waits for a request before it gives way: a tenth of its time.
    pub(crate) fn patience(limits: &Limits) -> Duration {
        limits.idle_timeout / 10
    }

    /// Cancelled when the connection must close.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// What closes the connection with a reason.
    #[cfg(feature = "tls")]
    pub(crate) fn expulsion(&mut self) -> Expulsion {
        let new = || Expulsion { closing: self.closing.clone(), why: Arc::default() };
        self.expulsion.get_or_insert_with(new).clone()
    }

    /// The reason with which the connection must close.
    pub(crate) fn expelled(&self) -> Option<&str> {
        self.expulsion.as_ref()?.why.get().map(String::as_str)
    }

    pub(crate) fn gives_way(&self) -> bool {
        !self.seat.is_known()
    }

    /// From now on the connection gives way, as a stranger's does anyway; it has waited for a request since then.
    pub(crate) fn give_way(&mut self, since: Instant) {
        let Some(place) = self.seat.give_up() else { return };
        let key = (since, self.places.next.fetch_add(1, Relaxed));
        let waiting = Waiting { place, closing: self.closing.clone() };
        self.places.waiting().insert(key, waiting);
        self.waiting = Some(key);
    }

    /// A request has come. Returns whether the connection still has its place.
    pub(crate) fn resume(&mut self) -> bool {
        if let Some(key) = self.waiting.take()
            && let Some(waiting) = self.places.waiting().remove(&key)
        {
            self.seat = Seat::of(waiting.place);
        }
        self.seat.is_held()
    }
}

#[cfg(feature = "tls")]
impl Expulsion {
    pub(crate) fn begin(&self, why: String) {
        // The first reason counts.
        let _ = self.why.set(why);
        self.closing.cancel();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.resume();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn the_longest_waiting_gives_way_and_one_that_resumed_does_not() {
        let limits = Limits::default().max_connections(3);
        let places = ConnectionPlaces::new(&limits, &Guard::open(), 0);
        let take = |last| places.take(peer(last), CancellationToken::new());
        let mut slots = [take(1).unwrap(), take(2).unwrap(), take(3).unwrap()];
        let now = Instant::now();
        for (slot, age) in slots.iter_mut().zip([2, 3, 1]) {
            slot.give_way(now - Duration::from_secs(age));
        }
        assert!(slots[1].resume());
        let _new = take(4).unwrap();
        let closed = slots.each_ref().map(|slot| slot.closing().is_cancelled());
        assert_eq!(closed, [true, false, false]);
        assert!(!slots[0].resume() && slots[2].resume());
        assert_eq!(take(5).unwrap_err(), Full::Whole(3));
        drop(slots);
        assert_eq!((places.seats.places().taken(), places.waiting().len()), (1, 0));
    }

    #[test]
    fn a_peer_with_its_share_drives_nobody_out() {
        let limits =
            Limits::default().max_connections(3).max_connections_per_peer(Share::AtMost(1));
        let places = ConnectionPlaces::new(&limits, &Guard::open(), 0);
        let mut first = places.take(peer(1), CancellationToken::new()).unwrap();
        first.give_way(Instant::now());
        let again = places.take(peer(1), CancellationToken::new());
        assert_eq!(again.unwrap_err(), Full::Share(1));
        assert!(first.resume());
    }
}
