//! What the callers and the tasks that keep the list share.

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
    /// Held while the list is exchanged, so that no change is lost; never across an await.
    pub(super) writing: Mutex<()>,
    /// Refreshes done, good or bad.
    pub(super) refreshes: watch::Sender<u64>,
    pub(super) refresh_wanted: Notify,
    pub(super) newly_aside: Notify,
}

impl Shared {
    /// Exchanges the list; `change` makes the new one from the old, if there is a change.
    pub(super) fn update(&self, change: impl FnOnce(&List) -> Option<List>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = change(&self.list.load()) {
            self.list.store(Arc::new(next));
        }
    }

    pub(super) fn set_aside(&self, peer: &Arc<Peer>, error: &CallError) {
        self.update(|list| {
            let found = list.members.iter().find(|member| Arc::ptr_eq(&member.peer, peer))?;
            if !found.set_aside(Instant::now()) {
                return None;
            }
            tracing::info!(instance = %peer.name(), %error, "instance set aside");
            self.newly_aside.notify_one();
            Some(list.rechecked())
        });
    }
}
