//! Monitors one instance: its methods where no contract tells them, probes, its log.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rpc_client::backoff::Backoff;
use rpc_client::registry::RegistryClient;
use rpc_client::{CallError, Client, ClientOptions, Code, Dialect, Request};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::paths::{PROTO_JSON, RPC_HEALTH, RPC_LOGS, RPC_WHOAMI};
use rpc_wire::report::{Health, LogLine, Whoami};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::batch::{self, Seen};
use super::discovery::Discovery;
use super::own_methods::{self, Said};
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::model::instances;
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::model::standing::Standing;
use rpc_console_core::text;

/// Interval of probes.
const PROBE: Duration = Duration::from_secs(5);
/// Interval of probes of the one server that is opened: no registry tells a change of its contract.
const PROBE_ONLY: Duration = Duration::from_secs(2);
/// Interval of probes of an older server, which pays a connection and a thread for each.
const PROBE_CLASSIC: Duration = Duration::from_secs(15);
/// Timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// A log stream that lasted this long resets the backoff.
const STEADY: Duration = Duration::from_secs(5);
/// Recent lines requested.
const RECENT: u64 = 200;
/// Largest reply to what the console asks by itself, but for lists of methods. A longer log line ends
/// the stream; shorter ones are cut when they are received.
const MAX_REPLY_BYTES: usize = 1 << 20;

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

    /// `is_only`: there is no registry.
    fn interval(self, is_only: bool) -> Duration {
        match self {
            Self::Connection => PROBE_CLASSIC,
            Self::Health if is_only => PROBE_ONLY,
            Self::Health | Self::FirstReply => PROBE,
        }
    }
}

/// Monitors an instance until the task is aborted.
pub(super) async fn run(
    instance: Instance,
    mut probing: Probing,
    options: &ClientOptions,
    discovery: Discovery,
    inbox: mpsc::Sender<Msg>,
) {
    let key = instance.key();
    let max_reply_bytes = options.max_reply_bytes.min(MAX_REPLY_BYTES);
    let small = ClientOptions { max_reply_bytes, ..options.clone() };
    let clients = (discovery.client_with(&key, &small), discovery.client(&key));
    let (Some(client), Some(asking)) = clients else { return };
    let tell = async |update: InstanceUpdate| {
        let _ = inbox.send(Msg::Instance(key.clone(), update)).await;
    };
    let is_only = probing == Probing::FirstReply;
    let (said, heard) = watch::channel(Said::Nothing);
    tokio::join!(
        own_methods::follow(&instance, &discovery, &asking, heard, &inbox),
        async {
            loop {
                let probed = probe(&instance, probing, &client, options).await;
                tell(InstanceUpdate::Probe(probed.result)).await;
                if probed.probing != probing {
                    probing = probed.probing;
                    tell(InstanceUpdate::Dialect(dialect_of(probing, &client))).await;
                }
                if probed.said != Said::Nothing {
                    said.send_replace(probed.said);
                }
                if probing == Probing::Health
                    && let Some(standing) = standing(&client).await
                {
                    tell(InstanceUpdate::Standing(standing)).await;
                }
                sleep(probing.interval(is_only)).await;
            }
        },
        logs(&key, &client, &inbox),
    );
}

/// What the instance speaks that is probed like this from now on.
fn dialect_of(probing: Probing, client: &Client) -> instances::Dialect {
    match (probing, client.dialect()) {
        (Probing::Health, _) => instances::Dialect::Extended,
        (_, Some(Dialect::JsonRpc)) => instances::Dialect::JsonRpc,
        _ => instances::Dialect::Classic,
    }
}

/// What a probe found.
struct Probed {
    result: Result<Duration, String>,
    /// How to probe it from now on.
    probing: Probing,
    said: Said,
}

impl Probed {
    /// By a connection: an older server, if there is one.
    async fn by_connection(instance: &Instance) -> Self {
        let result = connect(instance).await;
        let said = if result.is_ok() { Said::NoContract } else { Said::Nothing };
        Self { result, probing: Probing::Connection, said }
    }

    fn failed(why: &str, probing: Probing) -> Self {
        Self { result: Err(text::note(why)), probing, said: Said::Nothing }
    }
}

async fn probe(
    instance: &Instance,
    probing: Probing,
    client: &Client,
    options: &ClientOptions,
) -> Probed {
    if probing == Probing::Connection {
        return Probed::by_connection(instance).await;
    }
    let started = Instant::now();
    match health(client).await {
        Ok((took, said, Dialect::Extended)) => {
            Probed { result: Ok(took), probing: Probing::Health, said }
        }
        // It replied, but an older server has no health check.
        Ok((_, _, Dialect::Classic | Dialect::JsonRpc)) => Probed::by_connection(instance).await,
        // It replied, as only a newer server does: that it does not tell everybody more is no illness.
        Err(error) if is_unauthorised(&error) => Probed {
            result: Ok(started.elapsed()),
            probing: Probing::Health,
            said: Said::NoContract,
        },
        Err(CallError::Remote { fault, .. })
            if probing == Probing::FirstReply || fault.code == Code::MethodNotFound =>
        {
            Probed::by_connection(instance).await
        }
        // What is given by its address may be of another kind.
        Err(_) if probing == Probing::FirstReply && is_registry(instance, options).await => {
            let key = instance.key();
            Probed::failed(&format!("{key} is a registry; use --registry http://{key}"), probing)
        }
        Err(CallError::Unreachable { reason, .. }) => Probed::failed(&reason, probing),
        Err(error) => Probed::failed(&error.to_string(), probing),
    }
}

/// Whether a server did not allow the call, for want of a token or a role.
fn is_unauthorised(error: &CallError) -> bool {
    match error {
        CallError::TokenWithheld { .. } => true,
        CallError::Remote { fault, .. } => fault.code == Code::Unauthorised,
        _ => false,
    }
}

/// Why a call was not allowed, without the address, which the screen shows beside it.
fn refusal(error: &CallError) -> String {
    match error {
        CallError::Remote { fault, .. } => text::note(&fault.message),
        other => text::note(&other.to_string()),
    }
}

/// Who the console is there; `None`: it does not say, as older servers, or not now.
async fn standing(client: &Client) -> Option<Standing> {
    let mut request = Request::new(RPC_WHOAMI, ()).ok()?;
    request.timeout = Some(PROBE_TIMEOUT);
    match client.request(request).await {
        Ok(response) => {
            let whoami = serde_json::from_str::<Whoami>(response.value.get()).ok()?;
            Some(Standing::of(&whoami))
        }
        Err(error) if is_unauthorised(&error) => Some(Standing::Refused(refusal(&error))),
        Err(_) => None,
    }
}

/// Whether what listens there replies as a registry.
async fn is_registry(instance: &Instance, options: &ClientOptions) -> bool {
    let options = options.registry().within(PROBE_TIMEOUT);
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

async fn health(client: &Client) -> Result<(Duration, Said, Dialect), CallError> {
    let bad = |error: rpc_client::ArgsError| CallError::BadArguments(error.to_string());
    let mut request = Request::new(RPC_HEALTH, ()).map_err(bad)?;
    request.timeout = Some(PROBE_TIMEOUT);
    let response = client.request(request).await?;
    // The time to connect is not part of the round trip.
    let took = response.timing.server + response.timing.transfer;
    let health = serde_json::from_str::<Health>(response.value.get()).ok();
    let contract = health.and_then(|health| health.contract);
    Ok((took, contract.map_or(Said::NoContract, Said::Contract), response.dialect))
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
            Err(error) if is_unauthorised(&error) => SourceState::Refused(refusal(&error)),
            Err(error) => SourceState::Lost(text::note(&error.to_string())),
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

#[cfg(test)]
mod tests {
    use super::super::direct::Directory;
    use super::*;
    use rpc_wire::signature::contract;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Monitors with default settings.
    async fn monitor(instance: Instance, probing: Probing, inbox: mpsc::Sender<Msg>) {
        let options = ClientOptions::default();
        run(instance, probing, &options, Discovery::new(&options, Directory::default()), inbox)
            .await;
    }

    const OWN: &str =
        r#"{"res": [{"method_name": "own", "method_args": [], "method_kwargs": {}}]}"#;

    /// A server of the older system; returns its port.
    async fn older_server() -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while let Ok(size @ 1..) = stream.read(&mut request).await {
                        let request = String::from_utf8_lossy(&request[..size]);
                        let reply = match request.contains("all_your_methods") {
                            true => OWN,
                            false => r#"{"res": "No service found for: rpc.health"}"#,
                        };
                        let _ = stream.write_all(reply.as_bytes()).await;
                    }
                });
            }
        });
        port
    }

    #[tokio::test]
    async fn an_older_server_behind_an_outdated_entry_is_probed_as_one_and_asked_itself() {
        let mut instance = Instance::new("127.0.0.1", older_server().await);
        let digest = "00000000000000000000000000000000";
        instance.parameters.insert("contract".to_owned(), digest.into());
        instance.parameters.insert("wire".to_owned(), 1.into());
        let (inbox, mut messages) = mpsc::channel(64);
        let probing = Probing::of(&instance, false);
        assert_eq!(probing, Probing::Health);
        let monitor = tokio::spawn(monitor(instance, probing, inbox));
        let (mut is_older, mut own) = (false, None);
        while !is_older || own.is_none() {
            match messages.recv().await.unwrap() {
                Msg::Instance(_, InstanceUpdate::Dialect(dialect)) => {
                    is_older = dialect == instances::Dialect::Classic
                }
                Msg::Instance(_, InstanceUpdate::Methods(methods)) => own = Some(methods),
                Msg::Instance(_, InstanceUpdate::Probe(result)) => drop(result.unwrap()),
                _ => {}
            }
        }
        monitor.abort();
        let own = own.unwrap().unwrap();
        assert_eq!(
            own.signatures().map(|method| method.name.as_str()).collect::<Vec<_>>(),
            ["own"]
        );
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_token_is_alive_without_one_and_says_who_the_console_is_with_it()
     {
        use rpc_server::security::{Access, Auth, Guard, Role, TokenFile, secret};
        let secret = secret::generate();
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = secret::line("ops", &[Role::Observe], &secret);
        std::fs::write(file.path(), line + "\n").unwrap();
        let access = Access { auth: Auth::Required, ..Access::default() };
        let guard = Guard::new(access, Some(TokenFile::load(file.path()).unwrap()));
        let server = rpc_server::Server::builder().guard(guard).bind(([127, 0, 0, 1], 0));
        let server = server.await.unwrap();
        let instance = Instance::new("127.0.0.1", server.local_addr().port());
        tokio::spawn(server.serve(std::future::pending()));
        for (token, expected) in [
            (None, "refused: this needs a token"),
            (Some(rpc_client::Token::new(secret)), "you are ops: observe"),
        ] {
            let options = ClientOptions { token, ..ClientOptions::default() };
            let (inbox, mut messages) = mpsc::channel(64);
            let discovery = Discovery::new(&options, Directory::default());
            let instance = instance.clone();
            let monitor = tokio::spawn(async move {
                run(instance, Probing::FirstReply, &options, discovery, inbox).await;
            });
            let (mut is_extended, mut said) = (false, None);
            while !is_extended || said.is_none() {
                match messages.recv().await.unwrap() {
                    Msg::Instance(_, InstanceUpdate::Dialect(dialect)) => {
                        is_extended = dialect == instances::Dialect::Extended
                    }
                    Msg::Instance(_, InstanceUpdate::Probe(result)) => drop(result.unwrap()),
                    Msg::Instance(_, InstanceUpdate::Standing(standing)) => said = standing.text(),
                    _ => {}
                }
            }
            monitor.abort();
            let said = said.unwrap();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[tokio::test]
    async fn the_one_server_that_is_opened_is_asked_for_its_contract_more_often() {
        let server = rpc_server::Server::builder().bind(([127, 0, 0, 1], 0)).await.unwrap();
        let instance = Instance::new("127.0.0.1", server.local_addr().port());
        tokio::spawn(server.serve(std::future::pending()));
        let (inbox, mut messages) = mpsc::channel(64);
        let monitor = tokio::spawn(monitor(instance, Probing::FirstReply, inbox));
        let mut probed = Vec::new();
        while probed.len() < 2 {
            if let Msg::Instance(_, InstanceUpdate::Probe(result)) = messages.recv().await.unwrap()
            {
                result.unwrap();
                probed.push(Instant::now());
            }
        }
        monitor.abort();
        assert!(probed[1] - probed[0] < PROBE, "{:?}", probed[1] - probed[0]);
    }

    /// Number of methods that a server of two replies with itself, listed with this contract.
    async fn own_list(listed: Option<&str>) -> Option<usize> {
        let methods: Vec<_> = rpc_server::builtin::methods().into_iter().take(2).collect();
        let digest = contract(methods.iter().map(|method| method.signature()));
        let server = rpc_server::Server::builder().methods(methods);
        let server = server.bind(([127, 0, 0, 1], 0)).await.unwrap();
        let mut instance = Instance::new("127.0.0.1", server.local_addr().port());
        tokio::spawn(server.serve(std::future::pending()));
        let listed = listed.unwrap_or(&digest);
        instance.parameters.insert("contract".to_owned(), listed.into());
        instance.parameters.insert("wire".to_owned(), 1.into());
        let (inbox, mut messages) = mpsc::channel(64);
        let probing = Probing::of(&instance, false);
        let monitor = monitor(instance, probing, inbox);
        let _ = timeout(Duration::from_millis(500), monitor).await;
        let mut own = None;
        while let Ok(msg) = messages.try_recv() {
            if let Msg::Instance(_, InstanceUpdate::Methods(methods)) = msg {
                own = Some(methods.unwrap().len());
            }
        }
        own
    }

    #[tokio::test]
    async fn what_the_health_check_says_counts_more_than_what_is_listed() {
        assert_eq!(own_list(Some("00000000000000000000000000000000")).await, Some(2));
        assert_eq!(own_list(None).await, None, "it is listed as it is");
    }
}
