//! A look into the registry for a call that no known instance can take.

use tokio::time::Instant;

use super::Discovery;
use super::member::Member;
use crate::wanted::Wanted;

impl Discovery {
    /// Waits for the next look into the registry, which is asked at a pace however many calls wait. Whether an
    /// instance for the call takes calls then that was not tried, as far as is known: one that is newly listed, or
    /// one that a probe has found up again.
    pub(crate) async fn look_again(&self, wanted: Wanted<'_>) -> bool {
        self.look().await;
        self.has_other_that(wanted, Member::gets_calls)
    }

    /// Waits for a refresh that begins now or later.
    async fn look(&self) {
        let since = Instant::now();
        let mut refreshed = self.shared.refreshed.subscribe();
        self.shared.refresh_wanted.notify_one();
        tokio::select! {
            () = self.shared.context.end.cancelled() => {}
            // Never an error: the sender lives as long as `self`.
            _ = refreshed.wait_for(|began| began.is_some_and(|began| began >= since)) => {}
        }
    }
}
