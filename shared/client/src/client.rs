//! The client itself: calls, streams and discovery on top of peers and the list of instances.

mod attempts;
mod dialects;
mod inner;
mod latencies;
mod notify;
mod restart;
#[cfg(feature = "tower")]
mod service;
mod unlisted;

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::IntoArgs;
use rpc_wire::exact::{self, Inexact};
use rpc_wire::instance::Instance;
use rpc_wire::signature::Signature;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

#[cfg(feature = "registry")]
use crate::ListStatus;
use crate::catalog::Offered;
use crate::context::Context;
use crate::deadline::after;
#[cfg(feature = "registry")]
use crate::discovery::Discovery;
use crate::method_list::Methods;
use crate::methods;
use crate::pool::{Peer, Route};
#[cfg(feature = "registry")]
use crate::registry::RegistryClient;
use crate::retry::RetryBudget;
use crate::{
    CallError, CallStream, Catalog, ClientError, ClientOptions, InstanceHealth, KnownInstance,
    Phase, Request, Response, Target,
};

#[cfg(feature = "tower")]
use crate::layers::Layers;
use attempts::{Attempts, Tried};
use inner::{Inner, Source};
use latencies::Latencies;
use unlisted::UnlistedPeers;

/// Calls methods of one server, or of the servers that a registry lists. Cheap to clone; every task and
/// socket ends with [`close`](Client::close) or when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Where a request names none.
    service: Option<Arc<str>>,
    #[cfg(feature = "tower")]
    layers: Option<Arc<Layers>>,
}

/// What a client counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Calls retried on another instance.
    pub retries: u64,
    /// Replies without a waiting call: late, cancelled, or never sent for. They are dropped.
    pub unmatched_replies: u64,
    /// Bytes received of replies and streams, unfinished ones included.
    pub received_bytes: u64,
}

impl Client {
    /// A client of one server, `host:port`. Nothing is sent before the first call.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = rpc_tests::fakes::adder().await;
    /// # let address = server.name();
    /// use rpc_client::{Client, ClientOptions};
    ///
    /// let client = Client::direct(address, ClientOptions::default())?;
    /// assert_eq!(client.call("add", (1, 2)).await?, 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// It is not an address.
    pub fn direct(address: impl Into<String>, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::direct(&address.into())?, options)
    }

    /// A client of the servers that the registry at `url` lists. It starts to fetch the list.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use rpc_client::{Client, ClientOptions};
    ///
    /// let client = Client::through_registry("http://127.0.0.1:9999", ClientOptions::default())?;
    /// // Any instance that offers the method is called.
    /// println!("{}", client.call("add", (1, 2)).await?);
    /// // Only instances of one service.
    /// println!("{}", client.service("orders").call("get", (17,)).await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// It is not a URL, or there is no tokio runtime.
    #[cfg(feature = "registry")]
    pub fn through_registry(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(Target::Registry { url: url.to_owned() }, options)
    }

    /// A client of `target`. Its calls must be made inside a tokio runtime.
    ///
    /// # Errors
    /// The URL is not one, or it is a registry and there is no tokio runtime.
    pub fn new(target: Target, options: ClientOptions) -> Result<Self, ClientError> {
        let context = Context::new(options);
        #[cfg(feature = "tls")]
        let context = context.secured()?;
        #[cfg(not(feature = "tls"))]
        if context.options.tls {
            return Err(ClientError::NoTls);
        }
        let context = Arc::new(context);
        let source = match &target {
            Target::Direct { host, port } => {
                let route = Route::as_listed(host, *port, context.options.listed.as_ref());
                Source::Direct(Arc::new(Peer::new(&context, route, false)))
            }
            Target::JsonRpc { url } => Source::Direct(Arc::new(Peer::at_url(&context, url)?)),
            #[cfg(not(feature = "registry"))]
            Target::Registry { url } => {
                return Err(ClientError::NoRegistry { url: url.clone() });
            }
            #[cfg(feature = "registry")]
            Target::Registry { url } => {
                let registry = RegistryClient::new(url, context.options.registry())?;
                tokio::runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
                Source::Registry(Discovery::start(&context, registry))
            }
        };
        let unlisted = UnlistedPeers::new(context.options.max_unlisted_peers);
        let budget = RetryBudget::new(&context.options.retry);
        let inner = Arc::new(Inner {
            context,
            target,
            source,
            unlisted,
            budget,
            latencies: Latencies::default(),
        });
        Ok(Self {
            inner,
            service: None,
            #[cfg(feature = "tower")]
            layers: None,
        })
    }

    /// The same client, which shares its connections and ends with it, for calls to instances of one service
    /// unless a request names another. With [`ClientOptions::service`] the registry is asked for no others in
    /// the first place. Calls fail with [`CallError::BadArguments`] if it is no name: 1 to 64 ASCII letters,
    /// digits, `.`, `_` and `-`.
    #[must_use]
    pub fn service(&self, name: &str) -> Self {
        Self { service: Some(name.into()), ..self.clone() }
    }

    /// The same client for calls of this service, unless it is for another one already.
    pub(crate) fn service_if_none(self, name: &str) -> Self {
        if self.service.is_some() { self } else { self.service(name) }
    }

    /// The same client, which shares its connections, whose calls pass through these layers.
    #[cfg(feature = "tower")]
    pub(crate) fn with_layers(&self, layers: Layers) -> Self {
        Self { layers: Some(Arc::new(layers)), ..self.clone() }
    }

    /// What it calls.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// Calls `method` and waits for its result, at most [`ClientOptions::timeout`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, method: &str, args: impl IntoArgs) -> Result<Value, CallError> {
        let (replier, value) = self.simple_call(method, args).await?;
        exact::value(&value).map_err(|inexact| replier.not_exact(&inexact))
    }

    /// Calls `method` and deserializes its result.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = rpc_tests::fakes::adder().await;
    /// # let address = server.name();
    /// # let client = rpc_client::Client::direct(address, Default::default())?;
    /// let sum: i64 = client.call_as("add", (1, 2)).await?;
    /// assert_eq!(sum, 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::WrongType`] when the result does not fit.
    pub async fn call_as<T: DeserializeOwned>(
        &self,
        method: &str,
        args: impl IntoArgs,
    ) -> Result<T, CallError> {
        let (replier, value) = self.simple_call(method, args).await?;
        exact::check(&value).map_err(|inexact| replier.not_exact(&inexact))?;
        serde_json::from_str(value.get()).map_err(|error| CallError::WrongType {
            method: method.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Makes a call with all its options; the response includes timing and peer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = rpc_tests::fakes::adder().await;
    /// # let address = server.name();
    /// # let client = rpc_client::Client::direct(address.clone(), Default::default())?;
    /// use std::time::Duration;
    /// use rpc_client::Request;
    ///
    /// let request = Request::new("add", (1, 2))?.timeout(Duration::from_secs(1)).idempotent();
    /// let response = client.request(request).await?;
    /// assert_eq!((response.value.get(), response.peer), ("3", address));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn request(&self, mut request: Request) -> Result<Response, CallError> {
        self.set_service(&mut request);
        #[cfg(feature = "tower")]
        if let Some(layers) = &self.layers {
            return layers.call(request).await;
        }
        let mut attempts = Attempts::new(&self.inner, request)?;
        let reply = attempts.call().await?;
        Ok(attempts.response(reply))
    }

    /// Calls a stream method; its items arrive as they are sent.
    ///
    /// ```no_run
    /// # async fn example(client: rpc_client::Client) -> Result<(), rpc_client::CallError> {
    /// let mut ticks = client.stream("ticks", (10,)).await?;
    /// while let Some(tick) = ticks.next().await {
    ///     println!("{}", tick?.value);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; an error after the start is the stream's last item.
    pub async fn stream(&self, method: &str, args: impl IntoArgs) -> Result<CallStream, CallError> {
        self.stream_request(request(method, args)?).await
    }

    /// Calls a stream method with options: `on` chooses the instance, `timeout` limits the whole stream. It
    /// is not retried once it may have been executed.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn stream_request(&self, mut request: Request) -> Result<CallStream, CallError> {
        self.set_service(&mut request);
        match &self.inner.source {
            Source::Registry(_) if request.on.is_none() => {
                restart::stream(&self.inner, request, Tried::none()).await
            }
            _ => Attempts::new(&self.inner, request)?.stream().await,
        }
    }

    /// The methods, by name: of the one server, or of all instances that the registry lists. Where instances
    /// offer a method with several signatures, the first of its variants in the [`catalog`](Self::catalog).
    ///
    /// # Errors
    /// See [`CallError`]; none of the instances could be asked.
    pub async fn methods(&self) -> Result<Vec<Signature>, CallError> {
        match &self.inner.source {
            Source::Direct(peer) => Ok(self.ask(peer).await?.into_signatures()),
            Source::Registry(_) => {
                let catalog = self.catalog().await?;
                match catalog.unknown.first() {
                    Some(unknown) if catalog.replicas.is_empty() => Err(unknown.reason.clone()),
                    _ => Ok(catalog.signatures()),
                }
            }
        }
    }

    /// Which instance offers which methods, from `rpc.discover` or `all_your_methods` of older servers. At most 64
    /// instances are asked themselves; of the others, one per digest, unless that was done before. Waits at most
    /// [`ClientOptions::timeout`]; instances that have not replied by then are in its list of unknown ones.
    ///
    /// ```no_run
    /// # async fn example(client: rpc_client::Client) -> Result<(), rpc_client::CallError> {
    /// let catalog = client.catalog().await?;
    /// for method in catalog.methods() {
    ///     for variant in &method.variants {
    ///         let services: Vec<_> =
    ///             variant.offered_by.iter().filter_map(|it| it.service.as_deref()).collect();
    ///         println!("{}: {}", method.name, services.join(", "));
    ///     }
    /// }
    /// for unknown in &catalog.unknown {
    ///     eprintln!("{}: {}", unknown.instance, unknown.reason);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; there is no instance to ask.
    pub async fn catalog(&self) -> Result<Catalog, CallError> {
        self.catalog_of(self.inner.context.options.timeout, true).await
    }

    /// The same, which waits at most that time and asks one instance per digest. Learning goes on, so that a
    /// later one knows more.
    ///
    /// # Errors
    /// As for [`catalog`](Self::catalog).
    pub async fn catalog_within(&self, within: Duration) -> Result<Catalog, CallError> {
        self.catalog_of(within, false).await
    }

    async fn catalog_of(&self, within: Duration, confirms: bool) -> Result<Catalog, CallError> {
        match &self.inner.source {
            Source::Direct(peer) => {
                let instance = Instance::new(peer.host(), peer.port()).key();
                let late = |_| CallError::Timeout {
                    peer: peer.name().to_owned(),
                    after: within,
                    phase: Phase::Reply,
                };
                let methods =
                    tokio::time::timeout(within, self.ask(peer)).await.map_err(late)??;
                let methods = Arc::new(methods);
                Ok(Catalog::new(vec![Offered { service: None, instance, methods }], Vec::new()))
            }
            Source::Registry(discovery) => {
                discovery.catalog(self.service.as_deref(), within, confirms).await
            }
        }
    }

    /// The methods of the server at one address (`host:port`).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn methods_on(&self, address: &str) -> Result<Vec<Signature>, CallError> {
        let late_at = after(Instant::now(), self.inner.context.options.timeout / 2);
        let peer = self.inner.named_peer(address, late_at).await?;
        Ok(self.ask(&peer).await?.into_signatures())
    }

    /// The instances known now; for a direct target, that one.
    pub fn instances(&self) -> Vec<KnownInstance> {
        match &self.inner.source {
            Source::Registry(discovery) => discovery.instances(),
            Source::Direct(peer) => vec![KnownInstance {
                instance: Instance::new(peer.host(), peer.port()),
                listed: None,
                stale: false,
                health: InstanceHealth::default(),
                in_flight: peer.load.in_flight(),
                latency: peer.load.latency(),
                retried: peer.load.retried(),
            }],
        }
    }

    /// Those of the [`instances`](Self::instances) that are not [`Up`](crate::InstanceState::Up); none for a direct
    /// target. Copies nothing of the others, of which there may be thousands.
    pub fn instances_not_up(&self) -> Vec<KnownInstance> {
        match &self.inner.source {
            Source::Registry(discovery) => discovery.instances_not_up(),
            Source::Direct(_) => Vec::new(),
        }
    }

    /// Where the list is from that calls go by, how old it is, and why it is not what the registry lists now;
    /// `None` for a client of one server.
    ///
    /// ```no_run
    /// # async fn example(client: rpc_client::Client) {
    /// if let Some(status) = client.list_status()
    ///     && !status.is_live()
    /// {
    ///     eprintln!("calling {status}");
    /// }
    /// # }
    /// ```
    #[cfg(feature = "registry")]
    pub fn list_status(&self) -> Option<ListStatus> {
        match &self.inner.source {
            Source::Registry(discovery) => Some(discovery.list_status()),
            Source::Direct(_) => None,
        }
    }

    /// Waits until the registry has replied, or failed to, once more, after which
    /// [`list_status`](Self::list_status) may say something else; for ever for a client of one server.
    #[cfg(feature = "registry")]
    pub async fn list_refreshed(&self) {
        match &self.inner.source {
            Source::Registry(discovery) => discovery.refreshed().await,
            Source::Direct(_) => std::future::pending().await,
        }
    }

    /// The counters.
    pub fn stats(&self) -> ClientStats {
        ClientStats {
            retries: self.inner.context.retries.get(),
            unmatched_replies: self.inner.context.unmatched_replies.get(),
            received_bytes: self.inner.context.received_bytes.get(),
        }
    }

    /// Ends every task and socket of this client and of its clones; calls in flight fail with
    /// [`CallError::Closed`]. The list of instances is on disk then, as far as it is kept there and that takes no
    /// longer than 0.2 s.
    pub async fn close(&self) {
        if let Source::Registry(discovery) = &self.inner.source {
            discovery.settle().await;
        }
        self.inner.context.close().await;
    }

    /// Limits a request that names no service to the client's.
    fn set_service(&self, request: &mut Request) {
        if let (Some(service), None) = (&self.service, &request.service) {
            request.service = Some(service.to_string());
        }
    }

    async fn simple_call(
        &self,
        method: &str,
        args: impl IntoArgs,
    ) -> Result<(Replier<'_>, Box<RawValue>), CallError> {
        let mut request = request(method, args)?;
        #[cfg(feature = "tower")]
        if self.layers.is_some() {
            // In a box: without layers, no call carries its state.
            let response = Box::pin(self.request(request)).await?;
            return Ok((Replier::Named(response.peer), response.value));
        }
        self.set_service(&mut request);
        let mut attempts = Attempts::new(&self.inner, request)?;
        let reply = attempts.call().await?;
        Ok((Replier::Last(attempts), reply.value))
    }

    async fn ask(&self, peer: &Arc<Peer>) -> Result<Methods, CallError> {
        if self.inner.context.has_ended() {
            return Err(CallError::Closed);
        }
        let options = &self.inner.context.options;
        methods::ask(peer, options, options.timeout).await
    }
}

/// Who replied to a call.
enum Replier<'a> {
    /// The last instance that was called.
    Last(Attempts<'a>),
    #[cfg(feature = "tower")]
    Named(String),
}

impl Replier<'_> {
    fn not_exact(&self, inexact: &Inexact) -> CallError {
        let peer = match self {
            Self::Last(attempts) => attempts.peer_name(),
            #[cfg(feature = "tower")]
            Self::Named(peer) => peer.clone(),
        };
        CallError::NotExact { peer, reason: inexact.to_string() }
    }
}

fn request(method: &str, args: impl IntoArgs) -> Result<Request, CallError> {
    Request::new(method, args).map_err(|error| CallError::BadArguments(error.to_string()))
}
