//! Tells a registry that this server is there: register, heartbeat, take leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use rpc_client::backoff::Backoff;
use rpc_client::registry::{RegistryClient, RegistryError, RegistryOptions};
use rpc_wire::WIRE_VERSION;
use rpc_wire::instance::{INCARNATION_KEY, Instance, WIRE_KEY, ip_literal};
use serde_json::{Map, Value};
use tokio::net::{UdpSocket, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Where to announce a server, and as what.
#[derive(Debug, Clone)]
pub struct Announce {
    registry: RegistryClient,
    advertise_host: Option<String>,
    advertise_port: Option<u16>,
    heartbeat: Duration,
    parameters: Map<String, Value>,
}

/// A random part of each interval by which beats are moved, so that servers do not beat in step.
const JITTER: f64 = 0.1;

impl Announce {
    /// Announces to the registry at `url` (`http://127.0.0.1:9999`), every 5 s.
    ///
    /// # Errors
    /// It is not an `http` URL.
    pub fn to(url: &str) -> Result<Self, RegistryError> {
        // A beat that takes longer than the interval is of no use.
        let options =
            RegistryOptions { timeout: Duration::from_secs(3), ..RegistryOptions::default() };
        Ok(Self {
            registry: RegistryClient::new(url, options)?,
            advertise_host: None,
            advertise_port: None,
            heartbeat: Duration::from_secs(5),
            parameters: Map::new(),
        })
    }

    /// The address others reach this server at, where it is not the one it listens on: a host (a
    /// name is resolved, since older clients need an IP literal) and maybe another port.
    #[must_use]
    pub fn advertise(mut self, host: impl Into<String>, port: Option<u16>) -> Self {
        self.advertise_host = Some(host.into());
        self.advertise_port = port;
        self
    }

    /// The time between heartbeats. Default 5 s; a registry forgets a server after 10 s.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// A fact about this server for those who look it up, for example `weight`.
    #[must_use]
    pub fn parameter(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    /// Announces what listens on `listening` until stopped.
    pub(crate) fn start(mut self, listening: SocketAddr) -> Announcer {
        self.parameters.insert(WIRE_KEY.to_owned(), WIRE_VERSION.into());
        self.parameters.insert(INCARNATION_KEY.to_owned(), incarnation().into());
        let stop = CancellationToken::new();
        let task = Task { announce: self, listening, registered: None };
        Announcer { task: tokio::spawn(task.run(stop.clone()).in_current_span()), stop }
    }
}

/// A running announcement.
pub(crate) struct Announcer {
    task: JoinHandle<Option<(RegistryClient, Instance)>>,
    stop: CancellationToken,
}

impl Announcer {
    /// Beats no more, then takes leave of the registry; within `limit`, whatever the registry does.
    pub(crate) async fn stop(mut self, limit: Duration) {
        let deadline = tokio::time::Instant::now() + limit;
        self.stop.cancel();
        // A beat already sent must arrive before the farewell: afterwards it would bring us back.
        let registered = match timeout_at(deadline - limit / 2, &mut self.task).await {
            Ok(ended) => ended.ok().flatten(),
            Err(_late) => {
                self.task.abort();
                None
            }
        };
        let Some((registry, instance)) = registered else { return };
        match timeout_at(deadline, registry.unregister(&instance)).await {
            Ok(Ok(_)) => tracing::info!(instance = %instance.key(), "unregistered"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not unregister; the registry will expire us")
            }
            Err(_late) => {
                tracing::warn!("could not unregister in time; the registry will expire us")
            }
        }
    }
}

struct Task {
    announce: Announce,
    listening: SocketAddr,
    /// What the registry knows us as, while it knows us.
    registered: Option<Instance>,
}

impl Task {
    /// Answers what is to be unregistered.
    async fn run(mut self, stop: CancellationToken) -> Option<(RegistryClient, Instance)> {
        let mut failures = 0;
        // What we may still be known as: the registry can lose us from sight and keep us.
        let mut known_as = None;
        while !stop.is_cancelled() {
            // Not cut short by `stop`: a beat on its way must arrive before the farewell.
            match self.beat().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    self.note_failure(&error, failures);
                    failures += 1;
                }
            }
            known_as = self.registered.clone().or(known_as);
            let pause = self.pause(failures);
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        known_as.map(|instance| (self.announce.registry, instance))
    }

    async fn beat(&mut self) -> Result<(), RegistryError> {
        let instance = match &self.registered {
            Some(instance) => instance.clone(),
            None => self.instance().await,
        };
        self.announce.registry.register(&instance).await?;
        if self.registered.is_none() {
            let registry = self.announce.registry.url();
            tracing::info!(instance = %instance.key(), %registry, "registered");
            self.registered = Some(instance);
        }
        Ok(())
    }

    /// One line per change of state, however long an outage lasts.
    fn note_failure(&mut self, error: &RegistryError, failures_before: u32) {
        // The next success may come after our address has changed, so it is looked up again.
        self.registered = None;
        if failures_before == 0 {
            tracing::warn!(%error, "the registry does not take our heartbeat; calls are served all the same");
        } else {
            tracing::debug!(%error, failures = failures_before + 1, "still no heartbeat");
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let mut rng = rand::rng();
        if failures == 0 {
            let jitter = rng.random_range(1.0 - JITTER..=1.0 + JITTER);
            self.announce.heartbeat.mul_f64(jitter)
        } else {
            Backoff::reconnect().delay(failures, &mut rng)
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

    /// Our address on the way to the registry, as the system would choose it.
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
            // Connecting a UDP socket sends nothing; it only asks for the route.
            let socket = UdpSocket::bind((any, 0)).await.ok()?;
            socket.connect(registry).await.ok()?;
            Some(socket.local_addr().ok()?.ip())
        };
        let found = timeout(Duration::from_secs(2), found).await.ok().flatten();
        found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// The host as older clients can use it: an IP literal.
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
                "the advertised name does not resolve, registering it as it is{unreachable}"
            );
            bare.to_owned()
        }
    }
}

/// Grows with each start of the server and differs between two started at once; below 2^53, which
/// every JSON reader holds exactly.
fn incarnation() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since_1970.map_or(0, |time| time.as_secs());
    (seconds << 20 | rand::rng().random_range(0..1u64 << 20)) & ((1 << 53) - 1)
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

    #[test]
    fn an_incarnation_is_exact_in_every_json_reader() {
        assert!(incarnation() < 1 << 53);
    }
}
