//! A registry and servers with ledgers, as processes that are started, ended and started again.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::callers::{Clock, OLDER_PROGRAMS, script};
use crate::ledger::Ledgers;
use crate::process::{Process, Programs, SOON};
use crate::proxy::{Proxy, ReservedPort};

/// The longest time until a process that was asked to end has ended.
const ENDING: Duration = Duration::from_secs(20);
/// Interval between looks at the list, or at a ledger.
const LOOK: Duration = Duration::from_millis(5);

/// How a cluster is made.
#[derive(Debug, Clone, Default)]
pub struct ClusterPlan {
    /// Round trip between any two of its parts.
    pub round_trip: Duration,
    /// Whether there is a proxy in front of each server even without a round trip.
    pub proxied: bool,
    /// Further arguments of `rpcd registry`.
    pub registry_arguments: Vec<String>,
    /// Further arguments of `rpc-torture serve-ledger`.
    pub server_arguments: Vec<String>,
}

/// A running cluster. Dropping it kills its processes.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    plan: ClusterPlan,
    clock: Arc<Clock>,
    registry: Process,
    registry_port: ReservedPort,
    /// Between the servers and the registry.
    pub beats: Proxy,
    /// Between the callers and the registry.
    pub lists: Proxy,
    directory: TempDir,
    ledgers: Ledgers,
    looks: RegistryClient,
    started: usize,
}

/// A server, in one of its lives.
#[derive(Debug)]
pub struct Server {
    number: usize,
    life: u32,
    is_older: bool,
    port: ReservedPort,
    /// Where there is one.
    pub proxy: Option<Proxy>,
    process: Process,
}

/// The end of a server's life.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// The port that clients called.
    pub port: u16,
    /// When it was asked to end, in microseconds since the start.
    pub from: u64,
    /// When it had ended.
    pub to: u64,
}

impl Server {
    /// Where clients reach it.
    pub fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.port.address(), Proxy::address)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, to talk to.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where it listens itself, behind its proxy.
    pub fn listens_on(&self) -> SocketAddr {
        self.port.address()
    }
}

impl Cluster {
    /// Starts a registry.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(
        programs: Programs,
        plan: ClusterPlan,
        clock: Arc<Clock>,
    ) -> anyhow::Result<Self> {
        let port = ReservedPort::new()?;
        let delay = plan.round_trip / 2;
        let registry = start_registry(&programs, &plan, port.address()).await?;
        let directory = tempfile::tempdir().context("creating a directory")?;
        let url = format!("http://{}", port.address());
        Ok(Self {
            beats: Proxy::start(port.address(), delay)?,
            lists: Proxy::start(port.address(), delay)?,
            ledgers: Ledgers::in_directory(directory.path().to_owned()),
            looks: RegistryClient::new(&url, RegistryClientOptions::default())?,
            registry_port: port,
            programs,
            plan,
            clock,
            registry,
            directory,
            started: 0,
        })
    }

    /// Where callers reach the registry.
    pub fn registry(&self) -> SocketAddr {
        self.lists.address()
    }

    /// What was executed.
    pub fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// The directory of the ledgers.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The registry's process.
    pub fn registry_process(&self) -> &Process {
        &self.registry
    }

    /// Ends the registry.
    ///
    /// # Errors
    /// It does not end, or with an error.
    pub async fn end_registry(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.registry.end(signal, ENDING).await
    }

    /// Starts the registry again, on the same port.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_registry(&mut self) -> anyhow::Result<()> {
        let address = self.registry_port.address();
        self.registry = start_registry(&self.programs, &self.plan, address).await?;
        Ok(())
    }

    /// Starts a server on an address of its own.
    ///
    /// # Errors
    /// It does not start.
    pub async fn server(&mut self) -> anyhow::Result<Server> {
        self.new_server(false).await
    }

    /// Starts servers at the same time, and waits until all are listed.
    ///
    /// # Errors
    /// One does not start, or is not listed [`SOON`].
    pub async fn servers(&mut self, count: usize) -> anyhow::Result<Vec<Server>> {
        let mut servers = Vec::new();
        for _ in 0..count {
            servers.push(self.server().await?);
        }
        for server in &servers {
            self.lists(server, None).await?;
        }
        Ok(servers)
    }

    /// One server of the older system.
    ///
    /// # Errors
    /// It does not start.
    pub async fn older_server(&mut self) -> anyhow::Result<Server> {
        self.new_server(true).await
    }

    async fn new_server(&mut self, is_older: bool) -> anyhow::Result<Server> {
        let port = ReservedPort::new()?;
        let is_proxied = self.plan.proxied || !self.plan.round_trip.is_zero();
        ensure!(!(is_proxied && is_older), "older servers register the address they listen on");
        let delay = self.plan.round_trip / 2;
        let proxy = is_proxied.then(|| Proxy::start(port.address(), delay)).transpose()?;
        let advertised = proxy.as_ref().map_or(port.address(), Proxy::address);
        let number = self.started;
        self.started += 1;
        let process = self.life(number, 1, port.address(), advertised, is_older).await?;
        Ok(Server { number, life: 1, is_older, port, proxy, process })
    }

    /// Ends a life of a server.
    ///
    /// # Errors
    /// It does not end, or with an error.
    pub async fn end(&self, server: &mut Server, signal: Signal) -> anyhow::Result<Ending> {
        let from = self.clock.now();
        server.process.end(signal, ENDING).await?;
        Ok(Ending { port: server.address().port(), from, to: self.clock.now() })
    }

    /// Waits until a server has ended that was sent SIGTERM.
    ///
    /// # Errors
    /// It does not end, or with an error.
    pub async fn ended(&self, server: &mut Server) -> anyhow::Result<()> {
        server.process.ended_by(Signal::TERM, ENDING).await
    }

    /// Starts a server again, at the same address.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&self, server: &mut Server) -> anyhow::Result<()> {
        server.life += 1;
        let (listen, advertised) = (server.port.address(), server.address());
        server.process =
            self.life(server.number, server.life, listen, advertised, server.is_older).await?;
        Ok(())
    }

    async fn life(
        &self,
        number: usize,
        life: u32,
        listen: SocketAddr,
        advertised: SocketAddr,
        is_older: bool,
    ) -> anyhow::Result<Process> {
        let ledger = self.ledgers.path(number, life).into_os_string();
        let registry = self.beats.address();
        if is_older {
            let words = ["--port", &listen.port().to_string(), "--registry", &registry.to_string()]
                .map(OsString::from);
            let script = script("ledger_server.py").into_os_string();
            let arguments: Vec<_> = ["-B".into(), script].into_iter().chain(words).collect();
            let variables =
                [("OLDER_PROGRAMS", OsStr::new(OLDER_PROGRAMS)), ("LEDGER", ledger.as_os_str())];
            let python = Path::new("python3");
            let mut process = Process::start(&self.programs, python, &arguments, &variables)?;
            process.line(|line| line.parse::<u16>().ok()).await?;
            return Ok(process);
        }
        let (url, further) = (format!("http://{registry}"), &self.plan.server_arguments);
        serve_ledger(&self.programs, listen, advertised, &url, Path::new(&ledger), further).await
    }

    /// The number that this life of the server has in the registry's list, if it is there.
    async fn incarnation(&self, server: &Server) -> anyhow::Result<Option<Option<u64>>> {
        let port = server.address().port();
        let instances = self.looks.find_all("json").await?;
        let instance = instances.iter().find(|instance| instance.port == port);
        Ok(instance.map(|instance| instance.incarnation()))
    }

    /// Waits until the registry lists the server, in a life other than that of `before`.
    ///
    /// # Errors
    /// It does not [`SOON`].
    pub async fn lists(
        &self,
        server: &Server,
        before: Option<Option<u64>>,
    ) -> anyhow::Result<Option<Option<u64>>> {
        let began = Instant::now();
        while began.elapsed() < SOON {
            let now = self.incarnation(server).await?;
            if now.is_some() && (now != before || server.is_older) {
                return Ok(now);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the registry does not list {}\n{}", server.address(), server.process.transcript())
    }

    /// Waits until this life of the server has executed a call.
    ///
    /// # Errors
    /// It does not [`SOON`].
    pub async fn reaches(&self, server: &Server) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < SOON {
            if self.ledgers.executed(server.number, server.life) > 0 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("nobody calls {}\n{}", server.address(), server.process.transcript())
    }
}

/// Starts a server that notes what it executes, and waits until it listens.
pub(crate) async fn serve_ledger(
    programs: &Programs,
    listen: SocketAddr,
    advertised: SocketAddr,
    registry: &str,
    ledger: &Path,
    further: &[String],
) -> anyhow::Result<Process> {
    let mut arguments: Vec<OsString> = vec![
        "serve-ledger".into(),
        "--listen".into(),
        listen.to_string().into(),
        "--advertise".into(),
        advertised.to_string().into(),
        "--registry".into(),
        registry.into(),
        "--ledger".into(),
        ledger.into(),
    ];
    arguments.extend(further.iter().map(OsString::from));
    let mut process = Process::start(programs, &programs.torture, &arguments, &[])?;
    process.line(|line| line.contains("listening").then_some(())).await?;
    Ok(process)
}

async fn start_registry(
    programs: &Programs,
    plan: &ClusterPlan,
    address: SocketAddr,
) -> anyhow::Result<Process> {
    let port = address.port().to_string();
    let mut arguments: Vec<_> =
        ["registry", "-p", &port, "-l", "127.0.0.1"].map(String::from).into();
    arguments.extend(plan.registry_arguments.iter().cloned());
    let mut process = Process::start(programs, &programs.rpcd, &arguments, &[])?;
    process.line(|line| line.contains("listening").then_some(())).await?;
    Ok(process)
}
