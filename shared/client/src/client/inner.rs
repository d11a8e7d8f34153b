//! The parts of a client: its target, the peers it knows, its retry budget.

use std::sync::Arc;

use rpc_wire::target::parse_address;
use tokio::time::Instant;

use super::latencies::Latencies;
use super::unlisted::UnlistedPeers;
use crate::context::Context;
use crate::discovery::Discovery;
use crate::pool::Peer;
use crate::retry::RetryBudget;
use crate::{CallError, Dialect, ListedAs, Target};

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
    /// The peer at an address: the target, a listed instance, or an unlisted one; `listed` is how another list that
    /// the caller has of the registry has it.
    pub(super) fn peer_at(
        &self,
        address: &str,
        listed: Option<&ListedAs>,
    ) -> Result<Arc<Peer>, CallError> {
        let (host, port) =
            parse_address(address).map_err(|error| CallError::BadArguments(error.to_string()))?;
        let known = match &self.source {
            Source::Direct(peer) => {
                let is_it = peer.host() == host
                    && peer.port() == port
                    && (listed.is_none() || listed == self.context.options.listed.as_ref());
                is_it.then(|| Arc::clone(peer))
            }
            Source::Registry(discovery) => discovery.find(&host, port),
        };
        let unlisted = || self.unlisted.get(&self.context, (host, port, listed.cloned()));
        Ok(known.unwrap_or_else(unlisted))
    }

    /// The dialect of the peer at an address. It may have been called before the list with it came.
    pub(super) fn dialect_at(&self, address: &str, listed: Option<&ListedAs>) -> Option<Dialect> {
        let (host, port) = parse_address(address).ok()?;
        let known = match &self.source {
            Source::Direct(peer) if peer.host() == host && peer.port() == port => peer.dialect(),
            Source::Direct(_) => None,
            Source::Registry(discovery) => discovery.find(&host, port).and_then(|it| it.dialect()),
        };
        let unlisted = || self.unlisted.known(&(host, port, listed.cloned()))?.dialect();
        known.or_else(unlisted)
    }

    /// Whether it is not known yet if an address that somebody names is listed, by which TLS verifies it.
    pub(super) fn awaits_list(&self) -> bool {
        match &self.source {
            Source::Registry(discovery) => self.context.options.tls && discovery.awaits_list(),
            Source::Direct(_) => false,
        }
    }

    /// The peer at an address that somebody named, once the registry has said whether it lists it, or could not; from
    /// `late_at` on the list on disk is good enough.
    pub(super) async fn named_peer(
        &self,
        address: &str,
        late_at: Instant,
    ) -> Result<Arc<Peer>, CallError> {
        if let Source::Registry(discovery) = &self.source
            && self.awaits_list()
        {
            discovery.refresh_now(late_at).await?;
        }
        self.peer_at(address, None)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.end();
    }
}
