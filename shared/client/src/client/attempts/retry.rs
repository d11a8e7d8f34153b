//! Whether a call that failed is retried, and where.

use std::sync::Arc;

use rpc_wire::paths::is_reserved;
use tokio::time::Instant;

use super::Attempts;
use crate::client::inner::Source;
use crate::discovery::Discovery;
use crate::pool::Peer;
use crate::retry::{is_lost, is_method_failure, may_retry, never_reached_server};
use crate::wanted::Wanted;
use crate::{AttemptEnd, CallError};

/// Instances without a reserved method that one call of it may find. No list names these methods, so that
/// otherwise every instance would be called.
const MAX_RESERVED: usize = 16;

/// Attempts made.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Made {
    pub(super) all: usize,
    /// At instances that do not have the method.
    pub(super) unoffered: usize,
    /// That no server had to work for, see [`never_reached_server`].
    unreached: usize,
    /// That were lost with their connection, or abandoned.
    lost: usize,
}

impl Made {
    /// Those that the limit of attempts counts.
    pub(super) fn counted(self) -> usize {
        self.all - self.unoffered - self.unreached
    }
}

/// Whether another instance is called after one said that it does not have the method. For a reserved one
/// only if there is another: no list names it, so that the last word is that of an instance.
fn may_ask_another(discovery: &Discovery, wanted: Wanted<'_>, unoffered: usize) -> bool {
    !is_reserved(wanted.method) || unoffered < MAX_RESERVED && discovery.has_other(wanted)
}

/// Whether an idempotent call that failed in its method is made once more: not where the method fails everywhere,
/// which is its answer.
fn may_retry_elsewhere(discovery: &Discovery, peer: &Arc<Peer>, error: &CallError) -> bool {
    is_method_failure(error) && discovery.fares_worse(peer)
}

impl Attempts<'_> {
    /// Whether the call may be repeated after this failure because its method says that this does no
    /// harm. Asked only when it decides whether the call fails.
    pub(super) async fn is_idempotent(
        &self,
        peer: &Arc<Peer>,
        error: &CallError,
        deadline: Instant,
    ) -> bool {
        let Source::Registry(discovery) = &self.inner.source else { return false };
        let would_retry = may_retry(error, true) || may_retry_elsewhere(discovery, peer, error);
        let decides = !self.idempotent && !may_retry(error, false) && would_retry;
        if !decides || !self.has_attempts_left() {
            return false;
        }
        if !self.may_try_another() {
            // It may wait for a look into the registry.
            return is_lost(error)
                && discovery.is_known_idempotent(peer, &self.outgoing.method) == Some(true);
        }
        let learned = Box::pin(discovery.is_idempotent(peer, &self.outgoing.method));
        tokio::time::timeout_at(deadline, learned).await.unwrap_or(false)
    }

    /// `Ok` if the call is to be retried on another instance, else the error.
    pub(super) fn check_retry(
        &mut self,
        peer: &Arc<Peer>,
        error: CallError,
    ) -> Result<(), CallError> {
        self.note_end(|| AttemptEnd::Failed(error.clone()));
        self.is_unoffered = false;
        let Source::Registry(discovery) = &self.inner.source else { return Err(error) };
        if self.only.is_none()
            && error.is_unoffered(&self.outgoing.method)
            && may_ask_another(discovery, self.wanted(), self.made.unoffered)
        {
            // Nothing was executed: this is a wrong choice, not a failure of the instance.
            discovery.note_unoffered(peer, &self.outgoing.method);
            self.made.unoffered += 1;
            self.is_unoffered = true;
            return Ok(());
        }
        self.note_failure(peer, &error);
        self.made.unreached += usize::from(never_reached_server(&error));
        self.made.lost += usize::from(is_lost(&error));
        let may_retry = may_retry(&error, self.idempotent)
            || self.idempotent && may_retry_elsewhere(discovery, peer, &error);
        let retries = may_retry && self.may_try_another() && self.can_afford_retry(&error);
        if !retries {
            return Err(if self.is_guess {
                discovery.not_found(self.wanted(), error)
            } else {
                error
            });
        }
        tracing::debug!(peer = %peer.name(), %error, "retrying on another instance");
        self.note_retry(peer);
        self.failure = Some(Box::new(error));
        Ok(())
    }

    /// Before a call fails that no server had to work for, or that may be repeated: `Ok` if a look into the registry
    /// finds an instance that takes calls, perhaps one that was started in place of another, else the error.
    pub(super) async fn look_again(
        &mut self,
        error: CallError,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let Source::Registry(discovery) = &self.inner.source else { return Err(error) };
        let is_free = never_reached_server(&error);
        let may_retry = is_free || is_lost(&error) && may_retry(&error, self.idempotent);
        if !may_retry || !self.has_attempts_left() || !self.can_afford_retry(&error) {
            return Err(error);
        }
        let failed = self.tried.last().cloned();
        if is_free {
            // Who refused may take calls by then.
            self.tried.clear();
        }
        let look = discovery.look_again(self.wanted());
        if !tokio::time::timeout_at(deadline, look).await.unwrap_or(false) {
            return Err(error);
        }
        if let Some(peer) = failed {
            self.note_retry(&peer);
        }
        tracing::debug!(%error, "retrying after a look into the registry");
        self.failure = Some(Box::new(error));
        Ok(())
    }

    /// Whether the budget allows a retry after this failure. What no server had to work for needs none. Nor does
    /// the first repetition of a call that was lost with its connection: the work of a server that is gone is what
    /// the others have to do anyway, and as much may be lost at once as is in flight.
    fn can_afford_retry(&self, error: &CallError) -> bool {
        let is_first_loss = is_lost(error) && self.made.lost == 1;
        never_reached_server(error) || is_first_loss || self.inner.budget.withdraw()
    }

    /// Whether another attempt is left, and an instance for it.
    fn may_try_another(&self) -> bool {
        match &self.inner.source {
            Source::Registry(discovery) => {
                self.has_attempts_left() && discovery.has_other(self.wanted())
            }
            Source::Direct(_) => false,
        }
    }

    fn has_attempts_left(&self) -> bool {
        self.only.is_none() && self.made.counted() < self.attempt_limit()
    }

    pub(super) fn attempt_limit(&self) -> usize {
        self.inner.context.options.retry.attempts as usize
    }
}
