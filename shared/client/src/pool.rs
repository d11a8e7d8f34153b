//! One address: the dialect of its server, and the connections kept to it.

mod classic;
mod connect;
mod evidence;
mod json_rpc;
mod linking;
mod load;
mod notify;
mod route;
mod signs;
mod slowness;
mod tally;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rpc_socket::Socket;
use rpc_wire::fault::Code;
use rpc_wire::target::{JSON_RPC_TCP, parse_url};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::{Connection, Heard, Inbox};
use crate::context::Context;
use crate::deadline::{Failed, until};
use crate::request::{CallReply, Outgoing};
use crate::token::Shown;
use crate::{CallError, ClientError, ClientOptions, Dialect, Phase};

use classic::ClassicPool;
use connect::Probed;
pub(crate) use evidence::Run;
#[cfg(feature = "registry")]
use json_rpc::HttpEndpoint;
use json_rpc::JsonRpc;
use linking::State;
#[cfg(all(test, feature = "registry"))]
pub(crate) use load::InFlight;
pub(crate) use load::Load;
pub(crate) use route::Route;
#[cfg(feature = "registry")]
pub(crate) use tally::Sample;

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

/// What calls go through.
#[derive(Debug)]
enum Link {
    Extended(Connection),
    Classic(Arc<ClassicPool>),
    JsonRpc(JsonRpc),
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

    /// The link in use, without a lock.
    fn usable(&self) -> Option<Arc<Link>> {
        let link = self.link_in_use.load_full()?;
        link.is_usable(self.context.options.dialect_ttl).then_some(link)
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
