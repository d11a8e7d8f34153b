//! A look into the registry for a call that all known instances refused.

use tokio::time::{Instant, sleep_until};

use super::{Discovery, MIN_REFRESH_GAP};
use crate::wanted::Wanted;

impl Discovery {
    /// Waits for the next look into the registry. Whether an instance takes calls then, as far as is known: one
    /// that is newly listed, or one that a probe has found up again.
    pub(crate) async fn look_again(&self, wanted: Wanted<'_>) -> bool {
        let mut refreshed = self.shared.refreshed.subscribe();
        let last = *refreshed.borrow_and_update();
        // However many calls wait, the registry is not asked more often than that.
        let next = last.map_or_else(Instant::now, |at| at + MIN_REFRESH_GAP);
        tokio::select! {
            () = sleep_until(next) => {
                if self.refresh_now().await.is_err() {
                    return false;
                }
            }
            // Never an error: the sender lives as long as `self`.
            _ = refreshed.changed() => {}
        }
        let list = self.shared.list.load();
        let view = self.view(&list, wanted.service);
        view.anyone(wanted.method).members.iter().any(|member| member.gets_calls())
    }
}
