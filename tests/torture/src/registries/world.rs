//! Three members of etcd, registries that reach them through proxies, and servers that know every registry.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_wire::instance::{INCARNATION_KEY, Instance};
use rpc_wire::paths::{READYZ, REGISTER};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::witness::{SERVER, Witness, is_durable, post, sorted};
use crate::callers::Clock;
use crate::cluster::{Ending, serve_ledger};
use crate::etcd::{Content, Etcd, MEMBERS};
use crate::history::several::Bounds;
use crate::http::ask;
use crate::ledger::Ledgers;
use crate::process::{Process, Programs, SOON};
use crate::proxy::{Fault, Proxy, ReservedPort};

/// Registries.
pub(super) const REGISTRIES: usize = 2;
/// Servers; each has one of the registries as its first.
const SERVERS: usize = 4;
/// Interval between their heartbeats.
const HEARTBEAT: &str = "500ms";
/// What all keys begin with.
const PREFIX: &str = "rpcd/";
/// Settings of the registries: short times, so that a minute has many of them, and for ever where an instance is kept
/// because it accepts connections.
const SETTINGS: &str = "[registry-server]\nstore = etcd\nttl = 2s\ncheck_interval = 500ms\nsuspect_window = 0s\n\
                        [etcd]\nprefix = rpcd/\nlease_ttl = 2s\nrequest_timeout = 1s\n";
/// What is promised, for a machine that is busy.
pub(super) const BOUNDS: Bounds = Bounds {
    spread: Duration::from_millis(1500),
    gone: Duration::from_secs(15),
    rejoin: Duration::from_secs(60),
};
/// The longest time from the end of a fault until each registry learns what the others are told, and all list the
/// same.
pub(super) const TOGETHER: Duration = Duration::from_secs(15);
/// Interval between looks.
const LOOK: Duration = Duration::from_millis(20);
/// The longest time of a look.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Dropping it kills its processes.
pub(super) struct World {
    pub(super) programs: Programs,
    pub(super) clock: Arc<Clock>,
    pub(super) etcd: Etcd,
    pub(super) registries: Vec<Registry>,
    pub(super) servers: Vec<Server>,
    pub(super) witness: Witness,
    pub(super) endings: Vec<Ending>,
    ledgers: Ledgers,
    marker: Marker,
    // Of settings and ledgers.
    _folder: TempDir,
}

/// A registry, which runs or not.
pub(super) struct Registry {
    port: ReservedPort,
    /// To each member of etcd.
    ways: Vec<Proxy>,
    settings: PathBuf,
    process: Option<Process>,
    looks: RegistryClient,
}

/// A server, in one of its lives.
pub(super) struct Server {
    number: usize,
    life: u32,
    port: ReservedPort,
    /// `None`: it has ended.
    process: Option<Process>,
}

/// An instance by which is seen how far a registry is.
struct Marker {
    port: u16,
    life: u64,
    _accepting: AbortOnDropHandle<()>,
}

impl Registry {
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A client of this one only.
    pub(super) fn client(&self) -> &RegistryClient {
        &self.looks
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// From now on its way to etcd is like this.
    pub(super) fn reaches_etcd(&self, fault: Option<Fault>) {
        self.ways.iter().for_each(|way| way.becomes(fault));
    }

    /// Whether it says that it has everything, and can write.
    pub(super) async fn is_ready(&self) -> bool {
        let reply = ask(self.address(), &format!("GET {READYZ}"), b"", TIMEOUT).await;
        reply.is_ok_and(|reply| reply.text().contains("\"ready\""))
    }

    /// The ports that it lists of a protocol.
    pub(super) async fn lists(&self, protocol: &str) -> Option<Vec<u16>> {
        let list = self.looks.find_all(protocol).await.ok()?;
        Some(sorted(list.iter().map(|instance| instance.port)))
    }

    fn transcript(&self) -> String {
        self.process.as_ref().map_or("it does not run".to_owned(), Process::transcript)
    }

    /// How often it has said that it took over instances of another one.
    pub(super) fn adoptions(&self) -> usize {
        self.transcript().matches("taken over from a registry").count()
    }
}

impl Server {
    pub(super) fn port(&self) -> u16 {
        self.port.address().port()
    }
}

impl World {
    pub(super) async fn start(programs: Programs, clock: Arc<Clock>) -> anyhow::Result<Self> {
        let etcd = Etcd::start(programs.clone()).await?;
        let folder = tempfile::tempdir().context("creating a directory")?;
        let mut registries = Vec::new();
        for number in 0..REGISTRIES {
            let way = |at| Proxy::start(etcd.address(at), Duration::ZERO);
            let ways = (0..MEMBERS).map(way).collect::<Result<Vec<_>, _>>()?;
            let urls: Vec<_> = ways.iter().map(|way| format!("http://{}", way.address())).collect();
            let settings = folder.path().join(format!("{number}.ini"));
            std::fs::write(&settings, format!("{SETTINGS}endpoints = {}\n", urls.join(", ")))?;
            let port = ReservedPort::new()?;
            let options = RegistryClientOptions { timeout: TIMEOUT, ..Default::default() };
            let looks = RegistryClient::new(&format!("http://{}", port.address()), options)?;
            registries.push(Registry { port, ways, settings, process: None, looks });
        }
        let addresses = registries.iter().map(Registry::address).collect();
        let witness = Witness::new(Arc::clone(&clock), BOUNDS, addresses);
        let ledgers = folder.path().join("ledgers");
        std::fs::create_dir(&ledgers)?;
        let mut world = Self {
            programs,
            clock,
            etcd,
            registries,
            servers: Vec::new(),
            witness,
            endings: Vec::new(),
            ledgers: Ledgers::in_directory(ledgers),
            marker: Marker::start().await?,
            _folder: folder,
        };
        for number in 0..REGISTRIES {
            world.start_registry(number).await?;
        }
        for number in 0..SERVERS {
            let port = ReservedPort::new()?;
            world.servers.push(Server { number, life: 0, port, process: None });
            world.start_server(number).await?;
        }
        world.comes_together().await?;
        Ok(world)
    }

    /// The URL of all registries, that of this number first.
    pub(super) fn url(&self, first: usize) -> String {
        let addresses = (0..REGISTRIES)
            .map(|number| self.registries[(first + number) % REGISTRIES].address().to_string());
        format!("http://{}", addresses.collect::<Vec<_>>().join(","))
    }

    pub(super) fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Starts a registry that does not run.
    pub(super) async fn start_registry(&mut self, number: usize) -> anyhow::Result<()> {
        let registry = &mut self.registries[number];
        let port = registry.address().port().to_string();
        let settings = registry.settings.display().to_string();
        let arguments = ["registry", "-p", &port, "-l", "127.0.0.1", "--config", &settings];
        let mut process = Process::start(&self.programs, &self.programs.rpcd, &arguments, &[])?;
        process.line(|line| line.contains("listening").then_some(())).await?;
        registry.process = Some(process);
        Ok(())
    }

    /// Ends a registry that runs.
    pub(super) async fn end_registry(
        &mut self,
        number: usize,
        signal: Signal,
    ) -> anyhow::Result<()> {
        self.witness.note(|several, _| several.ends_registry(number));
        match self.registries[number].process.take() {
            Some(mut process) => process.end(signal, SOON).await,
            None => Ok(()),
        }
    }

    pub(super) fn signal_registry(&self, number: usize, signal: Signal) -> anyhow::Result<()> {
        self.registries[number].process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    /// Registries may be cut off from etcd from now on.
    pub(super) fn apart(&self, is_late: bool, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.witness.note(|several, _| several.apart(number, is_late));
        }
    }

    pub(super) async fn start_server(&mut self, number: usize) -> anyhow::Result<()> {
        let url = self.url(number % REGISTRIES);
        let server = &mut self.servers[number];
        server.life += 1;
        let ledger = self.ledgers.path(server.number, server.life);
        let address = server.port.address();
        let further = ["--heartbeat", HEARTBEAT].map(String::from);
        let process =
            serve_ledger(&self.programs, address, address, &url, &ledger, &further).await?;
        server.process = Some(process);
        Ok(())
    }

    /// Ends a server that runs.
    pub(super) async fn end_server(&mut self, number: usize, signal: Signal) -> anyhow::Result<()> {
        let (server, from) = (&mut self.servers[number], self.clock.now());
        let Some(mut process) = server.process.take() else { return Ok(()) };
        process.end(signal, SOON).await?;
        let (port, to) = (server.port(), self.clock.now());
        if signal == Signal::KILL {
            self.endings.push(Ending { port, from, to });
        }
        Ok(())
    }

    /// The ports of the servers that run.
    fn running(&self) -> Vec<u16> {
        let running = self.servers.iter().filter(|server| server.process.is_some());
        sorted(running.map(Server::port))
    }

    /// Waits until registries that run are ready, each learns what every other one is told, and all list the servers
    /// that run; how long that takes.
    pub(super) async fn comes_together(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let running = (0..REGISTRIES).filter(|number| self.registries[*number].is_running());
        let running: Vec<_> = running.collect();
        for to in &running {
            let others = running.iter().filter(|from| *from != to);
            for from in others {
                self.learns(*from, *to, began).await?;
            }
            if running.len() > 1 {
                self.witness.note(|several, now| several.together(*to, now));
            }
        }
        for number in &running {
            self.waits(began, *number, "is ready", async |registry| registry.is_ready().await)
                .await?;
        }
        self.lists_servers(began).await?;
        Ok(began.elapsed())
    }

    /// Waits until all registries that run list exactly the servers that run.
    pub(super) async fn lists_servers(&self, began: Instant) -> anyhow::Result<()> {
        let servers = self.running();
        for number in (0..REGISTRIES).filter(|number| self.registries[*number].is_running()) {
            let what = format!("lists {servers:?}");
            let lists = async |registry: &Registry| {
                registry.lists(SERVER).await.is_some_and(|listed| listed == servers)
            };
            self.waits(began, number, &what, lists).await?;
        }
        Ok(())
    }

    /// Waits until something holds of a registry.
    pub(super) async fn waits(
        &self,
        began: Instant,
        number: usize,
        what: &str,
        holds: impl AsyncFn(&Registry) -> bool,
    ) -> anyhow::Result<()> {
        let registry = &self.registries[number];
        while !holds(registry).await {
            ensure!(
                began.elapsed() < TOGETHER,
                "not within {TOGETHER:?}: registry {number} {what}; it lists {:?}\n{}",
                registry.lists(SERVER).await,
                self.transcripts()
            );
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until a registry lists what another one is told now, and has acknowledged as durable.
    async fn learns(&mut self, from: usize, to: usize, began: Instant) -> anyhow::Result<()> {
        let marker = self.marker.next();
        let told = async |registry: &Registry| {
            let reply = post(registry.address(), REGISTER, &marker).await;
            reply.is_ok_and(|reply| reply.status == 200 && is_durable(&reply))
        };
        self.waits(began, from, "takes a registration as durable", told).await?;
        let lists = async |registry: &Registry| {
            let list = registry.client().find_all(&marker.protocol).await;
            let lives = |it: &Instance| it.incarnation() == marker.incarnation();
            list.is_ok_and(|list| list.iter().any(lives))
        };
        self.waits(began, to, "learns what another one is told", lists).await
    }

    pub(super) fn transcripts(&self) -> String {
        self.registries.iter().map(Registry::transcript).collect::<Vec<_>>().join("\n")
    }

    /// What etcd has of the registries.
    pub(super) async fn content(&self) -> anyhow::Result<Content> {
        self.etcd.content(PREFIX).await
    }

    /// How often etcd is written to in a time.
    pub(super) async fn written_in(&self, time: Duration) -> anyhow::Result<u64> {
        let before = self.content().await?.revision;
        sleep(time).await;
        Ok(self.content().await?.revision.saturating_sub(before))
    }

    /// For each server, by its port, the registry that etcd says takes its heartbeats.
    pub(super) async fn owners(&self) -> anyhow::Result<BTreeMap<u16, Option<usize>>> {
        let content = self.content().await?;
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let prefix = format!("{PREFIX}instances/{SERVER}/");
        let mut owners = BTreeMap::new();
        for (key, document) in content.entries.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let port = key.rsplit('/').next().and_then(|port| port.parse().ok());
            let port = port.with_context(|| format!("a key without port: {key}"))?;
            let owner = value(document)["owner"].as_str().map(str::to_owned).unwrap_or_default();
            let peer = content.entries.get(&format!("{PREFIX}registries/{owner}"));
            let address = peer.map(|peer| value(peer)["address"].clone());
            let number = self.registries.iter().position(|registry| {
                address.as_ref().is_some_and(|it| *it == registry.address().to_string())
            });
            owners.insert(port, number);
        }
        Ok(owners)
    }
}

impl Marker {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let accepting = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        }));
        Ok(Self { port, life: 0, _accepting: accepting })
    }

    /// In another life.
    fn next(&mut self) -> Instance {
        self.life += 1;
        let mut instance = Instance::new("127.0.0.1", self.port);
        instance.protocol = "marker".to_owned();
        instance.parameters.insert(INCARNATION_KEY.to_owned(), self.life.into());
        instance
    }
}
