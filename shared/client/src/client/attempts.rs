//! One call, from the choice of an instance to its result: attempts under one deadline.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::paths::is_reserved;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::inner::{Inner, Source};
use crate::deadline::{Failed, after, until};
use crate::discovery::Discovery;
use crate::pool::{Peer, Progress};
use crate::request::{CallReply, Outgoing};
use crate::retry::{may_retry, never_reached_server};
use crate::wanted::Wanted;
use crate::{
    AttemptEnd, AttemptLog, AttemptReason, CallError, CallStream, Dialect, Phase, Request,
    Response, Timing,
};

/// Instances without a reserved method that one call of it may find. No list names these methods, so that
/// otherwise every instance would be called.
const MAX_RESERVED: usize = 16;

/// The peers that a stream was started on before.
#[derive(Debug, Default)]
pub(super) struct Tried {
    peers: SmallVec<[Arc<Peer>; 1]>,
    made: Made,
    /// The position in the log of the last attempt.
    position: usize,
}

/// Attempts made.
#[derive(Debug, Default, Clone, Copy)]
struct Made {
    all: usize,
    /// At instances that do not have the method.
    unoffered: usize,
    /// That no server had to work for, see [`never_reached_server`].
    unreached: usize,
}

impl Made {
    /// Those that the limit of attempts counts.
    fn counted(self) -> usize {
        self.all - self.unoffered - self.unreached
    }
}

impl Tried {
    /// The same, if another instance may be tried after this failure of the last one.
    pub(super) fn after(
        self,
        inner: &Inner,
        request: &Request,
        error: CallError,
    ) -> Result<Self, CallError> {
        let mut attempts = Attempts::new(inner, request.clone())?.after(self);
        let Some(last) = attempts.tried.last().cloned() else { return Err(error) };
        attempts.check_retry(&last, error)?;
        Ok(attempts.into_tried())
    }
}

/// Whether another instance is called after one said that it does not have the method. For a reserved one
/// only if there is another: no list names it, so that the last word is that of an instance.
fn may_ask_another(discovery: &Discovery, wanted: Wanted<'_>, unoffered: usize) -> bool {
    !is_reserved(wanted.method) || unoffered < MAX_RESERVED && discovery.has_other(wanted)
}

/// A call in progress.
pub(super) struct Attempts<'a> {
    inner: &'a Inner,
    outgoing: Arc<Outgoing>,
    idempotent: bool,
    service: Option<String>,
    /// The only peer that may be called.
    only: Option<Arc<Peer>>,
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
    /// The last peer does not have the method.
    is_unoffered: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(inner: &'a Inner, request: Request) -> Result<Self, CallError> {
        if inner.context.has_ended() {
            return Err(CallError::Closed);
        }
        let only = match &request.on {
            Some(address) => Some(inner.peer_at(address)?),
            None => None,
        };
        Ok(Self {
            inner,
            outgoing: Arc::new(Outgoing::new(request.method, request.args, request.wire)),
            idempotent: request.idempotent,
            service: request.service,
            only,
            began: Instant::now(),
            timeout: request.timeout,
            tried: SmallVec::new(),
            made: Made::default(),
            is_guess: false,
            is_picking: false,
            progress: Progress::default(),
            log: request.attempts,
            position: 0,
            is_unoffered: false,
        })
    }

    /// Calls until there is a result, an error that must not be retried, or no time left.
    pub(super) async fn call(&mut self) -> Result<CallReply, CallError> {
        let within = self.timeout.unwrap_or(self.inner.context.options.timeout);
        let deadline = after(self.began, within);
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
            let in_flight = peer.load.enter();
            let mut progress = self.progress;
            let result = tokio::select! {
                biased;
                result = peer.call(&self.outgoing, deadline, &mut progress) => Some(result),
                () = self.peer_suspected(&peer), if progress.failover_after.is_some() => None,
            };
            self.progress = progress;
            drop(in_flight);
            let Some(result) = result else {
                self.give_up_on(&peer);
                continue;
            };
            match result {
                Ok(reply) => {
                    // A wait before it was sent says nothing about the server.
                    let latency = reply.done.saturating_duration_since(reply.sent_at);
                    peer.load.succeeded(latency, reply.done);
                    self.note_end(|| AttemptEnd::Replied);
                    return Ok(reply);
                }
                Err(Failed::Expired) => return Err(Failed::Expired),
                Err(Failed::Error(error)) => {
                    if self.is_idempotent(&peer, &error, deadline).await {
                        self.idempotent = true;
                    }
                    if let Err(error) = self.check_retry(&peer, error) {
                        self.look_again(error, deadline).await?;
                    }
                }
            }
        }
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
        peer.load.failed(Instant::now());
        self.inner.context.retries.add_one();
        self.note_end(|| {
            AttemptEnd::Failed(CallError::ConnectionLost {
                peer: peer.name().to_owned(),
                reason: "it showed no sign of life".to_owned(),
                executed: self.outgoing.is_sent(),
            })
        });
    }

    /// Notes that the peer failed.
    fn note_failure(&self, peer: &Arc<Peer>, error: &CallError) {
        if let Source::Registry(discovery) = &self.inner.source {
            discovery.note_failure(peer, error, self.only.is_some());
        }
    }

    /// The same call, after these were tried.
    pub(super) fn after(mut self, tried: Tried) -> Self {
        (self.tried, self.made) = (tried.peers, tried.made);
        self.position = tried.position;
        self
    }

    fn into_tried(self) -> Tried {
        Tried { peers: self.tried, made: self.made, position: self.position }
    }

    /// Begins a stream; the client's timeout limits only the time until it is sent.
    pub(super) async fn stream(self) -> Result<CallStream, CallError> {
        Ok(self.stream_and_tried().await?.0)
    }

    /// The same, with the peers that were tried.
    pub(super) async fn stream_and_tried(mut self) -> Result<(CallStream, Tried), CallError> {
        if let Some(outgoing) = Arc::get_mut(&mut self.outgoing) {
            outgoing.stream = true;
        }
        let within = self.inner.context.options.timeout;
        let within = self.timeout.map_or(within, |timeout| timeout.min(within));
        let deadline = after(Instant::now(), within);
        match tokio::time::timeout_at(deadline, self.until_streaming(deadline)).await {
            Ok(result) => Ok((result?, self.into_tried())),
            Err(_) => {
                let error = self.timed_out(within);
                self.note_end(|| AttemptEnd::Failed(error.clone()));
                Err(error)
            }
        }
    }

    async fn until_streaming(&mut self, deadline: Instant) -> Result<CallStream, CallError> {
        let end = self.timeout.map(|timeout| (timeout, after(self.began, timeout)));
        loop {
            let peer = self.pick().await?;
            let opened = async {
                let connection = peer.connect_for_stream(&mut self.progress).await?;
                let events = connection.stream(&self.outgoing, end.map(|(_, at)| at)).await?;
                Ok(CallStream::new(peer.name().to_owned(), events, end))
            };
            match opened.await {
                Ok(stream) => {
                    self.note_end(|| AttemptEnd::Replied);
                    return Ok(stream);
                }
                Err(error) => {
                    if let Err(error) = self.check_retry(&peer, error) {
                        self.look_again(error, deadline).await?;
                    }
                }
            }
        }
    }

    /// The next peer to call.
    async fn pick(&mut self) -> Result<Arc<Peer>, CallError> {
        let mut failover_after = None;
        let peer = match (&self.only, &self.inner.source) {
            (Some(peer), _) | (None, Source::Direct(peer)) => Arc::clone(peer),
            (None, Source::Registry(discovery)) => {
                self.is_picking = true;
                let picked = discovery.pick(self.wanted()).await?;
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
        self.made.all += 1;
        self.tried.push(Arc::clone(&peer));
        self.progress.connected = false;
        self.progress.failover_after = failover_after;
        Ok(peer)
    }

    fn wanted(&self) -> Wanted<'_> {
        let within = self.inner.context.options.timeout;
        Wanted {
            method: &self.outgoing.method,
            service: self.service.as_deref(),
            tried: &self.tried,
            is_unoffered: self.made.unoffered > 0,
            guess_at: after(self.began, within.min(self.timeout.unwrap_or(within)) / 2),
        }
    }

    /// Whether the call may be repeated after this failure because its method says that this does no
    /// harm. Asked only when it decides whether the call fails.
    async fn is_idempotent(&self, peer: &Arc<Peer>, error: &CallError, deadline: Instant) -> bool {
        let Source::Registry(discovery) = &self.inner.source else { return false };
        let decides = !self.idempotent && !may_retry(error, false) && may_retry(error, true);
        if !decides || !self.may_try_another() {
            return false;
        }
        let learned = Box::pin(discovery.is_idempotent(peer, &self.outgoing.method));
        tokio::time::timeout_at(deadline, learned).await.unwrap_or(false)
    }

    /// `Ok` if the call is to be retried on another instance, else the error.
    fn check_retry(&mut self, peer: &Arc<Peer>, error: CallError) -> Result<(), CallError> {
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
        let is_free = never_reached_server(&error);
        self.made.unreached += usize::from(is_free);
        let retries = may_retry(&error, self.idempotent)
            && self.may_try_another()
            && (is_free || self.inner.budget.withdraw());
        if !retries {
            return Err(if self.is_guess {
                discovery.not_found(self.wanted(), error)
            } else {
                error
            });
        }
        tracing::debug!(peer = %peer.name(), %error, "retrying on another instance");
        self.inner.context.retries.add_one();
        Ok(())
    }

    /// Before a call fails that no server had to work for: `Ok` if a look into the registry finds an instance that
    /// takes calls, perhaps one that was started in place of another, else the error.
    async fn look_again(&mut self, error: CallError, deadline: Instant) -> Result<(), CallError> {
        let Source::Registry(discovery) = &self.inner.source else { return Err(error) };
        let is_over = self.only.is_some() || self.made.counted() >= self.attempt_limit();
        if is_over || !never_reached_server(&error) {
            return Err(error);
        }
        // In a box: it is rare, and every call would have to carry its state.
        let look = Box::pin(discovery.look_again(self.wanted()));
        if !tokio::time::timeout_at(deadline, look).await.unwrap_or(false) {
            return Err(error);
        }
        self.tried.clear();
        tracing::debug!(%error, "retrying after a look into the registry");
        self.inner.context.retries.add_one();
        Ok(())
    }

    /// Whether another attempt is left, and an instance for it.
    fn may_try_another(&self) -> bool {
        match &self.inner.source {
            Source::Registry(discovery) => {
                self.only.is_none()
                    && self.made.counted() < self.attempt_limit()
                    && discovery.has_other(self.wanted())
            }
            Source::Direct(_) => false,
        }
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

    fn attempt_limit(&self) -> usize {
        self.inner.context.options.retry.attempts as usize
    }

    fn timed_out(&self, after: Duration) -> CallError {
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
        let connect = self.progress.connecting;
        Response {
            peer: self.peer_name(),
            dialect: self.progress.dialect.unwrap_or(Dialect::Classic),
            timing: Timing {
                queue: before.saturating_sub(connect),
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
