//! Monitors one instance: discovers its methods, probes it, streams its log.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rpc_client::backoff::Backoff;
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_client::{CallError, Client, ClientOptions, Code, Dialect, Request};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::paths::{PROTO_JSON, RPC_HEALTH, RPC_LOGS};
use rpc_wire::report::LogLine;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::batch::{self, Seen};
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::logs::{Source, SourceState};

/// Interval of probes.
const PROBE: Duration = Duration::from_secs(5);
/// Interval of probes of an older server, which pays a connection and a thread for each.
const PROBE_CLASSIC: Duration = Duration::from_secs(15);
/// Timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval of attempts to discover the methods, until one succeeds.
const DISCOVER: Duration = Duration::from_secs(10);
/// Interval of checks whether the methods changed: without a contract, a restart on the same address
/// looks unchanged.
const DISCOVER_AGAIN: Duration = Duration::from_secs(30);
/// A log stream that lasted this long resets the backoff.
const STEADY: Duration = Duration::from_secs(5);
/// Recent lines requested.
const RECENT: u64 = 200;

/// A client for one instance; connects when it is first used.
pub(super) fn client(key: &InstanceKey, options: &ClientOptions) -> Option<Client> {
    Client::direct(key.to_string(), options.clone())
        .inspect_err(
            |error| tracing::warn!(instance = %key, %error, "not monitored: invalid address"),
        )
        .ok()
}

/// How an instance is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probing {
    /// By a health check.
    Health,
    /// By a connection, which is all that an older server offers.
    Connection,
    /// By a health check, whose reply tells the dialect: no registry did.
    FirstReply,
}

impl Probing {
    /// How `instance` is probed; `is_direct`: it is not from a registry.
    pub(super) fn of(instance: &Instance, is_direct: bool) -> Self {
        match (is_direct, instance.speaks_extended()) {
            (true, _) => Self::FirstReply,
            (false, true) => Self::Health,
            (false, false) => Self::Connection,
        }
    }

    fn interval(self) -> Duration {
        if self == Self::Connection { PROBE_CLASSIC } else { PROBE }
    }
}

/// Monitors an instance until the task is aborted.
pub(super) async fn run(
    instance: Instance,
    mut probing: Probing,
    client: Client,
    inbox: mpsc::Sender<Msg>,
) {
    let key = instance.key();
    let tell = async |update: InstanceUpdate| {
        let _ = inbox.send(Msg::Instance(key.clone(), update)).await;
    };
    tokio::join!(
        async {
            // Those of a contract are discovered once for all its instances.
            if instance.contract().is_some() {
                return;
            }
            let mut known = None;
            loop {
                let found = client.methods().await.map_err(|error| error.to_string());
                let wait = if found.is_ok() { DISCOVER_AGAIN } else { DISCOVER };
                if found.is_err() && known.is_none()
                    || found.is_ok() && found.as_ref().ok() != known.as_ref()
                {
                    known = found.as_ref().ok().cloned();
                    tell(InstanceUpdate::Methods(found)).await;
                }
                sleep(wait).await;
            }
        },
        async {
            loop {
                let (result, learned) = probe(&instance, probing, &client).await;
                tell(InstanceUpdate::Probe(result)).await;
                if learned != probing {
                    probing = learned;
                    tell(InstanceUpdate::Dialect(probing == Probing::Health)).await;
                }
                sleep(probing.interval()).await;
            }
        },
        logs(&key, &client, &inbox),
    );
}

/// Probes an instance; returns the result, and how to probe it from now on.
async fn probe(
    instance: &Instance,
    probing: Probing,
    client: &Client,
) -> (Result<Duration, String>, Probing) {
    if probing == Probing::Connection {
        return (connect(instance).await, probing);
    }
    match health(client).await {
        Ok((took, Dialect::Extended)) => (Ok(took), Probing::Health),
        // It replied, but an older server has no health check.
        Ok((_, Dialect::Classic)) => (connect(instance).await, Probing::Connection),
        Err(CallError::Remote { .. }) if probing == Probing::FirstReply => {
            (connect(instance).await, Probing::Connection)
        }
        // What is given by its address may be of another kind.
        Err(_) if probing == Probing::FirstReply && is_registry(instance).await => {
            let key = instance.key();
            let why = format!("{key} is a registry; use --registry http://{key}");
            (Err(why), probing)
        }
        Err(CallError::Unreachable { reason, .. }) => (Err(reason), probing),
        Err(error) => (Err(error.to_string()), probing),
    }
}

/// Whether what listens there replies as a registry.
async fn is_registry(instance: &Instance) -> bool {
    let options = RegistryClientOptions { timeout: PROBE_TIMEOUT, ..Default::default() };
    match RegistryClient::new(&format!("http://{}", instance.key()), options) {
        Ok(registry) => registry.find_all(PROTO_JSON).await.is_ok(),
        Err(_) => false,
    }
}

async fn connect(instance: &Instance) -> Result<Duration, String> {
    let start = Instant::now();
    let address = (instance.host.as_str(), instance.port);
    match timeout(PROBE_TIMEOUT, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(start.elapsed()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_late) => Err(format!("no reply within {PROBE_TIMEOUT:?}")),
    }
}

async fn health(client: &Client) -> Result<(Duration, Dialect), CallError> {
    let bad = |error: rpc_client::ArgsError| CallError::BadArguments(error.to_string());
    let mut request = Request::new(RPC_HEALTH, ()).map_err(bad)?;
    request.timeout = Some(PROBE_TIMEOUT);
    let response = client.request(request).await?;
    // The time to connect is not part of the round trip.
    Ok((response.timing.server + response.timing.transfer, response.dialect))
}

async fn logs(key: &InstanceKey, client: &Client, inbox: &mpsc::Sender<Msg>) {
    let source = Source::Server(key.clone());
    let backoff = Backoff::reconnect();
    let (mut failures, mut seen) = (0, Seen::default());
    loop {
        let started = Instant::now();
        let ended = stream(&source, client, inbox, &mut seen).await;
        // A stream that breaks at once must not reset the backoff: it would be retried without delay.
        failures = if started.elapsed() > STEADY { 1 } else { failures + 1 };
        let state = match ended {
            Err(CallError::Unsupported { .. }) => SourceState::Unsupported,
            Err(CallError::Remote { fault, .. }) if fault.code == Code::MethodNotFound => {
                SourceState::Unsupported
            }
            Err(error) => SourceState::Lost(error.to_string()),
            Ok(()) => SourceState::Lost("stream ended".to_owned()),
        };
        let never = state == SourceState::Unsupported;
        if inbox.send(Msg::LogSource(source.clone(), state)).await.is_err() || never {
            return;
        }
        let wait = backoff.delay(failures);
        sleep(wait).await;
    }
}

async fn stream(
    source: &Source,
    client: &Client,
    inbox: &mpsc::Sender<Msg>,
    seen: &mut Seen,
) -> Result<(), CallError> {
    let wanted = json!({"level": "trace", "contains": "", "recent": RECENT});
    let items = client.stream(RPC_LOGS, wanted).await?;
    let _ = inbox.send(Msg::LogSource(source.clone(), SourceState::Live)).await;
    // A line of a later version that cannot be parsed is skipped; the others still count.
    let lines = items.try_filter_map(|item| {
        let line = serde_json::from_str::<LogLine>(item.value.get()).ok();
        std::future::ready(Ok(line.map(|line| (line, item.dropped))))
    });
    batch::forward(source, inbox, seen, lines).await
}
