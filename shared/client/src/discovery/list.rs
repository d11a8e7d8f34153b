//! The list of instances: an immutable snapshot, replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use rpc_wire::instance::InstanceKey;
use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::disk::Saved;
use super::listed::Listed;
use super::member::Member;
use super::view::View;
use crate::context::Context;
use crate::pool::Peer;
use crate::{ListProblem, ListSource, ListStatus};

/// Services whose instances are kept together; with more, they are collected again when needed.
const MAX_SERVICES: usize = 256;

/// The instances known at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// All of them.
    pub(super) all: Arc<View>,
    /// Those of one service, for calls that name it; collected when the first one does.
    services: Arc<RwLock<HashMap<String, Arc<View>>>>,
    /// Where they are from.
    pub(super) origin: Origin,
    /// Why the registry did not send or confirm this list when it was last asked.
    pub(super) problem: Option<ListProblem>,
    /// Entries of the registry's last list that were skipped because they are invalid.
    pub(super) invalid: usize,
    /// Instances that left it and may still have calls, which may have to know what their methods change.
    left: Arc<[Left]>,
}

/// An instance that is listed no more.
#[derive(Debug, Clone)]
struct Left {
    /// Gone with the last call.
    peer: Weak<Peer>,
    identity: Arc<Identity>,
}

/// Where a list is from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Origin {
    #[default]
    Nowhere,
    /// The registry sent or confirmed it then.
    Registry(Instant),
    /// It was read from the disk then, when it was that old.
    Disk(Instant, Duration),
}

impl Origin {
    pub(super) fn age(self, now: Instant) -> Option<Duration> {
        match self {
            Self::Nowhere => None,
            Self::Registry(at) => Some(now.saturating_duration_since(at)),
            Self::Disk(at, age) => Some(age.saturating_add(now.saturating_duration_since(at))),
        }
    }

    fn source(self) -> ListSource {
        match self {
            Self::Nowhere => ListSource::None,
            Self::Registry(_) => ListSource::Registry,
            Self::Disk(..) => ListSource::Disk,
        }
    }
}

impl List {
    /// The list after a refresh returned `instances`. A known one keeps its connections and its ejection,
    /// unless its incarnation or its dialect changed.
    pub(super) fn refreshed(
        &self,
        instances: Vec<Listed>,
        invalid: usize,
        (context, contracts): (&Arc<Context>, &Contracts),
        now: Instant,
    ) -> Self {
        let members = self.members_of(instances, context);
        let left = self.left_by(&members);
        let all = Arc::new(View::new(members, contracts));
        let origin = Origin::Registry(now);
        Self { all, services: Arc::default(), origin, problem: None, invalid, left }
    }

    /// What was kept on disk, while the registry lists nothing because of `problem`.
    pub(super) fn from_disk(
        saved: Saved,
        problem: ListProblem,
        (context, contracts): (&Arc<Context>, &Contracts),
        now: Instant,
    ) -> Self {
        let members = Self::default().members_of(saved.instances, context);
        Self {
            all: Arc::new(View::new(members, contracts)),
            services: Arc::default(),
            origin: Origin::Disk(now, saved.age),
            problem: Some(problem),
            invalid: 0,
            left: Arc::default(),
        }
    }

    /// The members for these instances.
    fn members_of(&self, instances: Vec<Listed>, context: &Arc<Context>) -> Arc<[Arc<Member>]> {
        let members = &self.all.members;
        let mut known: HashMap<InstanceKey, &Arc<Member>> =
            members.iter().map(|member| (member.instance.key(), member)).collect();
        let mut listed = HashSet::new();
        let mut members = Vec::with_capacity(instances.len());
        for instance in instances {
            if instance.port() == 0 || instance.host().is_empty() || !listed.insert(instance.key())
            {
                continue;
            }
            members.push(match known.remove(&instance.key()) {
                Some(member) if member.instance == instance => Arc::clone(member),
                Some(member) if instance.is_same_process(&member.instance) => {
                    Arc::new(member.updated(instance))
                }
                _ => Arc::new(Member::new(instance, context)),
            });
        }
        members.into()
    }

    /// Those that have left when `next` are the members.
    fn left_by(&self, next: &[Arc<Member>]) -> Arc<[Left]> {
        let (before, next) = (peers_of(&self.all.members), peers_of(next));
        let left_earlier = self
            .left
            .iter()
            .filter(|left| left.peer.strong_count() > 0 && !before.contains(&left.peer.as_ptr()));
        let leave_now = self.all.members.iter().filter(|it| !next.contains(&Arc::as_ptr(&it.peer)));
        let leave_now = leave_now.map(|member| Left {
            peer: Arc::downgrade(&member.peer),
            identity: Arc::clone(&member.identity),
        });
        left_earlier.cloned().chain(leave_now).collect()
    }

    /// Its members that are not members of `next` and are being called.
    pub(super) fn called_and_not_in(&self, next: &Self) -> Vec<Arc<Member>> {
        let next = peers_of(&next.all.members);
        let has_left = |member: &&Arc<Member>| !next.contains(&Arc::as_ptr(&member.peer));
        let is_called = |member: &&Arc<Member>| member.peer.load.in_flight() > 0;
        self.all.members.iter().filter(has_left).filter(is_called).cloned().collect()
    }

    /// The member that has the peer.
    pub(super) fn member_of(&self, peer: &Arc<Peer>) -> Option<&Arc<Member>> {
        self.all.members.iter().find(|member| Arc::ptr_eq(&member.peer, peer))
    }

    /// Whom the peer is, or was when it was listed.
    pub(super) fn identity_of(&self, peer: &Arc<Peer>) -> Option<&Arc<Identity>> {
        let left = || self.left.iter().find(|left| left.peer.as_ptr() == Arc::as_ptr(peer));
        self.member_of(peer).map(|member| &member.identity).or_else(|| Some(&left()?.identity))
    }

    /// Those whose contracts are to be known: its members, and who left it with calls.
    pub(super) fn identities(&self) -> Vec<&Identity> {
        let left = self.left.iter().filter(|left| left.peer.strong_count() > 0);
        let left = left.map(|left| &*left.identity);
        self.all.identities().into_iter().chain(left).collect()
    }

    /// The same list, and what an earlier one had beside: for a registry that has just started, which
    /// does not know them yet.
    pub(super) fn with_others_of(self, earlier: &Self, contracts: &Contracts) -> Self {
        let listed: HashSet<InstanceKey> =
            self.all.members.iter().map(|member| member.instance.key()).collect();
        let others = earlier.all.members.iter();
        let others = others.filter(|member| !listed.contains(&member.instance.key()));
        let members: Arc<[_]> = self.all.members.iter().chain(others).cloned().collect();
        Self { all: Arc::new(View::new(members, contracts)), ..self }
    }

    /// The same list without those, if it has any of them.
    pub(super) fn without(
        &self,
        out_of_use: &HashSet<InstanceKey>,
        contracts: &Contracts,
    ) -> Option<Self> {
        let is_in_use = |member: &&Arc<Member>| !out_of_use.contains(&member.instance.key());
        let members: Arc<[_]> = self.all.members.iter().filter(is_in_use).cloned().collect();
        (members.len() < self.all.members.len()).then(|| Self {
            left: self.left_by(&members),
            all: Arc::new(View::new(members, contracts)),
            services: Arc::default(),
            ..self.clone()
        })
    }

    /// The same list, confirmed by the registry.
    pub(super) fn confirmed(&self, now: Instant) -> Self {
        Self { origin: Origin::Registry(now), problem: None, ..self.clone() }
    }

    /// The same list, although the registry does not confirm it; none where it is from the disk and the registry
    /// refuses this client, which is an answer.
    pub(super) fn kept(&self, problem: ListProblem, invalid: usize) -> Self {
        if problem.is_refusal() && matches!(self.origin, Origin::Disk(..)) {
            let left = self.left_by(&[]);
            return Self { problem: Some(problem), invalid, left, ..Self::default() };
        }
        Self { problem: Some(problem), invalid, ..self.clone() }
    }

    /// The registry could not be asked yet, or does not know yet whom it lists, but may do so soon: who needs an
    /// instance waits for it.
    pub(super) fn is_awaited(&self) -> bool {
        let is_away = match &self.problem {
            Some(ListProblem::Registry(error)) => error.is_transient(),
            Some(ListProblem::Warming) => true,
            Some(ListProblem::ListsNobody) => false,
            None => matches!(self.origin, Origin::Nowhere),
        };
        self.all.members.is_empty() && is_away
    }

    pub(super) fn status(&self, now: Instant) -> ListStatus {
        ListStatus {
            source: self.origin.source(),
            age: self.origin.age(now),
            problem: self.problem.clone(),
            instances: self.all.members.len(),
            skipped: self.invalid,
        }
    }

    /// The same list with whom to call determined again.
    pub(super) fn with_usable(&self, contracts: &Contracts) -> Self {
        let all = Arc::new(View::new(Arc::clone(&self.all.members), contracts));
        Self { all, services: Arc::default(), ..self.clone() }
    }

    /// The instances of a service.
    pub(super) fn of_service(&self, service: &str, contracts: &Mutex<Contracts>) -> Arc<View> {
        let known = self.services.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = known.get(service) {
            return Arc::clone(view);
        }
        drop(known);
        let is_of = |member: &&Arc<Member>| member.instance.service() == Some(service);
        let members: Arc<[_]> = self.all.members.iter().filter(is_of).cloned().collect();
        let view = {
            let contracts = contracts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::new(View::new(members, &contracts))
        };
        let mut known = self.services.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_SERVICES {
            known.clear();
        }
        known.insert(service.to_owned(), Arc::clone(&view));
        view
    }
}

fn peers_of(members: &[Arc<Member>]) -> HashSet<*const Peer> {
    members.iter().map(|member| Arc::as_ptr(&member.peer)).collect()
}
