//! What the callers and the tasks that maintain the list share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use rpc_wire::fault::Code;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::list::List;
use super::member::Member;
use crate::CallError;
use crate::context::Context;
use crate::pool::Peer;

/// What the callers and the two tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) url: String,
    pub(super) list: ArcSwap<List>,
    /// Locked while the list is replaced, so that no change is lost; never across an await. Whoever changes
    /// what is known of contracts replaces the list, which keeps what follows from it.
    pub(super) contracts: Mutex<Contracts>,
    /// Changes of what is known of contracts.
    pub(super) learned: watch::Sender<u64>,
    pub(super) learn_wanted: Notify,
    /// When the last refresh was done, whether it succeeded or failed.
    pub(super) refreshed: watch::Sender<Option<Instant>>,
    pub(super) refresh_wanted: Notify,
    pub(super) newly_ejected: Notify,
}

impl Shared {
    /// Replaces the list by what `change` makes of it, if anything.
    pub(super) fn update(&self, change: impl FnOnce(&List, &mut Contracts) -> Option<List>) {
        let mut contracts = self.contracts();
        if let Some(next) = change(&self.list.load(), &mut contracts) {
            self.list.store(Arc::new(next));
        }
    }

    pub(super) fn eject(&self, peer: &Arc<Peer>, error: &CallError) {
        self.update(|list, contracts| {
            let found = member_of(list, peer)?;
            if !found.eject(Instant::now()) {
                return None;
            }
            tracing::info!(instance = %peer.name(), %error, "instance ejected");
            self.newly_ejected.notify_one();
            Some(list.with_usable(contracts))
        });
    }

    /// Ejects `peer` if the failure of a call says that it takes none.
    pub(super) fn note_failure(&self, peer: &Arc<Peer>, error: &CallError) {
        let is_down = match error {
            CallError::Unreachable { .. } => true,
            // A full server refuses new connections and serves those it has.
            CallError::Refused { .. } => !peer.is_connected(),
            CallError::Remote { fault, .. } => fault.code == Code::Draining,
            _ => false,
        };
        if is_down {
            self.eject(peer, error);
        }
    }

    /// Asks for the contracts of the list from now on, even if there is only one.
    pub(super) fn learn(&self) {
        self.contracts().is_wanted = true;
        self.learn_wanted.notify_one();
    }

    pub(super) fn contracts(&self) -> MutexGuard<'_, Contracts> {
        self.contracts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn identity_of(&self, peer: &Arc<Peer>) -> Option<Arc<Identity>> {
        let list = self.list.load();
        member_of(&list, peer).map(|member| Arc::clone(&member.identity))
    }
}

fn member_of<'a>(list: &'a List, peer: &Arc<Peer>) -> Option<&'a Arc<Member>> {
    list.all.members.iter().find(|member| Arc::ptr_eq(&member.peer, peer))
}
