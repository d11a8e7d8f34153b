//! What a client is made of: whom it calls, the peers it knows, its retry budget.

use std::sync::Arc;

use rpc_wire::target::parse_address;

use super::others::Others;
use crate::context::Context;
use crate::discovery::Discovery;
use crate::pool::Peer;
use crate::retry::RetryBudget;
use crate::{CallError, Target};

/// What a client is made of; every clone shares it.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) context: Arc<Context>,
    pub(super) target: Target,
    pub(super) source: Source,
    /// Addresses called by name.
    pub(super) others: Others,
    pub(super) budget: RetryBudget,
}

/// Where instances come from.
#[derive(Debug)]
pub(super) enum Source {
    Direct(Arc<Peer>),
    Registry(Discovery),
}

impl Inner {
    /// The peer at an address: the target or a listed instance where it is one.
    pub(super) fn peer_at(&self, address: &str) -> Result<Arc<Peer>, CallError> {
        let (host, port) =
            parse_address(address).map_err(|error| CallError::BadArguments(error.to_string()))?;
        let known = match &self.source {
            Source::Direct(peer) => {
                (peer.host() == host && peer.port() == port).then(|| Arc::clone(peer))
            }
            Source::Registry(discovery) => discovery.find(&host, port),
        };
        Ok(known.unwrap_or_else(|| self.others.get(&self.context, (host, port))))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.end();
    }
}
