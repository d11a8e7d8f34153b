//! Registers this server with a registry: register, heartbeat, unregister.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_client::backoff::Backoff;
pub use rpc_client::registry::RegistryClientError;
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_client::{ClientTlsOptions, Token};
use rpc_wire::instance::{
    self, CONTRACT_KEY, INCARNATION_KEY, Instance, MAX_INCARNATION, Parameters, ip_literal,
};
use serde_json::Value;
use tokio::net::{UdpSocket, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::catalogue::Catalogue;
use crate::control::Control;
use crate::drain::{Asker, Drain};

/// The registry to register with, and how.
///
/// ```
/// use std::time::Duration;
///
/// use rpc_server::{Announce, Server};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let announce = Announce::to("http://127.0.0.1:9999")?
///     .advertise("203.0.113.7", Some(8080)) // if clients reach it at another address
///     .heartbeat(Duration::from_secs(2))
///     .parameter("weight", 3);
/// let server = Server::builder().announce(announce).bind(([127, 0, 0, 1], 0)).await?;
/// server.handle().stop();
/// // It registers while it serves, whether or not the registry can be reached at first.
/// server.serve(std::future::pending()).await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run()).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Announce {
    registry: RegistryClient,
    advertise_host: Option<String>,
    advertise_port: Option<u16>,
    heartbeat: Duration,
    parameters: Parameters,
}

/// Random part of each interval, so that servers do not send their heartbeats in step.
const JITTER: f64 = 0.1;
/// Interval while an operator drains this server, if shorter: it hears soon that it may take calls again.
const WHILE_DRAINED: Duration = Duration::from_secs(1);
/// How long the connection is kept for the next heartbeat: longer than any interval.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// How long shutdown waits for a heartbeat in flight.
const LAST_HEARTBEAT: Duration = Duration::from_millis(400);

impl Announce {
    /// Registers with the registry at `url` (`http://127.0.0.1:9999`), with a heartbeat every 5 s. Of several that
    /// share what they know (`http://10.0.0.5:9999,10.0.0.6:9999`) one gets the heartbeats, the next one when
    /// that fails.
    ///
    /// # Errors
    /// It is not an `http` URL.
    pub fn to(url: &str) -> Result<Self, RegistryClientError> {
        Self::to_secure(url, ClientTlsOptions::default())
    }

    /// The same, where `https://` trusts others than the authorities of the system, or the server shows a
    /// certificate to the registry.
    ///
    /// # Errors
    /// The same, or the files cannot be used.
    pub fn to_secure(url: &str, tls: ClientTlsOptions) -> Result<Self, RegistryClientError> {
        // A heartbeat that takes longer than the interval is useless.
        let options = RegistryClientOptions {
            timeout: Duration::from_secs(3),
            idle_timeout: KEPT,
            tls,
            ..RegistryClientOptions::default()
        };
        Ok(Self {
            registry: RegistryClient::new(url, options)?.hold_connection(),
            advertise_host: None,
            advertise_port: None,
            heartbeat: Duration::from_secs(5),
            parameters: Parameters::new(),
        })
    }

    /// The host to register, if one was given.
    #[cfg(feature = "http")]
    pub(crate) fn advertised_host(&self) -> Option<&str> {
        self.advertise_host.as_deref()
    }

    /// The token that it shows to the registry: over TLS and to this machine only, unless
    /// `allow_plaintext`.
    #[must_use]
    pub fn token(self, token: impl Into<Token>, allow_plaintext: bool) -> Self {
        Self { registry: self.registry.with_token(token, allow_plaintext), ..self }
    }

    /// The address to register, if clients reach the server at another one than it listens on: a
    /// host (a name is resolved, since older clients need an IP literal) and optionally another
    /// port.
    #[must_use]
    pub fn advertise(mut self, host: impl Into<String>, port: Option<u16>) -> Self {
        self.advertise_host = Some(host.into());
        self.advertise_port = port;
        self
    }

    /// Interval between heartbeats. Default 5 s; a registry expires an instance after 10 s.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// A parameter of the instance, for example `weight`.
    #[must_use]
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// Registers what listens on `listening` until stopped, with the `facts` that the server knows
    /// of itself; drains it while the registry says so.
    pub(crate) fn start(
        mut self,
        listening: SocketAddr,
        facts: Parameters,
        drain: Arc<Drain>,
        catalogue: Arc<Catalogue>,
        control: &Control,
    ) -> Announcer {
        self.parameters.extend(facts);
        self.parameters.insert(INCARNATION_KEY.to_owned(), incarnation().into());
        let stop = CancellationToken::new();
        let task = Task {
            announce: self,
            listening,
            drain,
            catalogue,
            is_overridden: false,
            standing: Standing::Unknown,
            was_registered: false,
            known_as: None,
            ttl: None,
        };
        Announcer { task: control.spawn(task.run(stop.clone())), stop }
    }
}

/// What to unregister.
struct Registration {
    registry: RegistryClient,
    instance: Instance,
    /// Whether the registry ever confirmed it; else it may have registered it without a reply.
    confirmed: bool,
}

/// A running registration.
pub(crate) struct Announcer {
    task: JoinHandle<Option<Registration>>,
    stop: CancellationToken,
}

impl Announcer {
    /// Stops the heartbeats, then unregisters; within `limit`, even if the registry does not reply. Whether
    /// the registry has acknowledged it.
    pub(crate) async fn stop(self, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        self.stop.cancel();
        let Ok(Ok(Some(registration))) = timeout_at(deadline, self.task).await else {
            return false;
        };
        let Registration { registry, instance, confirmed } = registration;
        let sent = timeout_at(deadline, registry.unregister(&instance)).await;
        if !confirmed {
            tracing::debug!(instance = %instance.key(), "unregistered, in case it was registered");
            return matches!(sent, Ok(Ok(_)));
        }
        let outcome = match sent {
            Ok(Ok(_)) => {
                tracing::info!(instance = %instance.key(), "unregistered");
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_late) => "no reply in time".to_owned(),
        };
        tracing::warn!(
            error = outcome,
            "cannot unregister; the registry will expire this instance"
        );
        false
    }
}

struct Task {
    announce: Announce,
    listening: SocketAddr,
    /// What the last heartbeat showed.
    standing: Standing,
    /// What an operator asks for by the registry. While that cannot be reached, its last word counts.
    drain: Arc<Drain>,
    is_overridden: bool,
    /// The methods, whose contract is told.
    catalogue: Arc<Catalogue>,
    /// A heartbeat succeeded before.
    was_registered: bool,
    /// The instance that may be registered, even if the registry never replied.
    known_as: Option<Instance>,
    /// How long the registry keeps it without a heartbeat, as it said last.
    ttl: Option<Duration>,
}

/// How this server stands with the registry. Each change of it is one log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No heartbeat was sent.
    Unknown,
    Registered,
    /// The registry does not reply, or refuses it.
    Failing,
    /// Another server, which started later, is registered as the same address.
    Superseded,
}

impl Task {
    /// Returns the instance to unregister.
    async fn run(mut self, stop: CancellationToken) -> Option<Registration> {
        let mut failures = 0;
        while !stop.is_cancelled() {
            // A heartbeat that arrives after the unregistration would register again.
            let stopped = async {
                stop.cancelled().await;
                sleep(LAST_HEARTBEAT).await;
            };
            let sent = tokio::select! {
                sent = self.heartbeat() => sent,
                () = stopped => break,
            };
            match sent {
                Ok(()) => failures = 0,
                Err(error) => {
                    self.note_failure(&error);
                    failures += 1;
                }
            }
            let pause = self.pause(failures);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.catalogue.changed() => {}
                () = sleep(pause) => {}
            }
        }
        let (registry, confirmed) = (self.announce.registry, self.was_registered);
        self.known_as.map(|instance| Registration { registry, instance, confirmed })
    }

    /// Sends a heartbeat; once more if it is to take the address over.
    async fn heartbeat(&mut self) -> Result<(), RegistryClientError> {
        match self.register().await {
            Err(RegistryClientError::Superseded { incarnation, listed, .. })
                if self.may_follow(listed) && incarnation < MAX_INCARNATION =>
            {
                if self.standing != Standing::Superseded {
                    tracing::info!(
                        incarnation,
                        "the registry knows a later start at this address; registering as its successor"
                    );
                }
                let successor = incarnation + 1;
                self.announce.parameters.insert(INCARNATION_KEY.to_owned(), successor.into());
                self.known_as = None;
                self.register().await
            }
            sent => sent,
        }
    }

    /// Whether to register as the successor of a later start, which this server is if a clock fell back.
    ///
    /// Of two living servers with one address the newer must win, and they must not outbid each other for
    /// ever. So a server takes an address that another holds only while it has never held it itself: once
    /// it had it, whoever has it now has come later. What has left fights for nothing.
    fn may_follow(&self, listed: bool) -> bool {
        !listed || !self.was_registered
    }

    async fn register(&mut self) -> Result<(), RegistryClientError> {
        let mut instance = match &self.known_as {
            Some(instance) if self.standing == Standing::Registered => instance.clone(),
            // The address may have changed during an outage.
            _ => self.instance().await,
        };
        let contract = self.catalogue.load().contract.as_ref().into();
        instance.parameters.insert(CONTRACT_KEY.to_owned(), contract);
        self.known_as = Some(instance.clone());
        match self.announce.registry.register(&instance).await {
            Ok(reply) => {
                self.is_overridden = reply.overridden.is_some();
                self.drain.set(Asker::Operator, self.is_overridden);
                self.note_ttl(reply.ttl);
            }
            Err(error) => {
                if is_refused(&error) && !self.was_registered {
                    self.known_as = None;
                }
                return Err(error);
            }
        }
        if self.standing != Standing::Registered {
            let registry = self.announce.registry.url();
            tracing::info!(instance = %instance.key(), %registry, "registered");
            self.standing = Standing::Registered;
            self.was_registered = true;
        }
        Ok(())
    }

    /// Warns if heartbeats are too seldom for a registry with this TTL: once for each that it says.
    fn note_ttl(&mut self, ttl: Option<Duration>) {
        if std::mem::replace(&mut self.ttl, ttl) == ttl {
            return;
        }
        let interval = self.announce.heartbeat;
        if let Some(ttl) = ttl
            && interval > ttl / 2
        {
            tracing::warn!(
                ?interval,
                ?ttl,
                "heartbeats are further apart than half of the registry's TTL: it may remove this server when one is lost; send them more often, or raise the registry's ttl"
            );
        }
    }

    /// Logs one line per change of state, however long an outage lasts.
    fn note_failure(&mut self, error: &RegistryClientError) {
        let standing = match error {
            RegistryClientError::Superseded { .. } => Standing::Superseded,
            _ => Standing::Failing,
        };
        let before = std::mem::replace(&mut self.standing, standing);
        if before == standing {
            return tracing::debug!(%error, "heartbeat failed again");
        }
        match (standing, self.was_registered) {
            (Standing::Superseded, _) => {
                let address =
                    self.known_as.as_ref().map(Instance::key).map(tracing::field::display);
                tracing::warn!(address, %error, "another server registers as this address; this one leaves it to it and asks again; still serving calls");
            }
            (_, true) => {
                tracing::warn!(%error, "heartbeat failed, will retry; still serving calls")
            }
            (_, false) => {
                tracing::warn!(%error, "cannot register, will retry; still serving calls")
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        if failures == 0 {
            let jitter = rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER);
            let interval = self.announce.heartbeat;
            let interval = if self.is_overridden { interval.min(WHILE_DRAINED) } else { interval };
            interval.mul_f64(jitter)
        } else {
            Backoff::reconnect().delay(failures)
        }
    }

    async fn instance(&self) -> Instance {
        let port = self.announce.advertise_port.unwrap_or(self.listening.port());
        let host = match &self.announce.advertise_host {
            Some(host) => literal_of(host).await,
            None if self.listening.ip().is_unspecified() => {
                ip_literal(self.address_towards_registry().await)
            }
            None => ip_literal(self.listening.ip()),
        };
        let mut instance = Instance::new(host, port);
        instance.parameters = self.announce.parameters.clone();
        instance
    }

    /// This machine's address on the route to the registry.
    async fn address_towards_registry(&self) -> IpAddr {
        let found = async {
            let url = url::Url::parse(self.announce.registry.url()).ok()?;
            let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
            let port = url.port_or_known_default()?;
            let registry = lookup_host((host, port)).await.ok()?.next()?;
            let any: IpAddr = match registry {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            // Connecting a UDP socket sends nothing; it only selects the route.
            let socket = UdpSocket::bind((any, 0)).await.ok()?;
            socket.connect(registry).await.ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        let found = timeout(Duration::from_secs(2), found).await.ok().flatten();
        found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// Whether the registry certainly did not register the instance: it is full, or refuses it.
fn is_refused(error: &RegistryClientError) -> bool {
    use RegistryClientError::{NotARegistry, NotAllowed, Refused, Superseded};
    matches!(
        error,
        Refused { status: 400..=499 | 503, .. }
            | NotAllowed { .. }
            | NotARegistry { .. }
            | Superseded { .. }
    )
}

/// The host in a form that older clients can use: an IP literal.
async fn literal_of(host: &str) -> String {
    let bare = host.trim_matches(['[', ']']);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return ip_literal(address);
    }
    let resolved = timeout(Duration::from_secs(2), lookup_host((bare, 0))).await;
    match resolved.ok().and_then(Result::ok).and_then(|mut addresses| addresses.next()) {
        Some(address) => ip_literal(address.ip()),
        None => {
            let unreachable =
                if bare.contains('.') { "" } else { "; older clients cannot reach it" };
            tracing::warn!(
                host,
                "cannot resolve the advertised name; registering it unresolved{unreachable}"
            );
            bare.to_owned()
        }
    }
}

/// The incarnation of a server that starts now.
fn incarnation() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    instance::incarnation(since_1970.unwrap_or_default(), rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_advertised_is_an_ip_literal() {
        assert_eq!(literal_of("[::1]").await, "::1");
        assert_eq!(literal_of("::ffff:10.0.0.7").await, "10.0.0.7");
        assert!(["127.0.0.1", "::1"].contains(&literal_of("localhost").await.as_str()));
    }
}
