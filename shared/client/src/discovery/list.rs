//! The list itself: an immutable snapshot, exchanged as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::balance::running_totals;
use crate::context::Context;
use crate::pool::Peer;

/// What is known of the servers at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    pub(super) members: Arc<[Arc<Member>]>,
    /// Those that calls go to: all that are not set aside, or all when all are.
    pub(super) usable: Vec<Arc<Member>>,
    /// Running totals of the usable ones' weights.
    pub(super) weights: Vec<u64>,
    /// When the registry last gave a list.
    pub(super) good: Option<Instant>,
    /// When it was last asked.
    pub(super) tried: Option<Instant>,
    /// Why the last refresh failed: then this is the last good list.
    pub(super) error: Option<String>,
}

/// One listed instance.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Instance,
    pub(super) peer: Arc<Peer>,
    /// Shared by the members that stand for one peer in successive lists.
    aside: Arc<Mutex<Option<Aside>>>,
}

/// An instance that is left alone until it serves again.
#[derive(Debug, Clone, Copy)]
struct Aside {
    failures: u32,
    /// `None` while it is being probed.
    probe_at: Option<Instant>,
}

impl Member {
    /// Leaves it alone; `false` if it was already.
    pub(super) fn set_aside(&self, now: Instant) -> bool {
        let mut state = self.aside();
        if state.is_some() {
            return false;
        }
        *state = Some(Aside { failures: 1, probe_at: Some(now + delay(1)) });
        true
    }

    pub(super) fn is_aside(&self) -> bool {
        self.aside().is_some()
    }

    /// When it is to be probed; `None` when it need not be, or is being.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.aside().and_then(|aside| aside.probe_at)
    }

    pub(super) fn begin_probe(&self) {
        if let Some(aside) = &mut *self.aside() {
            aside.probe_at = None;
        }
    }

    /// It was probed: it serves again, or is left alone for longer.
    pub(super) fn probed(&self, serves: bool, now: Instant) {
        let mut state = self.aside();
        *state = state.filter(|_| !serves).map(|aside| {
            let failures = aside.failures.saturating_add(1);
            Aside { failures, probe_at: Some(now + delay(failures)) }
        });
    }

    fn aside(&self) -> MutexGuard<'_, Option<Aside>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    /// The list after a refresh that brought `instances`. Who was known keeps its connections
    /// and its place aside, unless it is another incarnation or speaks otherwise now.
    pub(super) fn refreshed(
        &self,
        instances: Vec<Instance>,
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
                Some(member) if is_same_life(&member.instance, &instance) => Arc::new(Member {
                    instance,
                    peer: Arc::clone(&member.peer),
                    aside: Arc::clone(&member.aside),
                }),
                _ => Arc::new(Member {
                    peer: Arc::new(Peer::new(
                        context,
                        &instance.host,
                        instance.port,
                        instance.speaks_extended(),
                    )),
                    instance,
                    aside: Arc::default(),
                }),
            });
        }
        let members = members.into();
        Self { members, good: Some(now), tried: Some(now), error: None, ..Self::default() }
            .rechecked()
    }

    /// The same list, still good.
    pub(super) fn confirmed(&self, now: Instant) -> Self {
        Self { good: Some(now), tried: Some(now), error: None, ..self.clone() }
    }

    /// The same list, because the registry could not be asked.
    pub(super) fn stale(&self, error: String, now: Instant) -> Self {
        Self { tried: Some(now), error: Some(error), ..self.clone() }
    }

    /// Who is usable, worked out anew.
    pub(super) fn rechecked(&self) -> Self {
        let serves = |member: &&Arc<Member>| !member.is_aside();
        let mut usable: Vec<_> = self.members.iter().filter(serves).cloned().collect();
        if usable.is_empty() {
            usable = self.members.to_vec();
        }
        let weights = weights(&usable);
        Self {
            members: Arc::clone(&self.members),
            usable,
            weights,
            good: self.good,
            tried: self.tried,
            error: self.error.clone(),
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

fn is_same_life(before: &Instance, after: &Instance) -> bool {
    before.incarnation() == after.incarnation()
        && before.speaks_extended() == after.speaks_extended()
}
