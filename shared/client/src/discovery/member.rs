//! One listed instance: its connections and its health.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::health::{Health, Standing};
use super::listed::Listed;
use crate::context::Context;
use crate::pool::Peer;

/// One listed instance.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance: Listed,
    pub(super) peer: Arc<Peer>,
    pub(super) identity: Arc<Identity>,
    /// Shared by the members of successive lists that have the same peer.
    health: Arc<Mutex<Health>>,
}

impl Member {
    pub(super) fn new(instance: Listed, context: &Arc<Context>) -> Self {
        let is_extended = instance.speaks_extended();
        Self {
            peer: Arc::new(Peer::new(context, instance.route(), is_extended)),
            identity: identity(&instance),
            instance,
            health: Arc::new(Mutex::new(Health::new(Instant::now()))),
        }
    }

    /// The same process with other parameters.
    pub(super) fn updated(&self, instance: Listed) -> Self {
        let is_same = self.instance.contract() == instance.contract();
        Self {
            peer: Arc::clone(&self.peer),
            identity: if is_same { Arc::clone(&self.identity) } else { identity(&instance) },
            instance,
            health: Arc::clone(&self.health),
        }
    }

    /// Whether it takes calls, as far as is known.
    pub(super) fn gets_calls(&self) -> bool {
        matches!(self.health().standing(), Standing::Serves(_))
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the instance said of its contract when it was last probed, if it was.
    pub(super) fn take_probed(&self, contracts: &mut Contracts) -> bool {
        let probed = self.peer.take_probed_contract();
        probed.is_some_and(|(at, contract)| contracts.probed(&self.identity, &contract, at))
    }
}

/// A new identity: nothing that was learned of the address before counts.
fn identity(instance: &Listed) -> Arc<Identity> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let digest = instance.contract().map(Arc::from);
    Arc::new(Identity { id: NEXT.fetch_add(1, Ordering::Relaxed), digest })
}
