//! Peers that were called by address and are neither the client's target nor listed.

use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::ListedAs;
use crate::context::Context;
use crate::pool::{Peer, Route};

/// A bounded cache of peers by address; the least recently used is evicted. An evicted peer keeps its
/// connection until its calls have finished.
#[derive(Debug)]
pub(super) struct UnlistedPeers {
    max: usize,
    /// Bounded here, because a bounded `LruCache` allocates room for all its entries at once.
    peers: Mutex<LruCache<Address, Arc<Peer>>>,
}

/// Host, port, and how a registry listed it, if one did: by that it is verified, and a connection of the one must
/// not serve the other.
type Address = (String, u16, Option<ListedAs>);

impl UnlistedPeers {
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.max(1), peers: Mutex::new(LruCache::unbounded()) }
    }

    pub(super) fn get(&self, context: &Arc<Context>, address: Address) -> Arc<Peer> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (host, port, listed) = &address;
            Arc::new(Peer::new(context, Route::as_listed(host, *port, listed.as_ref()), false))
        };
        let peer = Arc::clone(peers.get_or_insert_ref(&address, new));
        if peers.len() > self.max {
            peers.pop_lru();
        }
        peer
    }

    /// The peer that was called there.
    pub(super) fn known(&self, address: &Address) -> Option<Arc<Peer>> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(address).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientOptions;

    #[test]
    fn the_least_recently_used_is_evicted() {
        let context = Arc::new(Context::new(ClientOptions::default()));
        let unlisted = UnlistedPeers::new(2);
        let get = |port| unlisted.get(&context, ("h".to_owned(), port, None));
        let (first, second) = (get(1), get(2));
        assert!(Arc::ptr_eq(&first, &get(1)));
        get(3);
        assert!(Arc::ptr_eq(&first, &get(1)));
        assert!(!Arc::ptr_eq(&second, &get(2)));
    }
    #[test]
    fn whom_a_registry_gave_shares_no_connection_with_whom_somebody_named() {
        let context = Arc::new(Context::new(ClientOptions::default()));
        let unlisted = UnlistedPeers::new(2);
        let get = |listed| unlisted.get(&context, ("h".to_owned(), 1, listed));
        let named = get(None);
        assert!(!Arc::ptr_eq(&named, &get(Some(ListedAs::default()))));
        assert!(Arc::ptr_eq(&named, &get(None)));
    }
}
