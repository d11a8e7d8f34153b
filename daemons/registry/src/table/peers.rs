//! How many instances each peer address has registered.

use std::collections::HashMap;
use std::net::IpAddr;

use rpc_host::shares::group;

use crate::error::Refusal;

/// Instances by the address that registered them (IPv6: the network, see [`group`]).
#[derive(Debug)]
pub(super) struct Peers {
    counts: HashMap<IpAddr, usize>,
    max: usize,
}

impl Peers {
    pub(super) fn new(max: usize) -> Self {
        Self { counts: HashMap::new(), max }
    }

    /// Whether a peer may have one more.
    ///
    /// # Errors
    /// It has as many as it may, and is not this machine.
    pub(super) fn check(&self, peer: IpAddr) -> Result<(), Refusal> {
        let peer = group(peer);
        let count = self.counts.get(&peer).copied().unwrap_or(0);
        if count >= self.max && !peer.is_loopback() {
            return Err(Refusal::PeerFull(self.max));
        }
        Ok(())
    }

    /// Counts one more instance of a peer.
    pub(super) fn add(&mut self, peer: IpAddr) {
        *self.counts.entry(group(peer)).or_default() += 1;
    }

    /// Counts one instance of a peer less.
    pub(super) fn remove(&mut self, peer: IpAddr) {
        let peer = group(peer);
        if let Some(count) = self.counts.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer);
            }
        }
    }

    /// Counts an instance of a peer as one of another.
    ///
    /// # Errors
    /// As of [`check`](Self::check).
    pub(super) fn replace(&mut self, old: IpAddr, new: IpAddr) -> Result<(), Refusal> {
        if group(old) != group(new) {
            self.check(new)?;
            self.add(new);
            self.remove(old);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
