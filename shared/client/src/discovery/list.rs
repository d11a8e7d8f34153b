//! The list of instances: an immutable snapshot, replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::balance::running_totals;
use crate::context::Context;
use crate::pool::Peer;
use crate::registry::RegistryClientError;

/// The instances known at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    pub(super) members: Arc<[Arc<Member>]>,
    /// The members that calls go to: those not ejected, or all of them if all are.
    pub(super) usable: Vec<Arc<Member>>,
    /// Running totals of the usable members' weights.
    pub(super) weights: Vec<u64>,
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
        context: &Arc<Context>,
        now: Instant,
    ) -> Self {
        let mut known: HashMap<InstanceKey, &Arc<Member>> =
            self.members.iter().map(|member| (member.instance.key(), member)).collect();
        let mut listed = HashSet::new();
        let mut members = Vec::with_capacity(instances.len());
        for instance in instances {
            if instance.port == 0 || instance.host.is_empty() || !listed.insert(instance.key()) {
                continue;
            }
            members.push(match known.remove(&instance.key()) {
                Some(member) if member.instance == instance => Arc::clone(member),
                Some(member) if is_same_process(&member.instance, &instance) => Arc::new(Member {
                    instance,
                    peer: Arc::clone(&member.peer),
                    ejection: Arc::clone(&member.ejection),
                }),
                _ => Arc::new(Member {
                    peer: Arc::new(Peer::new(
                        context,
                        &instance.host,
                        instance.port,
                        instance.speaks_extended(),
                    )),
                    instance,
                    ejection: Arc::default(),
                }),
            });
        }
        let members = members.into();
        Self {
            members,
            fetched_at: Some(now),
            attempted_at: Some(now),
            error: None,
            invalid,
            ..Self::default()
        }
        .with_usable()
    }

    /// The same list, confirmed by the registry.
    pub(super) fn confirmed(&self, now: Instant) -> Self {
        Self { fetched_at: Some(now), attempted_at: Some(now), error: None, ..self.clone() }
    }

    /// The same list, because the refresh failed.
    pub(super) fn stale(&self, error: RegistryClientError, now: Instant) -> Self {
        Self { attempted_at: Some(now), error: Some(error), ..self.clone() }
    }

    /// The same list with the usable members determined again.
    pub(super) fn with_usable(&self) -> Self {
        let is_up = |member: &&Arc<Member>| !member.is_ejected();
        let mut usable: Vec<_> = self.members.iter().filter(is_up).cloned().collect();
        if usable.is_empty() {
            usable = self.members.to_vec();
        }
        let weights = weights(&usable);
        Self {
            members: Arc::clone(&self.members),
            usable,
            weights,
            fetched_at: self.fetched_at,
            attempted_at: self.attempted_at,
            error: self.error.clone(),
            invalid: self.invalid,
        }
    }
}

fn delay(failures: u32) -> Duration {
    Backoff::reconnect().delay(failures, &mut rand::rng())
}

/// Running totals of the members' weights.
pub(super) fn weights(members: &[Arc<Member>]) -> Vec<u64> {
    running_totals(members.iter().map(|member| member.instance.weight()))
}

fn is_same_process(before: &Instance, after: &Instance) -> bool {
    before.incarnation() == after.incarnation()
        && before.speaks_extended() == after.speaks_extended()
}
