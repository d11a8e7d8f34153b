//! Hedging: a second attempt at a read-only call while the first is pending, on another instance.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Attempts;
use crate::client::inner::Source;
use crate::deadline::Failed;
use crate::pool::{Peer, Progress};
use crate::request::{CallReply, Outgoing};
use crate::{AttemptEnd, AttemptReason, Hedge};

/// The result of one attempt, with what is known of its progress.
type Ended = (Result<CallReply, Failed>, Progress);

impl Attempts<'_> {
    /// After which time a second attempt is made, if one may be: perhaps the method only reads.
    pub(super) fn hedge_after(&self, peer: &Arc<Peer>) -> Option<Duration> {
        let hedge = self.inner.context.options.retry.hedge;
        if hedge == Hedge::Off || self.only.is_some() || self.outgoing.is_notification() {
            return None;
        }
        let Source::Registry(discovery) = &self.inner.source else { return None };
        let method = &self.outgoing.method;
        let may_only_read = discovery.only_reads(peer, method) != Some(false);
        match hedge {
            Hedge::After(delay) => Some(delay),
            Hedge::P95 => self.inner.latencies.p95(method),
            Hedge::Off => None,
        }
        .filter(|_| may_only_read)
    }

    /// Makes the call at `first`, and after `delay` at another one as well. The first result counts, and the
    /// other attempt is cancelled. Returns the peer that gave it, which is then the last one tried; `None` if
    /// `first` is silent and there is nobody else.
    pub(super) async fn call_hedged(
        &mut self,
        first: &Arc<Peer>,
        delay: Duration,
        deadline: Instant,
    ) -> (Arc<Peer>, Option<Result<CallReply, Failed>>) {
        let outgoing = Arc::clone(&self.outgoing);
        let mut call = pin!(attempt(first, &outgoing, deadline, self.progress));
        if let Ok(ended) = timeout(delay, &mut call).await {
            return (Arc::clone(first), Some(self.take(ended)));
        }
        let Some(second) = self.hedge_peer(first) else {
            let ended = tokio::select! {
                biased;
                ended = call => Some(ended),
                () = self.peer_suspected(first) => None,
            };
            return (Arc::clone(first), ended.map(|ended| self.take(ended)));
        };
        tracing::debug!(peer = %first.name(), second = %second.name(), ?delay, "no reply yet; hedging");
        let (first_position, hedged) = (self.begin_hedge(&second), self.began.elapsed());
        let again = Arc::new(outgoing.again());
        let mut other = pin!(attempt(&second, &again, deadline, self.progress));
        let (winner, ended) = tokio::select! {
            biased;
            ended = &mut call => (first, ended),
            ended = &mut other => (&second, ended),
        };
        let loser = if Arc::ptr_eq(winner, first) { &second } else { first };
        let (mut winner, mut loser, mut ended) = (winner, loser, ended);
        if let (Err(Failed::Error(error)), _) = &ended {
            self.note_failure(winner, error);
            self.note_end_of(winner, first, first_position, AttemptEnd::Failed(error.clone()));
            (winner, loser) = (loser, winner);
            ended = if Arc::ptr_eq(winner, first) { call.await } else { other.await };
        } else {
            self.note_end_of(loser, first, first_position, AttemptEnd::Cancelled);
        }
        if Arc::ptr_eq(winner, first) {
            self.position = first_position;
            let last = self.tried.len().saturating_sub(1);
            self.tried.swap(last, last.saturating_sub(1));
        } else {
            self.earlier = hedged;
        }
        tracing::trace!(winner = %winner.name(), loser = %loser.name(), "hedged");
        (Arc::clone(winner), Some(self.take(ended)))
    }

    fn take(&mut self, (result, progress): Ended) -> Result<CallReply, Failed> {
        self.progress = progress;
        result
    }

    /// Another instance for a second attempt, if the method is known to only read, and the retry budget allows one.
    fn hedge_peer(&self, first: &Arc<Peer>) -> Option<Arc<Peer>> {
        let Source::Registry(discovery) = &self.inner.source else { return None };
        // What was not known at the start may have been learned meanwhile.
        if discovery.only_reads(first, &self.outgoing.method) != Some(true) {
            return None;
        }
        let peer = discovery.pick_other(self.wanted())?;
        self.inner.budget.withdraw().then_some(peer)
    }

    /// The second attempt begins; returns the position in the log of the first.
    fn begin_hedge(&mut self, second: &Arc<Peer>) -> usize {
        let first_position = self.position;
        if let Some(log) = &self.log {
            self.position = log.begin(second.name(), AttemptReason::Hedge, self.began.elapsed());
        }
        self.made.all += 1;
        self.tried.push(Arc::clone(second));
        self.inner.context.retries.add_one();
        first_position
    }

    /// One of the two attempts ended.
    fn note_end_of(
        &self,
        peer: &Arc<Peer>,
        first: &Arc<Peer>,
        first_position: usize,
        end: AttemptEnd,
    ) {
        if let Some(log) = &self.log {
            let is_first = Arc::ptr_eq(peer, first);
            log.end(if is_first { first_position } else { self.position }, end, self.began);
        }
    }
}

/// Makes the call once. Dropping the future cancels it.
async fn attempt(
    peer: &Arc<Peer>,
    outgoing: &Arc<Outgoing>,
    deadline: Instant,
    mut progress: Progress,
) -> Ended {
    let _in_flight = peer.load.enter();
    let result = peer.call(outgoing, deadline, &mut progress).await;
    (result, progress)
}
