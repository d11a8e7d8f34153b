//! One call, from the choice of an instance to its result: attempts under one deadline.

mod hedge;
mod retry;
mod streams;

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rpc_wire::mutants::mutant;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::inner::{Inner, Source};
use crate::deadline::{Failed, after, until};
use crate::pool::{Peer, Progress, Run};
use crate::request::{CallReply, Expects, Outgoing};
use crate::wanted::Wanted;
use crate::{
    AttemptEnd, AttemptLog, AttemptReason, CallError, Dialect, Hedge, Phase, Request, Response,
    Timing,
};

use retry::Made;
pub(super) use streams::Tried;

/// A call in progress.
pub(super) struct Attempts<'a> {
    inner: &'a Inner,
    outgoing: Arc<Outgoing>,
    idempotent: bool,
    service: Option<String>,
    /// The only peer that may be called.
    only: Option<Arc<Peer>>,
    /// Whether the list may still have that peer's address.
    may_be_listed: bool,
    began: Instant,
    timeout: Option<Duration>,
    /// The peers called since the last look into the registry; the last one is being called.
    tried: SmallVec<[Arc<Peer>; 1]>,
    made: Made,
    /// The last peer could not be asked whether it has the method.
    is_guess: bool,
    /// It is waiting for an instance to call.
    is_picking: bool,
    progress: Progress,
    log: Option<AttemptLog>,
    /// The position in the log of the last attempt.
    position: usize,
    /// When the attempt that goes on began, unless it is the first.
    earlier: Duration,
    /// The last peer does not have the method.
    is_unoffered: bool,
    /// Why the last attempt failed that was to be made again: it is the call's error if there is nobody to make it.
    failure: Option<Box<CallError>>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(inner: &'a Inner, request: Request) -> Result<Self, CallError> {
        if inner.context.has_ended() {
            return Err(CallError::Closed);
        }
        let only = match &request.on {
            Some(address) => Some(inner.peer_at(address, request.listed.as_ref())?),
            None => None,
        };
        let may_be_listed = only.is_some() && request.listed.is_none() && inner.awaits_list();
        let mut outgoing = Outgoing::new(request.method, request.args, request.wire);
        outgoing.traceparent = request.traceparent;
        Ok(Self {
            inner,
            outgoing: Arc::new(outgoing),
            idempotent: request.idempotent,
            service: request.service,
            only,
            may_be_listed,
            began: Instant::now(),
            timeout: request.timeout,
            tried: SmallVec::new(),
            made: Made::default(),
            is_guess: false,
            is_picking: false,
            progress: Progress::default(),
            log: request.attempts,
            position: 0,
            earlier: Duration::ZERO,
            is_unoffered: false,
            failure: None,
        })
    }

    /// Before the first attempt.
    fn expect(&mut self, expects: Expects) {
        if let Some(outgoing) = Arc::get_mut(&mut self.outgoing) {
            outgoing.expects = expects;
        }
    }

    /// Sends a notification; of the errors it has those until it is sent.
    pub(super) async fn notify(&mut self) -> Result<(), CallError> {
        self.expect(Expects::Nothing);
        self.call().await.map(drop)
    }

    /// Calls until there is a result, an error that must not be retried, or no time left.
    pub(super) async fn call(&mut self) -> Result<CallReply, CallError> {
        let within = self.timeout.unwrap_or(self.inner.context.options.timeout);
        let kept = if mutant("deadline-ignored") { within * 10 } else { within };
        let deadline = after(self.began, kept);
        let result = match self.until_done(deadline).await {
            Ok(reply) => Ok(reply),
            Err(Failed::Error(error)) => Err(error),
            Err(Failed::Expired) => {
                let error = self.timed_out(within);
                if let Some(peer) = self.tried.last().filter(|_| !self.is_picking) {
                    self.note_failure(peer, &error);
                }
                self.note_end(|| AttemptEnd::Failed(error.clone()));
                Err(error)
            }
        };
        if let Err(error) = &result {
            let (method, elapsed) = (&self.outgoing.method, self.began.elapsed());
            let elapsed = format_args!("{elapsed:.1?}");
            tracing::debug!(method, peer = self.peer_name(), elapsed, %error, "call failed");
        }
        result
    }

    async fn until_done(&mut self, deadline: Instant) -> Result<CallReply, Failed> {
        self.inner.budget.deposit();
        loop {
            let peer = until(deadline, self.pick()).await?;
            let (peer, result) = match self.hedge_after(&peer) {
                // In a box: it is rare, and every call would have to carry its state.
                Some(delay) => Box::pin(self.call_hedged(&peer, delay, deadline)).await,
                None => {
                    let result = self.call_once(&peer, deadline).await;
                    (peer, result)
                }
            };
            let Some(result) = result else {
                self.give_up_on(&peer);
                continue;
            };
            match result {
                // That it is sent says nothing about the server.
                Ok(reply) if self.outgoing.is_notification() => {
                    self.note_end(|| AttemptEnd::Sent);
                    return Ok(reply);
                }
                Ok(reply) => {
                    // A wait before it was sent says nothing about the server.
                    let latency = reply.done.saturating_duration_since(reply.sent_at);
                    if let Some(run) = peer.load.succeeded(latency, reply.done) {
                        self.note_slow(&peer, run);
                    }
                    if self.inner.context.options.retry.hedge == Hedge::P95 {
                        self.inner.latencies.note(&self.outgoing.method, latency);
                    }
                    self.note_end(|| AttemptEnd::Replied);
                    return Ok(reply);
                }
                Err(Failed::Expired) => return Err(Failed::Expired),
                Err(Failed::Error(error)) => {
                    if self.is_idempotent(&peer, &error, deadline).await {
                        self.idempotent = true;
                    }
                    if let Err(error) = self.check_retry(&peer, error) {
                        // In a box, as above.
                        Box::pin(self.look_again(error, deadline)).await?;
                    }
                }
            }
        }
    }

    /// Makes one attempt; `None` if the peer is silent, and the call goes elsewhere.
    async fn call_once(
        &mut self,
        peer: &Arc<Peer>,
        deadline: Instant,
    ) -> Option<Result<CallReply, Failed>> {
        let _in_flight = peer.load.enter();
        let mut progress = self.progress;
        let may_leave = progress.failover_after.is_some();
        let result = {
            let mut call = pin!(peer.call(&self.outgoing, deadline, &mut progress));
            let mut suspected = pin!(self.peer_suspected(peer));
            // By hand: `select!` costs a call of a single server as much as one of several.
            poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if may_leave => suspected.as_mut().poll(context).map(|()| None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        self.progress = progress;
        result
    }

    /// Waits until the peer is suspected of answering no more, if the call may be repeated and another instance
    /// may be called. That takes no retry budget: it adds no load to a peer that works.
    async fn peer_suspected(&self, peer: &Arc<Peer>) {
        let Source::Registry(discovery) = &self.inner.source else { return pending().await };
        loop {
            peer.suspected().await;
            let may_run_twice = self.idempotent
                || !self.outgoing.is_sent()
                || Box::pin(discovery.is_idempotent(peer, &self.outgoing.method)).await;
            if may_run_twice && discovery.has_other(self.wanted()) {
                return;
            }
        }
    }

    /// Leaves a silent peer for another one.
    fn give_up_on(&self, peer: &Peer) {
        tracing::debug!(peer = %peer.name(), "no sign of life; retrying on another instance");
        // Of one that has left a stuck connection, only that was silent.
        if peer.is_connected() {
            peer.load.failed(Instant::now());
        }
        self.note_retry(peer);
        self.note_end(|| {
            AttemptEnd::Failed(CallError::ConnectionLost {
                peer: peer.name().to_owned(),
                reason: "it showed no sign of life".to_owned(),
                executed: self.outgoing.is_sent(),
            })
        });
    }

    /// Counts an attempt that failed at the peer and is made again on another instance.
    fn note_retry(&self, peer: &Peer) {
        self.inner.context.retries.add_one();
        peer.load.note_retry();
    }

    /// Notes that the peer failed.
    fn note_failure(&self, peer: &Arc<Peer>, error: &CallError) {
        if let Source::Registry(discovery) = &self.inner.source {
            discovery.note_failure(peer, error, self.only.is_some());
        }
    }

    /// Notes that a call of the peer was slow.
    fn note_slow(&self, peer: &Arc<Peer>, run: Run) {
        if let (Source::Registry(discovery), None) = (&self.inner.source, &self.only) {
            discovery.note_slow(peer, run);
        }
    }

    /// The next peer to call.
    async fn pick(&mut self) -> Result<Arc<Peer>, CallError> {
        if let Some(only) = self.only.clone().filter(|_| self.may_be_listed) {
            // In a box: it is rare, and every call would have to carry its state.
            let named = Box::pin(self.inner.named_peer(only.name(), self.guess_at())).await?;
            self.only = Some(named);
            self.may_be_listed = false;
        }
        let mut failover_after = None;
        let peer = match (&self.only, &self.inner.source) {
            (Some(peer), _) | (None, Source::Direct(peer)) => Arc::clone(peer),
            (None, Source::Registry(discovery)) => {
                self.is_picking = true;
                let picked = discovery.pick(self.wanted()).await;
                let picked =
                    picked.map_err(|nobody| self.failure.take().map_or(nobody, |it| *it))?;
                self.is_picking = false;
                self.is_guess = picked.is_guess;
                // This attempt included.
                let is_last = self.made.counted() + 1 >= self.attempt_limit();
                if picked.is_guess || picked.has_other && !is_last {
                    failover_after = Some(self.inner.context.options.failover_after);
                }
                picked.peer
            }
        };
        self.note_begin(&peer);
        if self.made.all > 0 {
            self.earlier = self.began.elapsed();
            self.progress.connecting = Duration::ZERO;
        }
        self.made.all += 1;
        self.tried.push(Arc::clone(&peer));
        self.progress.connected = false;
        self.progress.failover_after = failover_after;
        Ok(peer)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            method: &self.outgoing.method,
            service: self.service.as_deref(),
            tried: &self.tried,
            is_unoffered: self.made.unoffered > 0,
            began: self.began,
            guess_at: self.guess_at(),
        }
    }

    /// From then on it waits no longer for what would only be better to know.
    fn guess_at(&self) -> Instant {
        let within = self.inner.context.options.timeout;
        after(self.began, within.min(self.timeout.unwrap_or(within)) / 2)
    }

    fn note_begin(&mut self, peer: &Peer) {
        let Some(log) = &self.log else { return };
        let reason = match &self.inner.source {
            Source::Direct(_) if self.only.is_none() => AttemptReason::OnlyServer,
            _ if self.only.is_some() => AttemptReason::Named,
            _ if self.is_guess => AttemptReason::Guess,
            _ if self.is_unoffered => AttemptReason::NotOffered,
            _ if self.made.all == 0 => AttemptReason::Balanced(self.inner.context.options.balance),
            _ => AttemptReason::Retry,
        };
        self.position = log.begin(peer.name(), reason, self.began.elapsed());
    }

    fn note_end(&self, end: impl FnOnce() -> AttemptEnd) {
        if let Some(log) = &self.log {
            log.end(self.position, end(), self.began);
        }
    }

    fn timed_out(&mut self, after: Duration) -> CallError {
        if let Some(failure) = self.failure.take_if(|it| self.is_picking && it.may_have_run()) {
            return *failure;
        }
        let (peer, phase) = match (&self.inner.source, self.tried.last()) {
            (Source::Registry(discovery), Some(_)) if self.is_picking => {
                return discovery.timed_out(after);
            }
            (Source::Registry(discovery), None) => return discovery.timed_out(after),
            (Source::Direct(peer), None) => (peer.name().to_owned(), Phase::Connect),
            (_, Some(peer)) => (peer.name().to_owned(), self.progress.phase(&self.outgoing)),
        };
        CallError::Timeout { peer, after, phase }
    }

    pub(super) fn response(self, reply: CallReply) -> Response {
        let before = reply.sent_at.saturating_duration_since(self.began);
        let (earlier, connect) = (self.earlier.min(before), self.progress.connecting);
        Response {
            peer: self.peer_name(),
            dialect: self.progress.dialect.unwrap_or(Dialect::Classic),
            timing: Timing {
                earlier,
                queue: before.saturating_sub(earlier).saturating_sub(connect),
                connect,
                server: reply.first_byte.saturating_duration_since(reply.sent_at),
                transfer: reply.done.saturating_duration_since(reply.first_byte),
            },
            attempts: u32::try_from(self.made.all - self.made.unoffered).unwrap_or(u32::MAX),
            value: reply.value,
            reply_bytes: reply.reply_bytes,
        }
    }

    pub(super) fn peer_name(&self) -> String {
        self.tried.last().map_or_else(String::new, |peer| peer.name().to_owned())
    }
}
