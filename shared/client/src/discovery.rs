//! Which instances there are: a list refreshed in the background, without the ejected ones.

mod list;
mod probe;
mod refresh;
mod shared;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use rpc_wire::fault::Code;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::balance::Choice;
use crate::context::Context;
use crate::pool::Peer;
use crate::registry::RegistryClient;
use crate::{CallError, KnownInstance};

use list::Member;
use shared::Shared;

/// A call without instances does not refresh a list that is younger than this.
const MIN_REFRESH_GAP: Duration = Duration::from_millis(500);

/// The callers' view of the list, which two tasks maintain.
#[derive(Debug)]
pub(crate) struct Discovery {
    shared: Arc<Shared>,
    turn: AtomicUsize,
}

impl Discovery {
    /// Starts the tasks that maintain the list.
    pub(crate) fn start(context: &Arc<Context>, registry: RegistryClient) -> Self {
        let shared = Arc::new(Shared {
            context: Arc::clone(context),
            url: registry.url().to_owned(),
            list: ArcSwap::default(),
            replacing: Mutex::new(()),
            refreshes: watch::Sender::new(0),
            refresh_wanted: Notify::new(),
            newly_ejected: Notify::new(),
        });
        context.spawn(refresh::Refresh::new(Arc::clone(&shared), registry).run());
        context.spawn(probe::run(Arc::clone(&shared)));
        Self { shared, turn: AtomicUsize::new(0) }
    }

    /// The registry's URL.
    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    /// An instance for a call that was already tried on `tried`. Waits for the first list, and for one
    /// refresh if the list is empty.
    pub(crate) async fn pick(&self, tried: &[Arc<Peer>]) -> Result<Arc<Peer>, CallError> {
        if let Some(peer) = self.pick_now(tried) {
            return Ok(peer);
        }
        if tried.is_empty() {
            self.refresh_now().await?;
            if let Some(peer) = self.pick_now(tried) {
                return Ok(peer);
            }
        }
        Err(self.no_instance())
    }

    /// Whether there is a usable instance besides `tried`.
    pub(crate) fn has_other(&self, tried: &[Arc<Peer>]) -> bool {
        self.shared.list.load().usable.iter().any(|member| !contains(tried, &member.peer))
    }

    fn pick_now(&self, tried: &[Arc<Peer>]) -> Option<Arc<Peer>> {
        let list = self.shared.list.load();
        if tried.is_empty() {
            return self.choose(&list.usable, &list.weights);
        }
        let left: Vec<Arc<Member>> =
            list.usable.iter().filter(|member| !contains(tried, &member.peer)).cloned().collect();
        self.choose(&left, &list::weights(&left))
    }

    fn choose(&self, members: &[Arc<Member>], weights: &[u64]) -> Option<Arc<Peer>> {
        let now = Instant::now();
        let choice = Choice {
            count: members.len(),
            weights,
            turn: self.turn.fetch_add(1, Ordering::Relaxed),
            cost: |index: usize| members.get(index).map_or(u64::MAX, |m| m.peer.load.cost(now)),
        };
        let index = choice.choose(self.shared.context.options.balance, &mut rand::rng())?;
        members.get(index).map(|member| Arc::clone(&member.peer))
    }

    /// Waits for a refresh, unless one was just made.
    async fn refresh_now(&self) -> Result<(), CallError> {
        let mut refreshes = self.shared.refreshes.subscribe();
        let seen = *refreshes.borrow_and_update();
        let list = self.shared.list.load();
        if seen > 0 && list.attempted_at.is_some_and(|at| at.elapsed() < MIN_REFRESH_GAP) {
            return Ok(());
        }
        drop(list);
        if seen > 0 {
            self.shared.refresh_wanted.notify_one();
        }
        tokio::select! {
            () = self.shared.context.end.cancelled() => Err(CallError::Closed),
            // Never an error: the sender lives as long as `self`.
            _ = refreshes.wait_for(|done| *done > seen) => Ok(()),
        }
    }

    fn no_instance(&self) -> CallError {
        let list = self.shared.list.load();
        match &list.error {
            Some(error) => CallError::Registry(error.clone()),
            None => {
                CallError::NoInstance { registry: self.shared.url.clone(), invalid: list.invalid }
            }
        }
    }

    /// Ejects `peer` if the failure of a call says that it takes none.
    pub(crate) fn note_failure(&self, peer: &Arc<Peer>, error: &CallError) {
        let draining =
            matches!(error, CallError::Remote { fault, .. } if fault.code == Code::Draining);
        if draining || matches!(error, CallError::Unreachable { .. }) {
            self.shared.eject(peer, error);
        }
    }

    /// The known instance at that address.
    pub(crate) fn find(&self, host: &str, port: u16) -> Option<Arc<Peer>> {
        let list = self.shared.list.load();
        let member = list
            .members
            .iter()
            .find(|member| member.instance.port == port && member.instance.host == host)?;
        Some(Arc::clone(&member.peer))
    }

    pub(crate) fn instances(&self) -> Vec<KnownInstance> {
        let list = self.shared.list.load();
        let known = |member: &Arc<Member>| KnownInstance {
            instance: member.instance.clone(),
            listed: list.fetched_at.map(|at| at.elapsed()),
            stale: list.error.is_some(),
            ejected: member.is_ejected(),
            in_flight: member.peer.load.in_flight(),
            latency: member.peer.load.latency(),
        };
        list.members.iter().map(known).collect()
    }
}

fn contains(peers: &[Arc<Peer>], peer: &Arc<Peer>) -> bool {
    peers.iter().any(|known| Arc::ptr_eq(known, peer))
}
