//! Accepts connections within limits, and shuts down gracefully.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_host::logging::LogRing;
use rpc_host::net::{self, Listener};
use rpc_host::task::repeat_blocking;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsEntrance;
#[cfg(feature = "http")]
use rpc_host::web::WebPolicy;
use rpc_security::{Guard, RELOAD_INTERVAL, TlsOptions};
use rpc_wire::instance::is_service_name;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;
#[cfg(feature = "tls")]
use tracing::Instrument;

use crate::acceptor::Acceptor;
#[cfg(feature = "announce")]
use crate::announce::Announce;
use crate::control::{Control, accept_early};
use crate::extract::States;
pub use crate::handle::ServerHandle;
use crate::layer::{BoxError, Layer, Layers, Next, Reply, Request, Service};
use crate::method::Methods;
use crate::state::{GivenIdentity, Identity, ServerState};
use crate::{InMemory, Limits, Method, ServerError, service};

/// Time for tasks to send their final errors after the drain timeout.
const ABORT_GRACE: Duration = Duration::from_millis(500);
/// A server that listens and is not serving yet: made by [`builder`](Self::builder), run by
/// [`serve`](Self::serve), stopped by a [`ServerHandle`] or the future given to `serve`.
pub struct Server {
    state: Arc<ServerState>,
    listener: Listener,
    address: SocketAddr,
    #[cfg(feature = "announce")]
    announce: Option<Announce>,
    handle: ServerHandle,
}

/// The parts of a server. Everything but the methods has a default.
///
/// ```
/// use std::time::Duration;
///
/// use rpc_server::{Limits, Method, Server};
///
/// # async fn run() -> Result<(), rpc_server::ServerError> {
/// let server = Server::builder()
///     .name("orders")
///     .title("Orders of the shop") // in the OpenRPC document, instead of the name
///     .version("1.4.0")
///     .state(String::from("shared"))
///     .method(Method::named("ping").read_only().sync(|| "pong"))
///     .limits(Limits::default().drain_timeout(Duration::from_secs(2)))
///     .bind(([127, 0, 0, 1], 0))
///     .await?;
/// assert_ne!(server.local_addr().port(), 0);
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct ServerBuilder {
    identity: GivenIdentity,
    methods: Vec<Method>,
    states: States,
    layers: Layers,
    limits: Limits,
    log_ring: Option<LogRing>,
    guard: Guard,
    #[cfg(feature = "announce")]
    announce: Option<Announce>,
    #[cfg(feature = "http")]
    allowed_origins: Vec<String>,
    #[cfg(feature = "http")]
    allowed_hosts: Vec<String>,
    tls: TlsOptions,
}

impl ServerBuilder {
    /// The name of the service, by which callers choose among the services of a registry: 1 to 64
    /// of `A-Z a-z 0-9 . _ -`. Default: the name of the program's file.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.identity.service = Some(name.into());
        self
    }

    /// The title in the OpenRPC document. Default: the service's name.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.identity.title = Some(title.into());
        self
    }

    /// The service's own version, in the registry, the OpenRPC document and `rpc.health`. Default
    /// `0.0.0`; usually `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.identity.version = Some(version.into());
        self
    }

    /// Adds the methods of a service, and its name and version where none is set yet.
    #[must_use]
    pub fn service(mut self, service: impl service::Service) -> Self {
        self.identity.service.get_or_insert_with(|| service.name().to_owned());
        if let (None, Some(version)) = (&self.identity.version, service.version()) {
            self.identity.version = Some(version.to_owned());
        }
        self.methods(service.methods())
    }

    /// Adds a method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// Adds methods.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods.extend(methods);
        self
    }

    /// A value that methods can take as [`State`](crate::State): one of each type; a second one of
    /// the same type takes the place of the first.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.set(value);
        self
    }

    /// Wraps the methods, and the layers added before, in a [tower layer](crate::layer): the one
    /// added last sees a call first. Without layers a call costs nothing for them.
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Next> + Send + 'static,
        L::Service: Service<Request, Response = Reply, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.layers.add(layer);
        self
    }

    /// Limits other than the defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The log that `rpc.logs` streams; without one it replies with an error.
    #[must_use]
    pub fn log_ring(mut self, ring: LogRing) -> Self {
        self.log_ring = Some(ring);
        self
    }

    /// Who may do what. Default: everyone everything. Tokens of its file are read again within a second
    /// of a change.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Registers with a registry while serving. Default: no registry.
    #[cfg(feature = "announce")]
    #[must_use]
    pub fn announce(mut self, announce: Announce) -> Self {
        self.announce = Some(announce);
        self
    }

    /// Web origins (`https://example.org`) whose pages may use HTTP here; none by default.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.allowed_origins.extend(origins);
        self
    }

    /// Host names by which HTTP requests may address this server (`Host`), beside IP addresses, names
    /// without a dot, the machine's own and the advertised one; none by default. At loopback others
    /// get 403; at other addresses they do once one is given, and are logged once before.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.allowed_hosts.extend(hosts);
        self
    }

    /// Serves TLS on the same port, beside plain text or instead of it
    /// ([`TlsOptions::require`]). Default: no TLS. Needs the feature `tls`.
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = options;
        self
    }

    /// Listens; port 0 takes any free port. Must run inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ServerError::ServiceName`] for a name that cannot be used, [`ServerError::Method`] for
    /// methods that cannot be served, [`ServerError::Bind`] for an address that cannot be listened
    /// on, [`ServerError::Tls`] for files of TLS that cannot be used.
    pub async fn bind(self, address: impl Into<SocketAddr>) -> Result<Server, ServerError> {
        let address = address.into();
        #[cfg(feature = "announce")]
        let announce = self.announce.clone();
        let (backlog, tcp_user_timeout) = (self.limits.backlog, self.limits.tcp_user_timeout);
        #[cfg(feature = "tls")]
        let tls = TlsEntrance::open(self.tls.clone()).await?;
        #[cfg(not(feature = "tls"))]
        if self.tls.is_on() {
            return Err(ServerError::NoTls);
        }
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "only for TLS"))]
        let mut state = self.shared()?;
        #[cfg(feature = "tls")]
        {
            state.tls = tls;
        }
        let state = Arc::new(state);
        let bind = |source| ServerError::Bind { address, source };
        let listener = net::listen(address, backlog, tcp_user_timeout).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let handle = ServerHandle::of(&state);
        Ok(Server {
            state,
            listener,
            address,
            #[cfg(feature = "announce")]
            announce,
            handle,
        })
    }

    /// A server without a socket, whose requests and replies are bytes in memory. It is not
    /// registered, and [`Limits::max_unwritten_bytes`] and [`Limits::max_inline_bytes`] do not apply, as
    /// nobody else waits.
    ///
    /// # Errors
    /// [`ServerError::ServiceName`] and [`ServerError::Method`], as for [`bind`](Self::bind).
    pub fn in_memory(mut self) -> Result<InMemory, ServerError> {
        self.limits.max_unwritten_bytes = usize::MAX;
        self.limits.max_inline_bytes = usize::MAX;
        Ok(InMemory::new(Arc::new(self.shared()?)))
    }

    fn shared(self) -> Result<ServerState, ServerError> {
        let identity = Identity::from(self.identity);
        if !is_service_name(&identity.service) {
            return Err(ServerError::ServiceName(identity.service));
        }
        let methods = Methods::new(self.methods, &self.states)?;
        let state = ServerState::new(identity, methods, self.limits);
        #[cfg(feature = "http")]
        let web = WebPolicy::new(self.allowed_origins, self.allowed_hosts);
        #[cfg(all(feature = "http", feature = "announce"))]
        let web = match self.announce.as_ref().and_then(Announce::advertised_host) {
            Some(host) => web.with_own_name(host),
            None => web,
        };
        Ok(ServerState {
            states: self.states,
            layers: self.layers.apply(),
            log_ring: self.log_ring,
            guard: self.guard,
            #[cfg(feature = "http")]
            web,
            ..state
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts building a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A handle to stop it with.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready or a [`ServerHandle`] stops it. Then it unregisters, goes on
    /// serving until older clients know it ([`Limits::shutdown_notice`]), stops accepting, replies to
    /// the calls in flight, refuses further ones until its clients close ([`Limits::close_timeout`]),
    /// and closes.
    ///
    /// # Errors
    /// The listening socket failed, or [`ServerHandle::fail`] was called. Calls in flight still got
    /// their replies.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        rpc_host::task::on_a_worker(self.serve_here(shutdown)).await
    }

    async fn serve_here(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let Self { state, listener, address, handle, .. } = self;
        let limits = state.limits.clone();
        let control = Control::start().map_err(ServerError::Control)?;
        #[cfg(feature = "announce")]
        let announcer = self.announce.map(|announce| {
            let (drain, catalogue) = (state.drain.clone(), state.catalogue.clone());
            announce.start(address, state.facts(), drain, catalogue, &control)
        });
        // Without a descriptor for it, connections wait while the workers lag.
        let second_listener = listener.duplicate().ok();
        let mut acceptor = Acceptor::new(state.clone(), listener);
        tracing::info!(%address, methods = state.method_count(), "listening");
        let early = second_listener.map(|listener| {
            let accepting = accept_early(acceptor.for_second(), listener, Handle::current());
            control.spawn(state.draining.child_token().run_until_cancelled_owned(accepting))
        });
        let measuring = state.clone();
        let _measuring =
            AbortOnDropHandle::new(tokio::spawn(async move { measuring.lag.measure().await }));
        #[cfg(feature = "tls")]
        let _watching_tls = state.tls.clone().map(|entrance| {
            AbortOnDropHandle::new(tokio::spawn(entrance.watch().in_current_span()))
        });

        let guard = state.guard.clone();
        let _watching = (!guard.is_open()).then(|| {
            let reload = move || guard.reload();
            AbortOnDropHandle::new(control.spawn(repeat_blocking(RELOAD_INTERVAL, reload)))
        });

        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            () = handle.ending.cancelled() => {
                handle.failure.get().map_or(Ok(()), |why| Err(ServerError::Failed(why.clone())))
            }
            error = acceptor.accept() => Err(ServerError::Listener(error)),
        };

        if let Err(error) = &outcome {
            tracing::error!(%address, %error, "shutting down");
        } else {
            tracing::info!(%address, connections = state.metrics.connections.get(), "draining");
        }
        #[cfg(feature = "announce")]
        let is_unregistered = match announcer {
            // Calls are accepted until clients can know that this instance has unregistered.
            Some(announcer) => tokio::select! {
                stopped = control.spawn(announcer.stop(limits.unregister_timeout)) => {
                    stopped.unwrap_or(false)
                }
                _ = acceptor.accept(), if outcome.is_ok() => false,
            },
            None => false,
        };
        let deadline = Instant::now() + limits.drain_timeout;
        // Who does not know it from the registry learns it from a listener that is closed.
        #[cfg(feature = "announce")]
        if outcome.is_ok()
            && is_unregistered
            && let Some(notice) = state.older_clients.notice(&limits, Instant::now().into())
        {
            tracing::info!(?notice, "older clients called of late; serving on until they know");
            let _ = timeout(notice, acceptor.accept()).await;
        }
        state.draining.cancel();
        if let Some(early) = early {
            // Its handle of the socket is closed, too.
            let _ = early.await;
        }
        let connections = acceptor.close();
        let ended = async {
            connections.wait().await;
            state.notifications.close();
            state.notifications.wait().await;
        };
        tokio::pin!(ended);
        if timeout_at(deadline, &mut ended).await.is_err() {
            let left = state.places.taken();
            tracing::warn!(calls = left, "drain timeout reached; abandoning the calls in flight");
            state.aborted.cancel();
            // Tasks that are still running stop with the runtime.
            let _ = timeout(ABORT_GRACE, ended).await;
        }
        tracing::info!(%address, "stopped");
        outcome
    }
}
