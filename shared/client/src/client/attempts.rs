//! One call, from the choice of an instance to its result: attempts under one deadline.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::exact::Inexact;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::inner::{Inner, Source};
use crate::deadline::{Failed, after, until};
use crate::pool::{Peer, Progress};
use crate::request::{CallReply, Outgoing};
use crate::retry::{may_retry, never_reached_server};
use crate::{CallError, CallStream, Dialect, Phase, Request, Response, Timing};

/// A call in progress.
pub(super) struct Attempts<'a> {
    inner: &'a Inner,
    outgoing: Arc<Outgoing>,
    idempotent: bool,
    /// The only peer that may be called.
    only: Option<Arc<Peer>>,
    began: Instant,
    timeout: Option<Duration>,
    /// The peers called so far; the last one is being called.
    tried: SmallVec<[Arc<Peer>; 1]>,
    progress: Progress,
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
            outgoing: Arc::new(
                Outgoing::new(request.method, request.args).recorded_by(request.wire),
            ),
            idempotent: request.idempotent,
            only,
            began: Instant::now(),
            timeout: request.timeout,
            tried: SmallVec::new(),
            progress: Progress::default(),
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
                if let Some(peer) = self.tried.last() {
                    peer.load.record(within, Instant::now());
                }
                Err(self.timed_out(within))
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
            // Only with a registry does a call wait before it has a peer.
            let started = match &self.inner.source {
                Source::Direct(_) => self.began,
                Source::Registry(_) => Instant::now(),
            };
            let in_flight = peer.load.enter();
            let result = peer.call(&self.outgoing, deadline, &mut self.progress).await;
            drop(in_flight);
            match result {
                Ok(reply) => {
                    // A wait before it was sent says nothing about the server.
                    let latency = reply.done.saturating_duration_since(reply.sent_at);
                    peer.load.record(latency, reply.done);
                    return Ok(reply);
                }
                Err(Failed::Expired) => return Err(Failed::Expired),
                Err(Failed::Error(error)) => {
                    let now = Instant::now();
                    if error.is_not_executed() {
                        peer.load.record_refusal(now);
                    } else {
                        peer.load.record(now - started, now);
                    }
                    self.check_retry(&peer, error)?;
                }
            }
        }
    }

    /// Begins a stream; the client's timeout limits only the time until it is sent.
    pub(super) async fn stream(mut self) -> Result<CallStream, CallError> {
        if let Some(outgoing) = Arc::get_mut(&mut self.outgoing) {
            outgoing.stream = true;
        }
        let within = self.inner.context.options.timeout;
        let within = self.timeout.map_or(within, |timeout| timeout.min(within));
        match tokio::time::timeout(within, self.until_streaming()).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out(within)),
        }
    }

    async fn until_streaming(&mut self) -> Result<CallStream, CallError> {
        let end = self.timeout.map(|timeout| (timeout, after(self.began, timeout)));
        loop {
            let peer = self.pick().await?;
            let opened = async {
                let connection = peer.connect_for_stream(&mut self.progress).await?;
                let events = connection.stream(&self.outgoing, end.map(|(_, at)| at)).await?;
                Ok(CallStream::new(peer.name().to_owned(), events, end))
            };
            match opened.await {
                Ok(stream) => return Ok(stream),
                Err(error) => self.check_retry(&peer, error)?,
            }
        }
    }

    /// The next peer to call.
    async fn pick(&mut self) -> Result<Arc<Peer>, CallError> {
        let peer = match (&self.only, &self.inner.source) {
            (Some(peer), _) | (None, Source::Direct(peer)) => Arc::clone(peer),
            (None, Source::Registry(discovery)) => discovery.pick(&self.tried).await?,
        };
        self.tried.push(Arc::clone(&peer));
        self.progress.connected = false;
        let failover_after = self.inner.context.options.failover_after;
        self.progress.failover_after = self.may_try_another().then_some(failover_after);
        Ok(peer)
    }

    /// `Ok` if the call is to be retried on another instance, else the error.
    fn check_retry(&self, peer: &Arc<Peer>, error: CallError) -> Result<(), CallError> {
        let Source::Registry(discovery) = &self.inner.source else { return Err(error) };
        discovery.note_failure(peer, &error);
        let retries = may_retry(&error, self.idempotent)
            && self.may_try_another()
            && (never_reached_server(&error) || self.inner.budget.withdraw());
        if !retries {
            return Err(error);
        }
        tracing::debug!(peer = %peer.name(), %error, "retrying on another instance");
        self.inner.context.retries.add_one();
        Ok(())
    }

    /// Whether another attempt is left, and an instance for it.
    fn may_try_another(&self) -> bool {
        let limit = self.inner.context.options.retry.attempts as usize;
        match &self.inner.source {
            Source::Registry(discovery) => {
                self.only.is_none() && self.tried.len() < limit && discovery.has_other(&self.tried)
            }
            Source::Direct(_) => false,
        }
    }

    fn timed_out(&self, after: Duration) -> CallError {
        let (peer, phase) = match (self.tried.last(), &self.inner.source) {
            (None, Source::Registry(discovery)) => (discovery.url(), Phase::Discovery),
            (None, Source::Direct(peer)) => (peer.name(), Phase::Connect),
            (Some(peer), _) if !self.progress.connected => (peer.name(), Phase::Connect),
            (Some(peer), _) if !self.outgoing.is_sent() => (peer.name(), Phase::Queue),
            (Some(peer), _) => (peer.name(), Phase::Reply),
        };
        CallError::Timeout { peer: peer.to_owned(), after, phase }
    }

    pub(super) fn not_exact(&self, inexact: &Inexact) -> CallError {
        CallError::NotExact { peer: self.peer_name(), reason: inexact.to_string() }
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
            attempts: u32::try_from(self.tried.len()).unwrap_or(u32::MAX),
            value: reply.value,
            reply_bytes: reply.reply_bytes,
        }
    }

    fn peer_name(&self) -> String {
        self.tried.last().map_or_else(String::new, |peer| peer.name().to_owned())
    }
}
