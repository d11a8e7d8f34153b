//! Places for connections of strangers, who may do nothing before they have shown who they are.

use std::net::IpAddr;
use std::sync::Arc;

use rpc_security::Guard;

use crate::shares::{Full, Place, Share, Shares};

/// The places for connections of strangers.
#[derive(Debug)]
pub struct Strangers {
    guard: Guard,
    places: Arc<Shares>,
}

impl Strangers {
    /// As many, and some more for peers on this machine; `None` where everyone may do everything.
    pub fn new(guard: &Guard, places: usize, for_loopback: usize) -> Option<Self> {
        let places = || Shares::with_places_for_loopback(places, Share::Whole, for_loopback);
        (!guard.is_open()).then(|| Self { guard: guard.clone(), places: places() })
    }

    /// A place, if the peer is a stranger: to be dropped as soon as it is none any more.
    ///
    /// # Errors
    /// All are taken; how many there are.
    pub fn take(&self, peer: IpAddr) -> Result<Option<Place>, usize> {
        let place = self.guard.is_stranger(peer).then(|| self.places.take(peer)).transpose();
        place.map_err(|(Full::Whole(most) | Full::Share(most))| most)
    }
}

#[cfg(test)]
mod tests {
    use rpc_security::{Access, Auth};

    use super::*;

    #[test]
    fn only_those_who_may_do_nothing_take_a_place() {
        let access = Access {
            auth: Auth::Required,
            anonymous: "call".parse().unwrap(),
            anonymous_networks: vec!["10.1.0.0/16".parse().unwrap()],
        };
        let strangers = Strangers::new(&Guard::new(access, None), 1, 0).unwrap();
        let take = |peer: &str| strangers.take(peer.parse().unwrap());
        let held = take("10.2.0.1").unwrap();
        assert!(held.is_some());
        assert_eq!(take("10.2.0.2").unwrap_err(), 1);
        assert!(take("10.1.0.1").unwrap().is_none() && take("::ffff:10.1.0.1").unwrap().is_none());
        drop(held);
        assert!(take("10.2.0.2").unwrap().is_some());
        assert!(Strangers::new(&Guard::open(), 1, 0).is_none());
    }
}
