//! One address: the dialect of its server, and the connections kept to it.

mod classic;
mod connect;
mod evidence;
mod json_rpc;
mod load;
mod notify;
mod route;
mod slowness;
mod tally;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use rpc_socket::Socket;
use rpc_wire::fault::Code;
use rpc_wire::target::{JSON_RPC_TCP, parse_url};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::connection::{Connection, Heard, Inbox};
use crate::context::Context;
use crate::deadline::{Failed, after, until};
use crate::request::{CallReply, Outgoing};
use crate::token::Shown;
use crate::{CallError, ClientError, ClientOptions, Dialect, Phase, Rounded};

use classic::ClassicPool;
use connect::{Probed, probe, probe_json_rpc};
pub(crate) use evidence::Run;
#[cfg(feature = "registry")]
use json_rpc::HttpEndpoint;
use json_rpc::{JsonRpc, TcpEndpoint};
#[cfg(all(test, feature = "registry"))]
pub(crate) use load::InFlight;
pub(crate) use load::Load;
pub(crate) use route::Route;
#[cfg(feature = "registry")]
pub(crate) use tally::Sample;

/// A server that has not replied to the probe for this long, or a quarter of a call's time, is asked in JSON-RPC as
/// well.
const JSON_RPC_AFTER: Duration = Duration::from_secs(1);

/// One address: the dialect of its server, and the connections kept to it. A server of the extended
/// dialect gets one connection for all calls and one more per stream; an older one up to 16, each with
/// one call at a time.
#[derive(Debug)]
pub(crate) struct Peer {
    context: Arc<Context>,
    route: Route,
    /// The registry says that it speaks the extended dialect: the first connection is made without a
    /// probe. Later ones probe: another server may run there by then.
    listed_extended: AtomicBool,
    /// The latest link, perhaps no longer usable; changed with `state` locked.
    link_in_use: ArcSwapOption<Link>,
    state: Mutex<State>,
    /// The contract that the latest probe found, and when.
    probed_contract: Mutex<Option<(Instant, String)>>,
    /// The registry lists it as a newer server.
    is_listed_extended: bool,
    /// The caller says that it speaks JSON-RPC over TCP: it is not asked.
    is_of_json_rpc: bool,
    heard: Arc<Heard>,
    /// It became suspect, or was ejected because it is silent.
    suspicion: Notify,
    pub(crate) load: Load,
}

/// The outcome of connecting; `None` while it is in progress.
type Outcome = Option<Result<Arc<Link>, CallError>>;

#[derive(Debug)]
enum State {
    /// No attempt is in progress.
    Settled,
    /// Calls made meanwhile wait for this one attempt.
    Connecting(watch::Receiver<Outcome>),
}

/// What calls go through.
#[derive(Debug)]
enum Link {
    Extended(Connection),
    Classic(Arc<ClassicPool>),
    JsonRpc(JsonRpc),
}

/// Whether a call has a link now.
enum LinkState {
    Ready(Arc<Link>),
    /// An attempt is in progress; its outcome is sent here.
    Connecting(watch::Receiver<Outcome>),
}

/// The progress of a call, for its timing and for the error when its deadline passes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) connected: bool,
    /// Time spent on waiting for a connection.
    pub(crate) connecting: Duration,
    /// Set if another instance could be called instead: wait no longer than this for a connection.
    pub(crate) failover_after: Option<Duration>,
    pub(crate) dialect: Option<Dialect>,
}

impl Progress {
    /// What the call waits for.
    pub(crate) fn phase(&self, call: &Outgoing) -> Phase {
        match (self.connected, call.is_sent()) {
            (false, _) => Phase::Connect,
            (true, false) => Phase::Queue,
            (true, true) => Phase::Reply,
        }
    }
}

impl Peer {
    pub(crate) fn new(context: &Arc<Context>, route: Route, listed_extended: bool) -> Self {
        Self {
            context: Arc::clone(context),
            route,
            listed_extended: AtomicBool::new(listed_extended),
            link_in_use: ArcSwapOption::empty(),
            state: Mutex::new(State::Settled),
            probed_contract: Mutex::default(),
            is_listed_extended: listed_extended,
            is_of_json_rpc: false,
            heard: Arc::default(),
            suspicion: Notify::new(),
            load: Load::new(Instant::now(), context.options.ejection.failure_window),
        }
    }

    /// A server that takes JSON-RPC at a URL.
    ///
    /// # Errors
    /// It is no such URL, or needs HTTP or TLS, which this program was built without.
    pub(crate) fn at_url(context: &Arc<Context>, url: &str) -> Result<Self, ClientError> {
        let (host, port) = parse_url(url)?;
        let peer = Self::new(context, Route::to(&host, port), false);
        if url.starts_with(JSON_RPC_TCP) {
            return Ok(Self { is_of_json_rpc: true, ..peer });
        }
        #[cfg(not(feature = "registry"))]
        return Err(ClientError::NoRegistry { url: url.to_owned() });
        #[cfg(feature = "registry")]
        {
            let endpoint = HttpEndpoint::new(context, url, peer.route.shared_name())?;
            peer.link_in_use.store(Some(Arc::new(Link::JsonRpc(JsonRpc::Http(endpoint)))));
            Ok(peer)
        }
    }

    /// `host:port`.
    pub(crate) fn name(&self) -> &str {
        self.route.name()
    }

    pub(crate) fn host(&self) -> &str {
        self.route.host()
    }

    pub(crate) fn port(&self) -> u16 {
        self.route.port()
    }

    /// Makes one call, or sends a notification. Dropping the future cancels it.
    pub(crate) async fn call(
        self: &Arc<Self>,
        request: &Arc<Outgoing>,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<CallReply, Failed> {
        let mut again = true;
        loop {
            request.mark_unsent();
            let link = until(deadline, self.link(progress)).await?;
            let result = match &*link {
                // In a box, as below.
                _ if request.is_notification() => {
                    Box::pin(self.notify(&link, request, deadline)).await
                }
                Link::Extended(connection) => connection.call(request, deadline).await,
                Link::Classic(pool) => until(deadline, pool.call(request)).await,
                // In a box: every call would have to carry its state.
                Link::JsonRpc(json_rpc) => until(deadline, Box::pin(json_rpc.call(request))).await,
            };
            match result {
                // The kept connection ended just before the call: nothing of it was sent, so that a new
                // connection is not a retry.
                Err(Failed::Error(CallError::ConnectionLost { executed: false, .. })) if again => {
                    again = false;
                }
                // Nor here, where nobody else can be called: a successor may be listening already.
                Err(Failed::Error(CallError::Refused { fault, .. }))
                    if again
                        && fault.code == Code::Draining
                        && progress.failover_after.is_none() =>
                {
                    again = false;
                }
                // Nor where the connection has shown a secret that was replaced since.
                Err(Failed::Error(CallError::Remote { fault, .. }))
                    if again
                        && fault.code == Code::Unauthorised
                        && self.leaves_outdated(&link).await =>
                {
                    again = false;
                }
                result => return result,
            }
        }
    }

    /// Whether the link has shown a secret that is not the latest: then it takes no new calls.
    async fn leaves_outdated(&self, link: &Link) -> bool {
        let Link::Extended(connection) = link else { return false };
        let token = self.context.options.token.as_ref();
        let is_outdated = connection.shown().is_outdated(token).await;
        if is_outdated {
            connection.retire();
        }
        is_outdated
    }

    /// Opens a connection of its own for a stream, once the dialect is known.
    pub(crate) async fn connect_for_stream(
        self: &Arc<Self>,
        progress: &mut Progress,
    ) -> Result<Connection, CallError> {
        let is_probed = match &*self.link(progress).await? {
            Link::Extended(connection) => connection.is_probed(),
            Link::Classic(_) => {
                let peer = self.name().to_owned();
                return Err(CallError::Unsupported { peer, what: "streams" });
            }
            Link::JsonRpc(_) => {
                let peer = self.name().to_owned();
                let instead = "call a method that returns its whole result";
                return Err(CallError::NotInJsonRpc { peer, what: "streams", instead });
            }
        };
        progress.connected = false;
        let connecting = async {
            let socket = self.connect().await?;
            let shown = self.shown_on(&socket).await;
            Ok::<_, CallError>((socket, shown))
        };
        let connected = self.context.end.run_until_cancelled(connecting).await;
        let (socket, shown) = connected.ok_or(CallError::Closed)??;
        progress.connected = true;
        Ok(self.start(socket, self.inbox(), is_probed, shown))
    }

    /// The link in use, or a new one.
    async fn link(self: &Arc<Self>, progress: &mut Progress) -> Result<Arc<Link>, CallError> {
        progress.connected = false;
        let link = match self.usable() {
            Some(link) => link,
            // In a box: it is rare, and every call would have to carry its state.
            None => Box::pin(self.new_link(progress)).await?,
        };
        progress.connected = true;
        progress.dialect = Some(link.dialect());
        Ok(link)
    }

    /// Waits for a new link, unless there is one by now.
    async fn new_link(self: &Arc<Self>, progress: &mut Progress) -> Result<Arc<Link>, CallError> {
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

    /// The link in use, without a lock.
    fn usable(&self) -> Option<Arc<Link>> {
        let link = self.link_in_use.load_full()?;
        link.is_usable(self.context.options.dialect_ttl).then_some(link)
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

    /// Whether the server takes calls, probed on a connection of its own.
    pub(crate) async fn is_up(&self, within: Duration) -> bool {
        self.says_up(within).await == Some(true)
    }

    /// The same; `None` if it does not say: it cannot be reached, or takes no more connections.
    pub(crate) async fn says_up(&self, within: Duration) -> Option<bool> {
        let attempt = async {
            let socket = self.connect().await?;
            let inbox = Inbox::new(self.context.options.max_reply_bytes);
            probe(self.name(), socket, inbox).await.inspect(|probed| self.note_contract(probed))
        };
        match tokio::time::timeout(within, attempt).await.ok()? {
            Ok(Probed { accepts_calls, .. }) => Some(accepts_calls),
            Err(CallError::Refused { fault, .. }) if fault.code == Code::Draining => Some(false),
            Err(_) => None,
        }
    }

    /// Whether the server shows a sign of life on a new connection: any reply will do. An older server gets no
    /// bytes, which it could take for a call. One whose dialect is still being asked for is not asked again.
    pub(crate) async fn ping(&self, within: Duration) -> bool {
        let dialect = self.dialect();
        let attempt = async {
            match dialect {
                None if !self.is_listed_extended => std::future::pending().await,
                None | Some(Dialect::Extended) => {
                    let Ok(socket) = self.connect().await else { return false };
                    let inbox = Inbox::new(self.context.options.max_reply_bytes);
                    // A server that refuses or closes the connection has noticed it.
                    let _ = probe(self.name(), socket, inbox).await;
                    true
                }
                Some(Dialect::Classic | Dialect::JsonRpc) => self.connect().await.is_ok(),
            }
        };
        let answered = tokio::time::timeout(within, attempt).await;
        answered.unwrap_or_else(|_| dialect.is_none() && self.link_in_use.load().is_some())
    }

    /// Whether the connection for calls was stuck: the server has just answered on a new one, and on this nothing
    /// arrives, not even the reply to a ping. Then it takes no new calls, and those that may run twice leave it. The
    /// others wait: a server that computes for long looks just like that.
    pub(crate) async fn leaves_stuck_connection(&self, within: Duration) -> bool {
        let Some(link) = self.usable() else { return false };
        let Link::Extended(connection) = &*link else { return false };
        let heard = self.heard();
        if connection.replies_within(within).await || self.heard() != heard {
            return false;
        }
        connection.retire();
        self.note_suspicion();
        true
    }

    /// Counts the bytes received on all connections for calls and streams: a sign of life.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.bytes()
    }

    /// Has the calls that wait for it look elsewhere.
    pub(crate) fn note_suspicion(&self) {
        self.suspicion.notify_waiters();
    }

    /// Waits until it is suspected of answering no more.
    pub(crate) async fn suspected(&self) {
        self.suspicion.notified().await;
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.context.options
    }

    /// Its dialect, as far as that was learned.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        self.link_in_use.load().as_ref().map(|link| link.dialect())
    }

    /// Whether there is a connection that takes calls.
    pub(crate) fn is_connected(&self) -> bool {
        self.usable().is_some()
    }

    /// Whether there is an open connection. One to an older peer is only opened for a call.
    pub(crate) fn is_connected_extended(&self) -> bool {
        self.usable().is_some_and(|link| link.dialect() == Dialect::Extended)
    }

    /// The contract that the latest probe found, and when; once.
    pub(crate) fn take_probed_contract(&self) -> Option<(Instant, String)> {
        self.probed_contract.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note_contract(&self, probed: &Probed) {
        let contract = probed.contract.clone().map(|contract| (Instant::now(), contract));
        *self.probed_contract.lock().unwrap_or_else(PoisonError::into_inner) = contract;
    }

    fn inbox(&self) -> Inbox {
        Inbox::heard_by(self.context.options.max_reply_bytes, Some(Arc::clone(&self.heard)))
    }

    fn no_connection(&self, within: Duration) -> CallError {
        CallError::Unreachable {
            peer: self.name().to_owned(),
            reason: format!("no connection or no reply to the probe within {}", Rounded(within)),
        }
    }

    fn start(&self, socket: Socket, inbox: Inbox, is_probed: bool, shown: Shown) -> Connection {
        let name = self.route.shared_name();
        Connection::start(&self.context, name, socket, inbox, is_probed, shown)
    }

    /// What a connection does about the client's token.
    async fn shown_on(&self, socket: &Socket) -> Shown {
        let ClientOptions { token, allow_plaintext_token, .. } = &self.context.options;
        // Inside TLS the server has proved who it is: the host that was named, or the service.
        let may = *allow_plaintext_token || !socket.is_plain();
        Shown::to(socket.tcp().peer_addr().ok(), token.as_ref(), may).await
    }

    async fn connect(&self) -> Result<Socket, CallError> {
        self.route.connect(&self.context).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    fn dialect(&self) -> Dialect {
        match self {
            Self::Extended(_) => Dialect::Extended,
            Self::Classic(_) => Dialect::Classic,
            Self::JsonRpc(_) => Dialect::JsonRpc,
        }
    }

    fn is_usable(&self, ttl: Duration) -> bool {
        match self {
            Self::Extended(connection) => connection.is_open(),
            Self::Classic(pool) => pool.is_usable(ttl),
            Self::JsonRpc(json_rpc) => json_rpc.is_usable(ttl),
        }
    }
}
