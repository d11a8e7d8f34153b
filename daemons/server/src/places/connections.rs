//! Places for connections: those that wait longest for a request give way when there is none left.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rpc_host::net::Room;
use rpc_host::shares::{Full, Place, Share, Shares};
use rpc_host::strangers::Strangers;
use rpc_security::Guard;
use tokio_util::sync::CancellationToken;

use crate::Limits;

/// Connections from this machine beyond the limit, so that health checks work.
const PLACES_FOR_LOOPBACK: usize = 8;

/// The places for all connections.
#[derive(Debug)]
pub(crate) struct ConnectionPlaces {
    places: Arc<Shares>,
    /// For connections of strangers, who may do nothing before they have shown a token; `None` where
    /// everyone may do everything.
    strangers: Option<Strangers>,
    /// For connections that get a refusal; further ones are closed unread.
    refusals: Arc<Shares>,
    /// Those that give way, by when they began to wait.
    waiting: Mutex<BTreeMap<(Instant, u64), Waiting>>,
    next: AtomicU64,
}

/// Why there is no place for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// For none.
    Full(Full),
    /// For none of a stranger, of whom there are that many.
    Strangers(usize),
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
    held: Held,
    /// As long as the peer is a stranger.
    stranger: Option<Place>,
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

#[derive(Debug)]
enum Held {
    Place(Place),
    /// It is kept in the list of those that give way, unless another connection has got it.
    Waiting((Instant, u64)),
    /// Another connection has it.
    Gone,
}

impl ConnectionPlaces {
    /// As many as the limits say and there are open files for.
    pub(crate) fn new(limits: &Limits, guard: &Guard) -> Arc<Self> {
        let room = Room::for_connections(limits.max_connections);
        Arc::new(Self {
            places: Shares::with_places_for_loopback(
                room.connections,
                limits.max_connections_per_peer,
                PLACES_FOR_LOOPBACK,
            ),
            strangers: Strangers::new(
                guard,
                limits.max_unidentified_connections.of(room.connections),
                PLACES_FOR_LOOPBACK,
            ),
            refusals: Shares::new(room.refusals, Share::Quarter),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// A place for a connection that `closing` closes, if need be that of one that waits.
    ///
    /// # Errors
    /// The peer has its share, or all others are busy, or it is one of too many strangers.
    pub(crate) fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        closing: CancellationToken,
    ) -> Result<Slot, NoPlace> {
        let stranger = match &self.strangers {
            Some(strangers) => strangers.take(peer).map_err(NoPlace::Strangers)?,
            None => None,
        };
        loop {
            match self.places.take(peer) {
                Ok(place) => {
                    let held = Held::Place(place);
                    let places = Arc::clone(self);
                    return Ok(Slot { places, held, stranger, closing, expulsion: None });
                }
                Err(Full::Whole(_)) if self.close_longest_waiting() => {}
                Err(full) => return Err(NoPlace::Full(full)),
            }
        }
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
        self.stranger = None;
    }

    /// How long the first request is waited for.
    pub(crate) fn first_timeout(&self, limits: &Limits) -> Duration {
        match self.stranger {
            Some(_) => limits.idle_timeout.min(limits.unidentified_timeout),
            None => limits.idle_timeout,
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
        !matches!(self.held, Held::Place(_))
    }

    /// From now on the connection gives way; it has waited for a request since then.
    pub(crate) fn give_way(&mut self, since: Instant) {
        let key = (since, self.places.next.fetch_add(1, Relaxed));
        match std::mem::replace(&mut self.held, Held::Waiting(key)) {
            Held::Place(place) => {
                let waiting = Waiting { place, closing: self.closing.clone() };
                self.places.waiting().insert(key, waiting);
            }
            other => self.held = other,
        }
    }

    /// A request has come. Returns whether the connection still has its place.
    pub(crate) fn resume(&mut self) -> bool {
        if let Held::Waiting(key) = self.held {
            let waiting = self.places.waiting().remove(&key);
            self.held = waiting.map_or(Held::Gone, |waiting| Held::Place(waiting.place));
        }
        matches!(self.held, Held::Place(_))
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
        let places = ConnectionPlaces::new(&limits, &Guard::open());
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
        assert_eq!(take(5).unwrap_err(), NoPlace::Full(Full::Whole(3)));
        drop(slots);
        assert_eq!((places.places.taken(), places.waiting().len()), (1, 0));
    }

    #[test]
    fn a_peer_with_its_share_drives_nobody_out() {
        let limits =
            Limits::default().max_connections(3).max_connections_per_peer(Share::AtMost(1));
        let places = ConnectionPlaces::new(&limits, &Guard::open());
        let mut first = places.take(peer(1), CancellationToken::new()).unwrap();
        first.give_way(Instant::now());
        let again = places.take(peer(1), CancellationToken::new());
        assert_eq!(again.unwrap_err(), NoPlace::Full(Full::Share(1)));
        assert!(first.resume());
    }
}
