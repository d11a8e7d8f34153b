//! The embedded demo: a registry, two services of four servers, and a client that calls them, on
//! loopback.
//!
//! The only file of the console that uses `rpc_registry`, `rpc_server` and `rpc_faults`: each daemon can crash
//! alone, and each server can have a fault.

mod traffic;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, stream};
use rpc_faults::{Crashable, FaultSwitch, ServerFault};
use rpc_host::logging::{LogRing, Logging, daemon_span};
use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Announce, Method, Server, builtin, rpc_method};
use rpc_wire::instance::{Instance, InstanceKey};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use crate::runtime::{DemoRuns, StartDemo};
use rpc_console_core::message::{DemoCommand, DemoUpdate, Msg};

/// The default log level of the demo's daemons, for enough lines in the Logs view.
pub const LOG_LEVEL: &str = "info,rpc_server=debug,rpc_registry=debug";

/// The servers, in order.
const SERVERS: [Kind; 4] = [Kind::Shop, Kind::Shop, Kind::OlderShop, Kind::Weather];
/// The older server of the shop does not have this method, so that instances differ.
const MISSING_METHOD: &str = "square";
/// The faults of a server, one after the other, with what it does then.
const FAULTS: [(ServerFault, &str); 3] = [
    (ServerFault::Late { milliseconds: 300 }, "replies 300 ms late"),
    (ServerFault::Erring { percent: 50 }, "fails half of its calls"),
    (ServerFault::Refusing, "refuses all calls"),
];
/// Commands queued at most.
const MAX_COMMANDS: usize = 8;

/// Prepares the demo: its daemons log to rings of `logging`, never to the terminal.
pub fn starter(logging: &Logging) -> StartDemo {
    let names = (1..=SERVERS.len()).map(|number| format!("demo server {number}"));
    let servers = names.map(|name| (logging.ring(&name), name)).collect();
    let registry = logging.ring("demo registry");
    Box::new(move |inbox| start(registry, servers, inbox).boxed())
}

async fn start(
    ring: LogRing,
    servers: Vec<(LogRing, String)>,
    inbox: mpsc::Sender<Msg>,
) -> Result<DemoRuns, String> {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let registry = Daemon::registry(any_port, ring.clone()).await?;
    let url = format!("http://{}", registry.address);
    let mut demo = Demo { registry, ring, url: url.clone(), servers: Vec::new(), inbox };
    for (kind, (ring, name)) in SERVERS.into_iter().zip(servers) {
        let spec = ServerSpec { name, ring, kind };
        let daemon = Daemon::server(any_port, &spec, &url).await?;
        demo.report(DemoUpdate::Server(key(daemon.address), true)).await;
        demo.servers.push((spec, daemon));
    }
    let (commands, queued) = mpsc::channel(MAX_COMMANDS);
    let (traffic, on) = watch::channel(true);
    let first = demo.servers.iter().map(|(spec, daemon)| (daemon.address, spec.kind.first_call()));
    tokio::spawn(traffic::generate(url.clone(), first.collect(), on));
    tokio::spawn(demo.run(queued, traffic));
    Ok(DemoRuns { registry: url, commands })
}

/// The daemons, and where their changes are reported.
struct Demo {
    registry: Daemon,
    ring: LogRing,
    url: String,
    servers: Vec<(ServerSpec, Daemon)>,
    inbox: mpsc::Sender<Msg>,
}

struct ServerSpec {
    name: String,
    ring: LogRing,
    kind: Kind,
}

/// What a server of the demo offers.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Shop,
    OlderShop,
    Weather,
}

impl Kind {
    fn service(self) -> &'static str {
        match self {
            Self::Shop | Self::OlderShop => "shop",
            Self::Weather => "weather",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Shop => "1.5.0",
            Self::OlderShop => "1.4.2",
            Self::Weather => "2.0.0",
        }
    }

    /// A call that each server gets at the start.
    fn first_call(self) -> traffic::Call {
        match self {
            Self::Shop | Self::OlderShop => ("hello", json!(["world"])),
            Self::Weather => ("forecast", json!(["Bergen"])),
        }
    }

    fn methods(self) -> Vec<Method> {
        if self == Self::Weather {
            return vec![forecast::method(), countdown::method()];
        }
        let mut methods = builtin::methods();
        methods.push(order::method());
        if self == Self::OlderShop {
            methods.retain(|method| method.signature().name != MISSING_METHOD);
        }
        methods
    }
}

impl Demo {
    /// Carries out commands until their sender is dropped.
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<DemoCommand>,
        traffic: watch::Sender<bool>,
    ) {
        while let Some(command) = commands.recv().await {
            match command {
                DemoCommand::Traffic(on) => {
                    traffic.send_replace(on);
                    self.report(DemoUpdate::Traffic(on)).await;
                }
                DemoCommand::ToggleServer(key) => self.toggle_server(&key).await,
                DemoCommand::NextFault(key) => self.next_fault(&key).await,
                DemoCommand::ToggleRegistry => self.toggle_registry().await,
            }
        }
    }

    fn server(&mut self, wanted: &InstanceKey) -> Option<&mut (ServerSpec, Daemon)> {
        self.servers.iter_mut().find(|(_, daemon)| key(daemon.address) == *wanted)
    }

    async fn next_fault(&mut self, wanted: &InstanceKey) {
        let Some((_, daemon)) = self.server(wanted) else { return };
        if !daemon.runs.is_running() {
            return self.notice(format!("demo server {wanted} has crashed")).await;
        }
        let next = match daemon.fault.get() {
            None => FAULTS.first(),
            Some(now) => FAULTS.iter().skip_while(|(fault, _)| *fault != now).nth(1),
        };
        daemon.fault.set(next.map(|(fault, _)| *fault));
        self.report(DemoUpdate::Fault(wanted.clone(), next.map(|(_, does)| *does))).await;
    }

    async fn toggle_server(&mut self, wanted: &InstanceKey) {
        let url = self.url.clone();
        let Some((spec, daemon)) = self.server(wanted) else { return };
        let update = if daemon.runs.is_running() {
            daemon.runs.crash();
            DemoUpdate::Server(wanted.clone(), false)
        } else {
            match Daemon::server(daemon.address, spec, &url).await {
                Ok(running) => {
                    *daemon = running;
                    DemoUpdate::Server(wanted.clone(), true)
                }
                Err(error) => return self.notice(error).await,
            }
        };
        self.report(update).await;
    }

    async fn toggle_registry(&mut self) {
        if self.registry.runs.is_running() {
            self.registry.runs.crash();
        } else {
            match Daemon::registry(self.registry.address, self.ring.clone()).await {
                Ok(running) => self.registry = running,
                Err(error) => return self.notice(error).await,
            }
        }
        self.report(DemoUpdate::Registry(self.registry.runs.is_running())).await;
    }

    async fn report(&self, update: DemoUpdate) {
        let _ = self.inbox.send(Msg::Demo(update)).await;
    }

    async fn notice(&self, text: String) {
        let _ = self.inbox.send(Msg::Notice(text)).await;
    }
}

/// A registry or a server, which can crash.
struct Daemon {
    runs: Crashable,
    address: SocketAddr,
    /// Of a server.
    fault: FaultSwitch,
}

/// Where a daemon listens, or why it cannot.
type Listening = Result<SocketAddr, String>;

impl Daemon {
    async fn registry(address: SocketAddr, ring: LogRing) -> Result<Self, String> {
        let span = daemon_span("demo registry");
        let options = RegistryOptions { log_ring: Some(ring), ..RegistryOptions::default() };
        Self::start(FaultSwitch::default(), |listening| {
            async move {
                match Registry::bind(address, options).await {
                    Ok(registry) => {
                        let _ = listening.send(Ok(registry.local_addr()));
                        let _ = registry.serve(std::future::pending()).await;
                    }
                    Err(error) => drop(listening.send(Err(error.to_string()))),
                }
            }
            .instrument(span)
            .boxed()
        })
        .await
    }

    async fn server(address: SocketAddr, spec: &ServerSpec, url: &str) -> Result<Self, String> {
        let span = daemon_span(&spec.name);
        let announce = Announce::to(url).map_err(|error| error.to_string())?;
        let fault = FaultSwitch::default();
        let builder = Server::builder()
            .name(spec.kind.service())
            .version(spec.kind.version())
            .methods(spec.kind.methods())
            .layer(fault.layer())
            .log_ring(spec.ring.clone())
            .announce(announce.parameter("name", spec.name.clone()));
        Self::start(fault, |listening| {
            async move {
                match builder.bind(address).await {
                    Ok(server) => {
                        let _ = listening.send(Ok(server.local_addr()));
                        let _ = server.serve(std::future::pending()).await;
                    }
                    Err(error) => drop(listening.send(Err(error.to_string()))),
                }
            }
            .instrument(span)
            .boxed()
        })
        .await
    }

    async fn start(
        fault: FaultSwitch,
        daemon: impl FnOnce(oneshot::Sender<Listening>) -> BoxFuture<'static, ()>,
    ) -> Result<Self, String> {
        let (ready, listening) = oneshot::channel();
        let cannot = |error: String| format!("the demo cannot start: {error}");
        let runs = Crashable::start(daemon(ready)).map_err(|error| cannot(error.to_string()))?;
        match listening.await {
            Ok(Ok(address)) => Ok(Self { runs, address, fault }),
            Ok(Err(error)) => Err(cannot(error)),
            Err(_) => Err(cannot("a daemon exited at once".to_owned())),
        }
    }
}

fn key(address: SocketAddr) -> InstanceKey {
    Instance::new(address.ip().to_string(), address.port()).key()
}

#[cfg(test)]
use rpc_console_core::fixture::Served;

/// What each server of the demo offers.
#[cfg(test)]
pub(crate) fn signatures() -> [Served; SERVERS.len()] {
    SERVERS.map(|kind| Served {
        service: kind.service(),
        version: kind.version(),
        methods: kind.methods().iter().map(|method| method.signature().clone()).collect(),
    })
}

/// The result of a method of the demo, as it is sent.
#[cfg(test)]
pub(crate) async fn call(method: &str, args: impl rpc_client::IntoArgs) -> String {
    let methods = SERVERS.into_iter().flat_map(Kind::methods);
    let mut known = std::collections::BTreeSet::new();
    let methods = methods.filter(|method| known.insert(method.signature().name.clone()));
    let server = Server::builder().methods(methods.collect::<Vec<_>>());
    let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().to_string();
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let client = rpc_client::Client::direct(address, Default::default()).unwrap();
    let request = rpc_client::Request::new(method, args).unwrap();
    let response = client.request(request).await.unwrap();
    serving.abort();
    response.value.get().to_owned()
}

/// Places an order and logs it.
#[rpc_method]
#[example("tea": "tea")]
#[example("needs approval": "paper", 80)]
fn order(item: String, #[default(1)] quantity: u32) -> Value {
    tracing::info!(item, quantity, "order taken");
    if quantity > 50 {
        tracing::warn!(item, quantity, "large order; needs approval");
    }
    json!({"item": item, "quantity": quantity, "accepted": true})
}

/// Returns an invented weather forecast: a nested result to fold.
#[rpc_method(read_only)]
#[example("a week": "Bergen", 7)]
fn forecast(city: String, #[default(3)] days: u8) -> Value {
    let day = |number: u8| {
        let warmth = u32::from(number) * 7 % 11 + 12;
        json!({
            "day": number,
            "sky": (["sunny", "cloudy", "rain", "wind"]).get(usize::from(number) % 4),
            "celsius": {"low": warmth, "high": warmth + 6},
            "hours": [6, 12, 18],
        })
    };
    json!({"city": city, "source": "invented", "days": (1..=days).map(day).collect::<Vec<_>>()})
}

/// Streams a countdown, two numbers per second.
#[rpc_method(stream, read_only)]
fn countdown(#[default(10)] from: u32) -> impl Stream<Item = u32> {
    stream::unfold(Some(from), |left| async move {
        let now = left?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Some((now, now.checked_sub(1)))
    })
}
