//! What the callers and the tasks that maintain the list share.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::list::List;
use crate::CallError;
use crate::context::Context;
use crate::pool::Peer;

/// What the callers and the two tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) url: String,
    pub(super) list: ArcSwap<List>,
    /// Locked while the list is replaced, so that no change is lost; never across an await.
    pub(super) replacing: Mutex<()>,
    /// Refreshes done, whether they succeeded or failed.
    pub(super) refreshes: watch::Sender<u64>,
    pub(super) refresh_wanted: Notify,
    pub(super) newly_ejected: Notify,
}

impl Shared {
    /// Replaces the list by what `change` makes of it, if anything.
    pub(super) fn update(&self, change: impl FnOnce(&List) -> Option<List>) {
        let _writing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = change(&self.list.load()) {
            self.list.store(Arc::new(next));
        }
    }

    pub(super) fn eject(&self, peer: &Arc<Peer>, error: &CallError) {
        self.update(|list| {
            let found = list.members.iter().find(|member| Arc::ptr_eq(&member.peer, peer))?;
            if !found.eject(Instant::now()) {
                return None;
            }
            tracing::info!(instance = %peer.name(), %error, "instance ejected");
            self.newly_ejected.notify_one();
            Some(list.with_usable())
        });
    }
}
