//! The registry's HTTP routes, typed; they work with the older registry too.

mod addresses;
mod body;
mod credential;
mod error;
mod events;
mod options;
mod overrides;
mod registered;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
#[cfg(feature = "tls")]
use rpc_security::tls::ClientTls;
use rpc_wire::instance::{self, Entry, Instance, InstanceRecord};
use rpc_wire::paths;
use rpc_wire::report::{Readiness, Whoami};

use crate::Token;

use addresses::Addresses;
pub(crate) use credential::Credential;
pub(crate) use error::HttpFailure;
pub use error::RegistryClientError;
pub use events::{Logs, RegistryLogLine, Watch};
pub use options::RegistryClientOptions;
pub use registered::Registered;

/// Talks to a registry: to one, or to one of several that share what they know
/// (`http://10.0.0.5:9999,10.0.0.6:9999`). When the one in use cannot be reached, does not begin to reply within
/// [`failover_after`](RegistryClientOptions::failover_after), fails (status 500 or more) or is not a registry, the same request goes to the others in turn, and one that replies
/// is used from then on. Cheap to clone; clones share the connections.
///
/// ```no_run
/// # async fn example() -> Result<(), rpc_client::registry::RegistryClientError> {
/// use rpc_client::registry::{RegistryClient, RegistryClientOptions};
///
/// let registry = RegistryClient::new("http://127.0.0.1:9999", RegistryClientOptions::default())?;
/// for instance in registry.find_all("json").await? {
///     println!("{}:{}", instance.host, instance.port);
/// }
/// # Ok(()) }
/// ```
///
/// The older registry replies with HTTP/1.0 without `Content-Length` and knows only
/// [`register`](Self::register), [`unregister`](Self::unregister) and
/// [`find_all`](Self::find_all); the others fail with [`RegistryClientError::Unsupported`].
#[derive(Debug, Clone)]
pub struct RegistryClient {
    http: reqwest::Client,
    #[cfg(feature = "tls")]
    tls: Option<Arc<ClientTls>>,
    addresses: Addresses,
    options: RegistryClientOptions,
    credential: Option<Credential>,
    /// See [`hold_connection`](Self::hold_connection).
    holds_connection: bool,
    /// Invalid entries of the last list.
    invalid: Arc<AtomicUsize>,
    /// For how many seconds the registry said with the last list that it may miss instances.
    warming: Arc<AtomicU64>,
}

/// A longer ETag is not kept, nor sent with the next request.
const MAX_ETAG: usize = 1024;

/// A list, or that it has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List<T = Instance> {
    /// The list, with its ETag where the registry gives one.
    Changed {
        /// What is registered.
        instances: Vec<T>,
        /// To be sent with the next request.
        etag: Option<String>,
        /// Entries that were skipped because they are invalid or over a limit.
        invalid: usize,
    },
    /// The list is still the one with that ETag.
    NotModified,
}

/// A list, as a registry gives it.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) list: List<T>,
    /// The registry has just started: what is missing may only have to register again.
    pub(crate) is_warming: bool,
}

impl RegistryClient {
    /// A client of the registry at `url`, for example `http://127.0.0.1:9999`; further addresses follow a
    /// comma. Nothing is sent.
    ///
    /// # Errors
    /// It is not an `http` or `https` URL, or the files for TLS cannot be used.
    pub fn new(url: &str, options: RegistryClientOptions) -> Result<Self, RegistryClientError> {
        let addresses = Addresses::parse(url)?;
        // Without no_proxy a proxy of the environment would capture the registry's traffic.
        let builder = reqwest::Client::builder();
        #[cfg(feature = "tls")]
        let (builder, tls) = tls::with(builder, addresses.are_secure(), &options.tls)
            .map_err(RegistryClientError::Tls)?;
        let http = builder
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(options.idle_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(options.keepalive)
            .build()
            .map_err(|error| RegistryClientError::BadUrl {
                url: url.to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self {
            http,
            #[cfg(feature = "tls")]
            tls,
            addresses,
            credential: Credential::of(&options),
            options,
            holds_connection: false,
            invalid: Arc::default(),
            warming: Arc::default(),
        })
    }

    /// Says with each registration that this client keeps its connection until the next one: when the
    /// connection ends, the registry asks the instance at once whether it lives, so that nobody is sent to
    /// a server that was killed. Its `idle_timeout` must be longer than the interval of heartbeats.
    #[must_use]
    pub fn hold_connection(self) -> Self {
        Self { holds_connection: true, ..self }
    }

    /// The same, showing who it is: to addresses over TLS and to this machine only, unless
    /// `allow_plaintext`.
    #[must_use]
    pub fn with_token(self, token: impl Into<Token>, allow_plaintext: bool) -> Self {
        let options = RegistryClientOptions {
            token: Some(token.into()),
            allow_plaintext_token: allow_plaintext,
            ..self.options
        };
        Self { credential: Credential::of(&options), options, ..self }
    }

    /// Its first address, `host:port`.
    pub(crate) fn address(&self) -> String {
        let first = self.addresses.first();
        let port = first.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", first.host_str().unwrap_or_default())
    }

    /// The registry's URL; of several, that of the one in use.
    pub fn url(&self) -> &str {
        self.addresses.current().as_str().trim_end_matches('/')
    }

    /// The URL as given, with every address.
    pub fn given_url(&self) -> &str {
        self.addresses.text()
    }

    /// Registers an instance; registering it again is the heartbeat.
    ///
    /// # Errors
    /// [`RegistryClientError::Superseded`] if the instance has an incarnation and a higher one is known at
    /// its address; else see [`RegistryClientError`].
    pub async fn register(&self, instance: &Instance) -> Result<Registered, RegistryClientError> {
        let response = self.post_instance(paths::REGISTER, instance).await?;
        self.registered(response).await
    }

    /// Unregisters an instance, registered or not.
    ///
    /// # Errors
    /// See [`RegistryClientError`].
    pub async fn unregister(&self, instance: &Instance) -> Result<Instance, RegistryClientError> {
        let response = self.post_instance(paths::UNREGISTER, instance).await?;
        self.instance(response).await
    }

    /// How many entries of the last list were skipped because they are invalid. Clones count together.
    pub fn invalid(&self) -> usize {
        self.invalid.load(Ordering::Relaxed)
    }

    /// For how long the registry said with the last list or watch that instances may be missing, since it
    /// has just started; `None`: none are. Clones share it.
    pub fn warming(&self) -> Option<Duration> {
        match self.warming.load(Ordering::Relaxed) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    /// Whether the registry says that instances may be missing.
    fn note_warming(&self, headers: &header::HeaderMap) -> bool {
        let given = headers.get(paths::WARMING_HEADER);
        let seconds = given.and_then(|given| given.to_str().ok()?.parse().ok());
        self.warming.store(seconds.unwrap_or_default(), Ordering::Relaxed);
        given.is_some()
    }

    /// Every live instance that speaks `proto` (normally `json`), without [`invalid`](Self::invalid) ones.
    ///
    /// # Errors
    /// See [`RegistryClientError`].
    pub async fn find_all(&self, proto: &str) -> Result<Vec<Instance>, RegistryClientError> {
        match self.find_all_if_changed(proto, None, None).await? {
            List::Changed { instances, .. } => Ok(instances),
            List::NotModified => Ok(Vec::new()),
        }
    }

    /// Every live instance that speaks `proto`, of that service if one is given, unless the list still has
    /// that `etag`. An older registry lists the instances of every service.
    ///
    /// # Errors
    /// See [`RegistryClientError`].
    pub async fn find_all_if_changed(
        &self,
        proto: &str,
        service: Option<&str>,
        etag: Option<&str>,
    ) -> Result<List, RegistryClientError> {
        Ok(self.list(proto, service, etag, Duration::ZERO).await?.list)
    }

    /// The same, read into entries of another type. While the list has that ETag, the registry replies only
    /// after `wait`; older ones reply at once.
    pub(crate) async fn list<T: Entry>(
        &self,
        proto: &str,
        service: Option<&str>,
        etag: Option<&str>,
        wait: Duration,
    ) -> Result<Answer<T>, RegistryClientError> {
        let mut query = vec![(paths::PROTO, proto)];
        query.extend(service.map(|service| (paths::SERVICE, service)));
        let millis = format!("{}ms", wait.as_millis());
        query.extend((!wait.is_zero()).then_some((paths::WAIT, millis.as_str())));
        let request = self.request(Method::GET, paths::FIND_ALL, &query);
        let mut request = request.timeout(self.options.timeout.saturating_add(wait));
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let response = self.send(request).await?;
        if response.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(Answer { list: List::NotModified, is_warming: false });
        }
        let response = self.successful(response).await?;
        let etag = response.headers().get(header::ETAG);
        let etag = etag.and_then(|etag| etag.to_str().ok()).filter(|etag| etag.len() <= MAX_ETAG);
        let etag = etag.map(str::to_owned);
        let is_warming = self.note_warming(response.headers());
        let (instances, invalid) = self.entries(response).await?;
        Ok(Answer { list: List::Changed { instances, etag, invalid }, is_warming })
    }

    /// Every instance that speaks `proto`, with ages and states, without [`invalid`](Self::invalid) ones.
    ///
    /// # Errors
    /// [`RegistryClientError::Unsupported`] on an older registry; else see [`RegistryClientError`].
    pub async fn instances(&self, proto: &str) -> Result<Vec<InstanceRecord>, RegistryClientError> {
        let query = [(paths::PROTO, proto), (paths::OWNERS, "1")];
        let request = self.request(Method::GET, paths::INSTANCES, &query);
        let response = self.successful(self.send(request).await?).await?;
        self.note_warming(response.headers());
        Ok(self.entries(response).await?.0)
    }

    /// The registry's own condition.
    ///
    /// # Errors
    /// [`RegistryClientError::NotARegistry`] on the older registry; else see [`RegistryClientError`].
    pub async fn readiness(&self) -> Result<Readiness, RegistryClientError> {
        let response = self.send(self.request(Method::GET, paths::READYZ, &[])).await?;
        // One that shuts down says so with this status.
        let response = match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => response,
            _ => self.successful(response).await?,
        };
        let body = self.bytes(response, self.options.max_instance()).await?;
        serde_json::from_slice(&body).map_err(|error| self.bad_reply(error))
    }

    /// Who it takes this client for, and what that may do there.
    ///
    /// # Errors
    /// [`RegistryClientError::NotAllowed`] if it does not know this client; [`RegistryClientError::Unsupported`]
    /// on an older registry; else see [`RegistryClientError`].
    pub async fn whoami(&self) -> Result<Whoami, RegistryClientError> {
        let response = self.send(self.request(Method::GET, paths::WHOAMI, &[])).await?;
        let body =
            self.bytes(self.successful(response).await?, self.options.max_instance()).await?;
        serde_json::from_slice(&body).map_err(|error| self.bad_reply(error))
    }

    /// The valid entries of a list and the number of the others: an invalid registration must not
    /// hide the rest.
    async fn entries<T: Entry>(
        &self,
        response: reqwest::Response,
    ) -> Result<(Vec<T>, usize), RegistryClientError> {
        let list = self.bytes(response, self.options.max_list()).await?;
        let (valid, skipped) = instance::read_entries(&list, self.options.entries())
            .map_err(|error| self.bad_reply(error))?;
        let invalid = skipped.count;
        // A list is fetched every few seconds: only a change is logged.
        let changed = self.invalid.swap(invalid, Ordering::Relaxed) != invalid;
        if let (true, Some(error)) = (changed, skipped.why) {
            tracing::warn!(
                registry = self.url(),
                invalid,
                %error,
                "invalid entries of the registry's list skipped"
            );
        }
        Ok((valid, invalid))
    }

    async fn post_instance(
        &self,
        path: &'static str,
        instance: &Instance,
    ) -> Result<reqwest::Response, RegistryClientError> {
        let body = serde_json::to_vec(instance).map_err(|error| self.bad_reply(error))?;
        let mut request = self
            .request(Method::POST, path, &[(paths::PROTO, &instance.protocol)])
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        if self.holds_connection {
            request = request.header(paths::BEATS_HEADER, paths::BEATS_HELD);
        }
        self.successful(self.send(request).await?).await
    }

    async fn instance(&self, response: reqwest::Response) -> Result<Instance, RegistryClientError> {
        let body = self.bytes(response, self.options.max_instance()).await?;
        serde_json::from_slice(&body).map_err(|error| self.bad_reply(error))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        self.unbounded(method, path, query).timeout(self.options.timeout)
    }

    /// A request whose response may be endless.
    fn unbounded(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> reqwest::RequestBuilder {
        let mut url = self.addresses.current().clone();
        url.set_path(path);
        self.http.request(method, url).query(query)
    }

    /// Sends the request to the registry in use, and while none replies as a registry does, to the others. Every
    /// request may be repeated: it says what is to be so.
    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, RegistryClientError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            crate::tls::refresh(tls).await;
        }
        let request = request.build().map_err(|error| self.failed(&error))?;
        // The start of a stream comes within the time of a whole response.
        let whole = request.timeout().copied().unwrap_or(self.options.timeout);
        let asked_to_wait = whole.saturating_sub(self.options.timeout);
        let while_others_are_left = asked_to_wait.saturating_add(self.options.failover_after);
        let mut first = None;
        for (left, (at, address)) in (0..self.addresses.len()).rev().zip(self.addresses.in_turn()) {
            // Never `None`: no body is a stream.
            let Some(mut copy) = request.try_clone() else { break };
            let mut url = address.clone();
            url.set_path(request.url().path());
            url.set_query(request.url().query());
            *copy.url_mut() = url;
            let within = if left == 0 { whole } else { whole.min(while_others_are_left) };
            let sent = self.send_to(address, copy, within).await;
            if sent.as_ref().is_ok_and(serves) {
                if self.addresses.use_from_now_on(at) {
                    tracing::info!(registry = self.url(), "using this address of the registry");
                }
                return sent;
            }
            first.get_or_insert(sent);
        }
        match first {
            Some(Err(error)) if !self.addresses.is_single() => {
                Err(error.of_all(self.addresses.text()))
            }
            Some(first) => first,
            None => Err(self.bad_reply("nothing was sent")),
        }
    }

    /// The start of the response, which comes within that time. This is the only place that shows the token:
    /// redirects are never followed.
    async fn send_to(
        &self,
        address: &url::Url,
        mut request: reqwest::Request,
        within: Duration,
    ) -> Result<reqwest::Response, RegistryClientError> {
        let url = || address.as_str().trim_end_matches('/').to_owned();
        if let Some(credential) = self.credential.as_ref().filter(|it| it.may_go_to(address)) {
            request.headers_mut().insert(header::AUTHORIZATION, credential.header().await?);
        }
        match tokio::time::timeout(within, self.http.execute(request)).await {
            Ok(sent) => sent.map_err(|error| RegistryClientError::of(&error, url())),
            Err(_late) => Err(RegistryClientError::Timeout { url: url() }),
        }
    }
}

/// Whether a registry replied that works, even if it refuses the request.
fn serves(response: &reqwest::Response) -> bool {
    let status = response.status();
    // An older registry does not know the routes that were added.
    let is_added = response.url().path().starts_with("/v1/");
    !status.is_server_error() && (is_added || status != StatusCode::NOT_FOUND)
}
