//! Which instances there are, and which of them a call goes to: a list refreshed in the background,
//! without the ejected ones, and what the contracts of its instances offer.

mod catalog;
mod contracts;
#[cfg(test)]
mod course;
mod disk;
mod doubt;
mod health;
mod hedge;
mod learn;
mod list;
mod listed;
mod look;
mod member;
mod outlier;
mod pace;
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
use crate::pool::{Peer, Run};
use crate::registry::{RegistryClient, RegistryClientError};
use crate::{CallError, Dialect, KnownInstance, ListProblem, ListStatus, Phase, Rounded};

use disk::Disk;
use health::Health;
use list::List;
use member::Member;
use shared::Shared;

/// A call without instances does not refresh a list that is younger than this, and after a burst of such
/// calls the registry is asked once in this time.
const MIN_REFRESH_GAP: Duration = Duration::from_millis(500);

/// The callers' view of the list, which four tasks maintain.
#[derive(Debug)]
pub(crate) struct Discovery {
    shared: Arc<Shared>,
    disk: Option<Arc<Disk>>,
    turn: AtomicUsize,
}

impl Discovery {
    /// Starts the tasks that maintain the list.
    pub(crate) fn start(context: &Arc<Context>, registry: RegistryClient) -> Self {
        let shared = Arc::new(Shared {
            context: Arc::clone(context),
            url: registry.given_url().to_owned(),
            list: ArcSwap::default(),
            contracts: Mutex::default(),
            learned: watch::Sender::new(0),
            learn_wanted: Notify::new(),
            refreshed: watch::Sender::new(None),
            refresh_wanted: Notify::new(),
            disk_wanted: Notify::new(),
            left: Mutex::default(),
            health_changed: Notify::new(),
            is_watched: AtomicBool::new(true),
            calls_begin: Notify::new(),
        });
        let options = &context.options;
        let folder = options.list_cache.folder();
        let disk = folder.and_then(|folder| Disk::new(&folder, registry.address(), options));
        let refresh = refresh::Refresh::new(Arc::clone(&shared), registry, disk.clone());
        context.spawn(refresh.run());
        context.spawn(probe::run(Arc::clone(&shared)));
        context.spawn(ping::run(Arc::clone(&shared)));
        context.spawn(learn::run(Arc::clone(&shared)));
        Self { shared, disk, turn: AtomicUsize::new(0) }
    }

    /// The error of a call that found no instance within its time.
    pub(crate) fn timed_out(&self, after: Duration) -> CallError {
        let list = self.shared.list.load();
        let url = self.shared.url.clone();
        let silent = |url| {
            let reason = format!("no reply within {}", Rounded(after));
            CallError::Registry(RegistryClientError::Unreachable { url, reason })
        };
        match &list.problem {
            _ if !list.is_awaited() => {
                let peer = format!("the instances of {url}");
                CallError::Timeout { peer, after, phase: Phase::Methods }
            }
            None | Some(ListProblem::Registry(RegistryClientError::Timeout { .. })) => silent(url),
            Some(_) => self.no_instance(&list, None),
        }
    }

    /// Whether there is no list yet, and may be soon.
    pub(crate) fn awaits_list(&self) -> bool {
        self.shared.list.load().is_awaited()
    }

    /// Waits for a refresh, unless one was just made. From `late_at` on the list on disk is good enough.
    pub(crate) async fn refresh_now(&self, late_at: Instant) -> Result<(), CallError> {
        let mut refreshed = self.shared.refreshed.subscribe();
        if !self.shared.list.load().is_awaited() {
            if refreshed.borrow().is_some_and(|began| began.elapsed() < MIN_REFRESH_GAP) {
                return Ok(());
            }
            self.shared.refresh_wanted.notify_one();
        }
        let mut is_late = false;
        loop {
            tokio::select! {
                () = self.shared.context.end.cancelled() => return Err(CallError::Closed),
                // Never an error: the sender lives as long as `self`.
                _ = refreshed.changed() => return Ok(()),
                () = tokio::time::sleep_until(late_at), if !is_late => {
                    is_late = true;
                    self.shared.disk_wanted.notify_one();
                }
            }
        }
    }

    /// Waits until the list is kept on disk, for a short time at most.
    pub(crate) async fn settle(&self) {
        if let Some(disk) = &self.disk {
            disk.settle().await;
        }
    }

    /// Notes that a call failed, which may eject `peer`.
    pub(crate) fn note_failure(&self, peer: &Arc<Peer>, error: &CallError, is_named: bool) {
        self.shared.note_failures(std::iter::once((peer, error)), is_named);
    }

    /// Notes that a call of `peer` was slow, which may eject it; `run` is what speaks against it.
    pub(crate) fn note_slow(&self, peer: &Arc<Peer>, run: Run) {
        self.shared.note_slow(peer, run);
    }

    /// Whether calls of `peer` fail more often than those of others by far.
    pub(crate) fn fares_worse(&self, peer: &Arc<Peer>) -> bool {
        self.shared.fares_worse(peer)
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

    /// Whether an instance is known to speak JSON-RPC only.
    pub(crate) fn knows_json_rpc(&self) -> bool {
        let list = self.shared.list.load();
        list.all.members.iter().any(|member| member.peer.dialect() == Some(Dialect::JsonRpc))
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
        self.instances_where(|_| true)
    }

    pub(crate) fn instances_not_up(&self) -> Vec<KnownInstance> {
        self.instances_where(|health| !health.is_up())
    }

    fn instances_where(&self, is_wanted: impl Fn(&Health) -> bool) -> Vec<KnownInstance> {
        let list = self.shared.list.load();
        let (now, options) = (Instant::now(), &self.shared.context.options.ejection);
        let known = |member: &Arc<Member>| {
            let health = member.health();
            is_wanted(&health).then(|| KnownInstance {
                instance: member.instance.to_instance(),
                listed: list.origin.age(now),
                stale: list.problem.is_some(),
                health: health.describe(now, options),
                in_flight: member.peer.load.in_flight(),
                latency: member.peer.load.latency(),
                retried: member.peer.load.retried(),
            })
        };
        list.all.members.iter().filter_map(known).collect()
    }
}
