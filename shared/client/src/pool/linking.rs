//! How a peer gets its link: one attempt for all calls that wait for it, and the question for the dialect.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use rpc_socket::Socket;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::classic::ClassicPool;
use super::connect::{Probed, probe, probe_json_rpc};
use super::json_rpc::{JsonRpc, TcpEndpoint};
use super::{Link, Peer, Progress};
use crate::connection::Inbox;
use crate::deadline::after;
use crate::token::Shown;
use crate::{CallError, ClientOptions, Dialect, Phase, Rounded};

/// A server that has not replied to the probe for this long, or a quarter of a call's time, is asked in JSON-RPC as
/// well.
const JSON_RPC_AFTER: Duration = Duration::from_secs(1);

/// The outcome of connecting; `None` while it is in progress.
type Outcome = Option<Result<Arc<Link>, CallError>>;

#[derive(Debug)]
pub(super) enum State {
    /// No attempt is in progress.
    Settled,
    /// Calls made meanwhile wait for this one attempt.
    Connecting(watch::Receiver<Outcome>),
}

/// Whether a call has a link now.
enum LinkState {
    Ready(Arc<Link>),
    /// An attempt is in progress; its outcome is sent here.
    Connecting(watch::Receiver<Outcome>),
}

impl Peer {
    /// Waits for a new link, unless there is one by now.
    pub(super) async fn new_link(
        self: &Arc<Self>,
        progress: &mut Progress,
    ) -> Result<Arc<Link>, CallError> {
        let mut outcome = match self.usable_or_connecting() {
            LinkState::Ready(link) => return Ok(link),
            LinkState::Connecting(outcome) => outcome,
        };
        let began = Instant::now();
        let failover_after = progress.failover_after.unwrap_or(Duration::MAX);
        let outcome = tokio::time::timeout(failover_after, outcome.wait_for(Option::is_some)).await;
        progress.connecting += began.elapsed();
        match outcome.as_ref().map(Result::as_deref) {
            Ok(Ok(Some(result))) => result.clone(),
            // The task that connects has ended, and so the client.
            Ok(_) => Err(CallError::Closed),
            // The attempt continues, for later calls.
            Err(_) => Err(self.no_connection(failover_after)),
        }
    }

    fn usable_or_connecting(self: &Arc<Self>) -> LinkState {
        let mut state = self.state();
        // Another caller may have connected meanwhile.
        if let Some(link) = self.usable() {
            return LinkState::Ready(link);
        }
        match &*state {
            // Unless the attempt ended with the runtime that it was made in.
            State::Connecting(outcome) if outcome.has_changed().is_ok() => {
                return LinkState::Connecting(outcome.clone());
            }
            _ => {}
        }
        let (sender, outcome) = watch::channel(None);
        *state = State::Connecting(outcome.clone());
        drop(state);
        let peer = Arc::clone(self);
        self.context.spawn(async move {
            let result = peer.make_link().await;
            let result = result.map(Arc::new);
            let mut state = peer.state();
            peer.link_in_use.store(result.as_ref().ok().cloned());
            *state = State::Settled;
            drop(state);
            sender.send_replace(Some(result));
        });
        LinkState::Connecting(outcome)
    }

    async fn make_link(&self) -> Result<Link, CallError> {
        if self.is_of_json_rpc {
            return Ok(self.json_rpc(&self.inbox()));
        }
        let within = self.context.options.connect_timeout;
        let attempt = async {
            let socket = self.connect().await?;
            let inbox = self.inbox();
            let shown = self.shown_on(&socket).await;
            // A secret is for a server of this dialect, which is found out first; and only the first words inside
            // TLS say whether the server accepts this client's certificate.
            let is_listed = self.listed_extended.swap(false, Ordering::Relaxed);
            if is_listed && socket.is_plain() && !matches!(shown, Shown::Secret(_)) {
                return Ok(Link::Extended(self.start(socket, inbox, false, shown)));
            }
            let probed = self.probed(socket, inbox).await?;
            self.note_contract(&probed);
            let Probed { dialect, socket, inbox, .. } = probed;
            tracing::debug!(peer = self.name(), %dialect, "connected");
            Ok(match dialect {
                Dialect::Extended => Link::Extended(self.start(socket, inbox, true, shown)),
                Dialect::Classic => Link::Classic(ClassicPool::start(
                    &self.context,
                    self.route.clone(),
                    socket,
                    inbox,
                )),
                Dialect::JsonRpc => self.json_rpc(&inbox),
            })
        };
        tokio::time::timeout(within, attempt)
            .await
            .unwrap_or_else(|_| Err(self.no_connection(within)))
    }

    /// The way to a server of JSON-RPC, which connects for the first call.
    fn json_rpc(&self, inbox: &Inbox) -> Link {
        let route = self.route.clone();
        Link::JsonRpc(JsonRpc::Tcp(TcpEndpoint::new(&self.context, route, inbox.counter())))
    }

    /// The outcome of the probe on this connection. A server that is silent or closes it, at an address that the
    /// caller named, is asked in JSON-RPC as well, once and on another connection: many ignore what is none, and some
    /// close. Both together have half of a call's time.
    async fn probed(&self, socket: Socket, inbox: Inbox) -> Result<Probed, CallError> {
        let mut probed = pin!(probe(self.name(), socket, inbox));
        if !self.route.is_named() {
            return probed.await;
        }
        let ClientOptions { timeout, connect_timeout, .. } = self.context.options;
        let within = timeout.min(connect_timeout);
        let end = after(Instant::now(), within / 2);
        let lost = Notify::new();
        let mut asked = pin!(
            async {
                let _ = tokio::time::timeout(JSON_RPC_AFTER.min(within / 4), lost.notified()).await;
                let socket = self.connect().await.ok()?;
                probe_json_rpc(socket, self.inbox()).await
            }
            .fuse()
        );
        let probed = tokio::select! {
            biased;
            probed = &mut probed => probed,
            Some(json_rpc) = &mut asked => return Ok(json_rpc),
            () = tokio::time::sleep_until(end) => {
                let (peer, phase) = (self.name().to_owned(), Phase::Probe);
                return Err(CallError::Timeout { peer, after: within / 2, phase });
            }
        };
        match probed {
            Err(CallError::Unreachable { .. }) if !asked.is_terminated() => {
                lost.notify_one();
                let asked = tokio::time::timeout_at(end, asked).await;
                asked.ok().flatten().ok_or(()).or(probed)
            }
            probed => probed,
        }
    }

    fn no_connection(&self, within: Duration) -> CallError {
        CallError::Unreachable {
            peer: self.name().to_owned(),
            reason: format!("no connection or no reply to the probe within {}", Rounded(within)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
