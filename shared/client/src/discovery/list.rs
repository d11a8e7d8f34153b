//! The list of instances: an immutable snapshot, replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};
use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::view::View;
use crate::backoff::Backoff;
use crate::context::Context;
use crate::pool::Peer;
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

/// One listed instance.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Instance,
    pub(super) peer: Arc<Peer>,
    pub(super) identity: Arc<Identity>,
    /// Shared by the members of successive lists that have the same peer.
    ejection: Arc<Mutex<Option<Ejection>>>,
}

/// An instance gets no calls until a probe finds it up.
#[derive(Debug, Clone, Copy)]
struct Ejection {
    failures: u32,
    /// `None` while it is being probed.
    probe_at: Option<Instant>,
}

impl Member {
    fn new(instance: Instance, context: &Arc<Context>) -> Self {
        let is_extended = instance.speaks_extended();
        Self {
            peer: Arc::new(Peer::new(context, &instance.host, instance.port, is_extended)),
            identity: identity(&instance),
            instance,
            ejection: Arc::default(),
        }
    }

    /// The same process with other parameters.
    fn updated(&self, instance: Instance) -> Self {
        let is_same = self.instance.contract() == instance.contract();
        Self {
            peer: Arc::clone(&self.peer),
            identity: if is_same { Arc::clone(&self.identity) } else { identity(&instance) },
            instance,
            ejection: Arc::clone(&self.ejection),
        }
    }

    /// Ejects it; `false` if it was already.
    pub(super) fn eject(&self, now: Instant) -> bool {
        let mut state = self.ejection();
        if state.is_some() {
            return false;
        }
        *state = Some(Ejection { failures: 1, probe_at: Some(now + delay(1)) });
        true
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejection().is_some()
    }

    /// When to probe it; `None` if it is not ejected or is being probed.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.ejection().and_then(|ejection| ejection.probe_at)
    }

    pub(super) fn begin_probe(&self) {
        if let Some(ejection) = &mut *self.ejection() {
            ejection.probe_at = None;
        }
    }

    /// Takes the result of a probe: restores it, or waits longer for the next probe.
    pub(super) fn probed(&self, is_up: bool, now: Instant) {
        let mut state = self.ejection();
        *state = state.filter(|_| !is_up).map(|ejection| {
            let failures = ejection.failures.saturating_add(1);
            Ejection { failures, probe_at: Some(now + delay(failures)) }
        });
    }

    fn ejection(&self) -> MutexGuard<'_, Option<Ejection>> {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// The list after a refresh returned `instances`. A known one keeps its connections and its ejection,
    /// unless its incarnation or its dialect changed.
    pub(super) fn refreshed(
        &self,
        instances: Vec<Instance>,
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
            if instance.port == 0 || instance.host.is_empty() || !listed.insert(instance.key()) {
                continue;
            }
            members.push(match known.remove(&instance.key()) {
                Some(member) if member.instance == instance => Arc::clone(member),
                Some(member) if is_same_process(&member.instance, &instance) => {
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

/// A new identity: nothing that was learned of the address before counts.
fn identity(instance: &Instance) -> Arc<Identity> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let digest = instance.contract().map(Arc::from);
    Arc::new(Identity { id: NEXT.fetch_add(1, Ordering::Relaxed), digest })
}

fn delay(failures: u32) -> Duration {
    Backoff::reconnect().delay(failures, &mut rand::rng())
}

fn is_same_process(before: &Instance, after: &Instance) -> bool {
    before.incarnation() == after.incarnation()
        && before.speaks_extended() == after.speaks_extended()
}
