//! The list of instances: an immutable snapshot, replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rpc_wire::instance::InstanceKey;
use tokio::time::Instant;

use super::contracts::Contracts;
use super::listed::Listed;
use super::member::Member;
use super::view::View;
use crate::context::Context;
use crate::registry::RegistryClientError;

/// Services whose instances are kept together; with more, they are collected again when needed.
const MAX_SERVICES: usize = 256;

/// The instances known at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// All of them.
    pub(super) all: Arc<View>,
    /// Those of one service, for calls that name it; collected when the first one does.
    services: Arc<RwLock<HashMap<String, Arc<View>>>>,
    /// When the registry last sent or confirmed the list.
    pub(super) fetched_at: Option<Instant>,
    /// When it was last asked.
    pub(super) attempted_at: Option<Instant>,
    /// Why the last refresh failed; then this list is stale.
    pub(super) error: Option<RegistryClientError>,
    /// Entries that were skipped because they are invalid.
    pub(super) invalid: usize,
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
        let all = Arc::new(View::new(members.into(), contracts));
        Self {
            all,
            services: Arc::default(),
            fetched_at: Some(now),
            attempted_at: Some(now),
            error: None,
            invalid,
        }
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

    /// The same list, confirmed by the registry.
    pub(super) fn confirmed(&self, now: Instant) -> Self {
        Self { fetched_at: Some(now), attempted_at: Some(now), error: None, ..self.clone() }
    }

    /// The same list, because the refresh failed.
    pub(super) fn stale(&self, error: RegistryClientError, now: Instant) -> Self {
        Self { attempted_at: Some(now), error: Some(error), ..self.clone() }
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
