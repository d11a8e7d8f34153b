//! Peers that were called by address and are neither the client's target nor listed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::context::Context;
use crate::pool::Peer;

/// A bounded cache of peers by address; the least recently used makes room. A peer that is evicted keeps
/// its connection until its calls have finished.
#[derive(Debug)]
pub(super) struct UnlistedPeers {
    most: usize,
    peers: Mutex<HashMap<Address, Known>>,
}

type Address = (String, u16);

#[derive(Debug)]
struct Known {
    peer: Arc<Peer>,
    used: Instant,
}

impl UnlistedPeers {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), peers: Mutex::default() }
    }

    pub(super) fn get(&self, context: &Arc<Context>, address: Address) -> Arc<Peer> {
        let now = Instant::now();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = peers.get_mut(&address) {
            known.used = now;
            return Arc::clone(&known.peer);
        }
        if peers.len() >= self.most {
            let oldest = peers.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                peers.remove(&oldest);
            }
        }
        let peer = Arc::new(Peer::new(context, &address.0, address.1, false));
        peers.insert(address, Known { peer: Arc::clone(&peer), used: now });
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientOptions;

    #[test]
    fn the_longest_unused_makes_room() {
        let context = Arc::new(Context::new(ClientOptions::default()));
        let unlisted = UnlistedPeers::new(2);
        let get = |port| unlisted.get(&context, ("h".to_owned(), port));
        let (first, second) = (get(1), get(2));
        assert!(Arc::ptr_eq(&first, &get(1)));
        get(3);
        assert!(Arc::ptr_eq(&first, &get(1)));
        assert!(!Arc::ptr_eq(&second, &get(2)));
    }
}
