//! Which instances there are, and which of them a call goes to: a list refreshed in the background,
//! without the ejected ones, and what the contracts of its instances offer.

mod catalog;
mod contracts;
mod doubt;
mod health;
mod learn;
mod list;
mod listed;
mod look;
mod member;
mod outlier;
mod ping;
mod probe;
mod refresh;
mod routing;
mod shared;
mod view;

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::context::Context;
use crate::pool::Peer;
use crate::registry::RegistryClient;
use crate::{CallError, KnownInstance, ListStatus, Phase};

use list::Origin;
use member::Member;
use shared::Shared;

/// A call without instances does not refresh a list that is younger than this.
const MIN_REFRESH_GAP: Duration = Duration::from_millis(500);

/// The callers' view of the list, which four tasks maintain.
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
            contracts: Mutex::default(),
            learned: watch::Sender::new(0),
            learn_wanted: Notify::new(),
            refreshed: watch::Sender::new(None),
            refresh_wanted: Notify::new(),
            health_changed: Notify::new(),
            is_watched: AtomicBool::new(true),
            calls_begin: Notify::new(),
        });
        context.spawn(refresh::Refresh::new(Arc::clone(&shared), registry).run());
        context.spawn(probe::run(Arc::clone(&shared)));
        context.spawn(ping::run(Arc::clone(&shared)));
        context.spawn(learn::run(Arc::clone(&shared)));
        Self { shared, turn: AtomicUsize::new(0) }
    }

    /// What a call waits for that has no instance yet.
    pub(crate) fn waiting_for(&self) -> (String, Phase) {
        let url = &self.shared.url;
        match self.shared.list.load().origin {
            Origin::Nowhere => (url.clone(), Phase::Discovery),
            Origin::Registry(_) => (format!("the instances of {url}"), Phase::Methods),
        }
    }

    /// Waits for a refresh, unless one was just made.
    async fn refresh_now(&self) -> Result<(), CallError> {
        let mut refreshed = self.shared.refreshed.subscribe();
        let last = *refreshed.borrow_and_update();
        if last.is_some_and(|at| at.elapsed() < MIN_REFRESH_GAP) {
            return Ok(());
        }
        if last.is_some() {
            self.shared.refresh_wanted.notify_one();
        }
        tokio::select! {
            () = self.shared.context.end.cancelled() => Err(CallError::Closed),
            // Never an error: the sender lives as long as `self`.
            _ = refreshed.wait_for(|at| *at != last) => Ok(()),
        }
    }

    /// Notes that a call failed, which may eject `peer`.
    pub(crate) fn note_failure(&self, peer: &Arc<Peer>, error: &CallError, is_named: bool) {
        self.shared.note_failure(peer, error, is_named);
    }

    /// The known instance at that address.
    pub(crate) fn find(&self, host: &str, port: u16) -> Option<Arc<Peer>> {
        let list = self.shared.list.load();
        let member = list
            .all
            .members
            .iter()
            .find(|member| member.instance.port() == port && member.instance.host() == host)?;
        Some(Arc::clone(&member.peer))
    }

    pub(crate) fn list_status(&self) -> ListStatus {
        self.shared.list.load().status(Instant::now())
    }

    /// Waits for the next refresh, successful or not.
    pub(crate) async fn refreshed(&self) {
        // Never an error: the sender lives as long as `self`.
        let _ = self.shared.refreshed.subscribe().changed().await;
    }

    pub(crate) fn instances(&self) -> Vec<KnownInstance> {
        let list = self.shared.list.load();
        let (now, options) = (Instant::now(), &self.shared.context.options.ejection);
        let known = |member: &Arc<Member>| KnownInstance {
            instance: member.instance.to_instance(),
            listed: list.origin.age(now),
            stale: list.problem.is_some(),
            health: member.health().describe(now, options),
            in_flight: member.peer.load.in_flight(),
            latency: member.peer.load.latency(),
        };
        list.all.members.iter().map(known).collect()
    }
}
