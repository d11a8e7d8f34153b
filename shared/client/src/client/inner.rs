//! The parts of a client: its target, the peers it knows, its retry budget.

use std::sync::Arc;

use rpc_wire::target::parse_address;

use super::latencies::Latencies;
use super::unlisted::UnlistedPeers;
use crate::context::Context;
use crate::discovery::Discovery;
use crate::pool::Peer;
use crate::retry::RetryBudget;
use crate::{CallError, Target};

/// The parts of a client, shared by all clones.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) context: Arc<Context>,
    pub(super) target: Target,
    pub(super) source: Source,
    /// Unlisted addresses that were called by name.
    pub(super) unlisted: UnlistedPeers,
    pub(super) budget: RetryBudget,
    /// For hedging by a percentile.
    pub(super) latencies: Latencies,
}

/// Where instances come from.
#[derive(Debug)]
pub(super) enum Source {
    Direct(Arc<Peer>),
    Registry(Discovery),
}

impl Inner {
    /// The peer at an address: the target, a listed instance, or an unlisted one.
    pub(super) fn peer_at(&self, address: &str) -> Result<Arc<Peer>, CallError> {
        let (host, port) =
            parse_address(address).map_err(|error| CallError::BadArguments(error.to_string()))?;
        let known = match &self.source {
            Source::Direct(peer) => {
                (peer.host() == host && peer.port() == port).then(|| Arc::clone(peer))
            }
            Source::Registry(discovery) => discovery.find(&host, port),
        };
        Ok(known.unwrap_or_else(|| self.unlisted.get(&self.context, (host, port))))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.end();
    }
}
