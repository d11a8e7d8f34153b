//! One listed instance: its connections, and whether it takes calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::listed::Listed;
use crate::backoff::Backoff;
use crate::context::Context;
use crate::pool::Peer;

/// One listed instance.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Listed,
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
    pub(super) fn new(instance: Listed, context: &Arc<Context>) -> Self {
        let is_extended = instance.speaks_extended();
        Self {
            peer: Arc::new(Peer::new(context, instance.host(), instance.port(), is_extended)),
            identity: identity(&instance),
            instance,
            ejection: Arc::default(),
        }
    }

    /// The same process with other parameters.
    pub(super) fn updated(&self, instance: Listed) -> Self {
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

    /// Takes what the instance said of its contract when it was last probed, if it was.
    pub(super) fn take_probed(&self, contracts: &mut Contracts) -> bool {
        let probed = self.peer.take_probed_contract();
        probed.is_some_and(|(at, contract)| contracts.probed(&self.identity, &contract, at))
    }

    fn ejection(&self) -> MutexGuard<'_, Option<Ejection>> {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new identity: nothing that was learned of the address before counts.
fn identity(instance: &Listed) -> Arc<Identity> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let digest = instance.contract().map(Arc::from);
    Arc::new(Identity { id: NEXT.fetch_add(1, Ordering::Relaxed), digest })
}

fn delay(failures: u32) -> Duration {
    Backoff::reconnect().delay(failures)
}
