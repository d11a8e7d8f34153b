//! How many instances each peer address has registered.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::error::Refusal;

/// Instances by the address that registered them (IPv6: the network, see [`rpc_host::shares::group`]).
#[derive(Debug)]
pub(super) struct Peers {
    counts: HashMap<IpAddr, usize>,
    max: usize,
}

impl Peers {
    pub(super) fn new(max: usize) -> Self {
        Self { counts: HashMap::new(), max }
    }

    /// Counts one more instance of a peer.
    ///
    /// # Errors
    /// It has as many as it may, and is not this machine.
    pub(super) fn add(&mut self, peer: IpAddr) -> Result<(), Refusal> {
        let count = self.counts.get(&peer).copied().unwrap_or(0);
        if count >= self.max && !peer.is_loopback() {
            return Err(Refusal::PeerFull(self.max));
        }
        self.counts.insert(peer, count + 1);
        Ok(())
    }

    /// Counts one instance of a peer less.
    pub(super) fn remove(&mut self, peer: IpAddr) {
        if let Some(count) = self.counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
