//! Random faults at random times, one after the other, while servers are called: nothing is lost, nothing grows, and
//! whatever is there for the sake of faults was needed.

mod ghosts;
mod members;
mod reached;
mod size;
mod witness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::callers::{Callers, Clock, Load};
use crate::cluster::{Cluster, ClusterPlan, Server};
use crate::history::seen::SeenTimes;
use crate::judge::judge;
use crate::liar::Liar;
use crate::outcome::Fate;
use crate::process::{Programs, SOON};
use crate::proxy::Fault;
use crate::registry::{Late, call_once, late_farewell};
use crate::sick::{Kind, MAX_CONNECTIONS};
use crate::trial::Trial;

use ghosts::Ghosts;
use members::Members;
use reached::{Reached, Reaches, STORE_FAILING, metric};
use size::Sizes;
use witness::Witness;

/// Servers. The first is never ended, so that its size can be watched.
const SERVERS: usize = 4;
/// Calls per second.
const RATE: f64 = 300.0;
/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Settings of the registry: short times, so that a minute has many of them.
const SETTINGS: &str =
    "[registry-server]\nttl = 2s\ncheck_interval = 500ms\nbrake_min = 2\nbrake_window = 5s\n";
/// The same, and those that are not set there, for what is witnessed.
const TIMES: SeenTimes = SeenTimes {
    ttl: Duration::from_secs(2),
    rejoin: Duration::from_secs(60),
    // TTL, two checks and a probe, and how late a busy machine may be.
    gone: Duration::from_secs(10),
};
/// How long events may be on their way.
const LAST_EVENTS: Duration = Duration::from_secs(3);
/// Interval between heartbeats.
const HEARTBEAT: &str = "500ms";
/// A shorter run need not come to everything, nor show that nothing grows.
const ENOUGH: Duration = Duration::from_secs(60);
/// The share of the calls that may fail, none of them one that may be repeated: those in flight on a server that is
/// killed, or falls sick.
const MAX_FAILED: f64 = 0.01;

/// How long.
#[derive(Debug, Clone, Args)]
pub struct SoakOptions {
    /// How long faults come
    #[arg(value_parser = humantime::parse_duration, default_value = "10m", value_name = "TIME")]
    pub time: Duration,
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A server is sick for a while.
    Sick(Kind),
    /// A server ends and is back.
    Restarted(Signal),
    /// Another server takes the place of one.
    Replaced,
    /// The registry is killed and back.
    RegistryKilled,
    /// Clients get something else than its list.
    Lie(&'static str),
    /// No heartbeat arrives.
    Beats(Fault),
    /// Watchers lose their connections.
    WatchCut,
    /// Instances that nobody calls fall silent at once.
    Silence,
    /// The registry cannot write to its disk.
    DiskFull,
    /// What an earlier life of a server says arrives late.
    LateFarewell,
}

impl Event {
    fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Restarted(Signal::TERM),
            Self::Restarted(Signal::KILL),
            Self::Replaced,
            Self::RegistryKilled,
            Self::Lie("[]"),
            Self::Lie("[null,1]"),
            Self::Beats(Fault::Cut),
            Self::Beats(Fault::Silent),
            Self::WatchCut,
            Self::Silence,
            Self::DiskFull,
            Self::LateFarewell,
        ];
        all.extend(Kind::ALL.map(|(_, kind)| Self::Sick(kind)));
        all
    }
}

/// Makes faults, and judges what came of them. Each is told to `say`.
///
/// # Errors
/// The trial could not be made.
pub async fn soak(
    programs: Programs,
    options: &SoakOptions,
    seed: u64,
    say: impl Fn(&str),
) -> anyhow::Result<Trial> {
    let mut soak = Soak::start(programs, seed).await?;
    let load = Load::of_all_kinds(soak.url(), RATE, TIMEOUT);
    let callers = Callers::start(load, Arc::clone(&soak.clock), seed)?;
    for server in &soak.servers {
        soak.cluster.reaches(server).await?;
    }
    let reached = Reached::default();
    let registry = soak.cluster.registry();
    let looking = beside(reached.clone().look(callers.clients().to_vec(), registry));
    let reading = beside(soak.witness.clone().read(soak.looks.clone()));
    let watching = beside(soak.witness.clone().watch(soak.looks.clone(), reached.clone()));
    let beats = format!("http://{}", soak.cluster.beats.address());
    let members = Members::start(&beats, &soak.witness, &mut soak.random)?;
    let began = Instant::now();
    let mut sizes = Sizes::default();
    let mut events = Vec::new();
    while began.elapsed() < options.time {
        if events.is_empty() {
            // All of them, in another order each time.
            events = Event::all();
            events.shuffle(&mut soak.random);
        }
        let Some(event) = events.pop() else { break };
        say(&format!("{:>8.1} s  {event:?}", began.elapsed().as_secs_f64()));
        soak.happens(event, &reached).await.with_context(|| format!("{event:?}"))?;
        sizes.note(&soak.servers[0]).await?;
    }
    soak.settles().await?;
    let called = callers.end().await?;
    // Whose end is not witnessed.
    drop((looking, reading));
    drop(members);
    sleep(LAST_EVENTS).await;
    drop(watching);
    let executions = soak.cluster.ledgers().executions()?;
    let verdict = judge(called.calls, &called.outcomes, Some(&executions));
    let mut trial = Trial::of(&called, &verdict);
    trial.count(format!("{:.1}", began.elapsed().as_secs_f64()), "seconds");
    let failed = called.outcomes.iter().filter(|it| it.fate != Fate::Ok);
    let repeatable = failed.filter(|it| it.method.may_repeat()).count();
    trial.never(repeatable as u64, "calls failed that may be repeated");
    if verdict.failures() as f64 > called.calls as f64 * MAX_FAILED {
        trial.broken.push(format!("{} calls failed, more than 1 %", verdict.failures()));
    }
    soak.history(&mut trial).await?;
    reached.note(Reaches::Retry, called.retries > 0);
    let is_long = options.time >= ENOUGH;
    for (what, times) in reached.all() {
        if is_long {
            trial.sometimes(times, what);
        } else {
            trial.count(times, what);
        }
    }
    sizes.judge(&mut trial, is_long);
    Ok(trial)
}

fn beside(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// A cluster to which things happen.
struct Soak {
    programs: Programs,
    cluster: Cluster,
    servers: Vec<Server>,
    /// Ports of servers that have ended for good.
    gone: Vec<u16>,
    liar: Liar,
    looks: RegistryClient,
    ghosts: Ghosts,
    witness: Witness,
    clock: Arc<Clock>,
    random: SmallRng,
    disk: tempfile::TempDir,
}

impl Soak {
    async fn start(programs: Programs, seed: u64) -> anyhow::Result<Self> {
        let disk = tempfile::tempdir().context("creating a directory")?;
        let settings = disk.path().join("config.ini");
        std::fs::write(&settings, SETTINGS)?;
        let text = |path: PathBuf| path.display().to_string();
        let registry_arguments = vec![
            "--data-dir".into(),
            text(disk.path().join("registry")),
            "--config".into(),
            text(settings),
        ];
        let server_arguments =
            ["--heartbeat", HEARTBEAT, "--max-connections", &MAX_CONNECTIONS.to_string()];
        let server_arguments = server_arguments.map(String::from).into();
        let plan = ClusterPlan {
            proxied: true,
            registry_arguments,
            server_arguments,
            ..Default::default()
        };
        let clock = Arc::new(Clock::new());
        let mut cluster = Cluster::start(programs.clone(), plan, Arc::clone(&clock)).await?;
        let servers = cluster.servers(SERVERS).await?;
        let liar = Liar::start(cluster.registry()).await?;
        let url = format!("http://{}", cluster.registry());
        let looks = RegistryClient::new(&url, RegistryClientOptions::default())?;
        let ghosts = Ghosts::appear(looks.clone())?;
        let witness = Witness::new(Arc::clone(&clock), TIMES);
        let random = SmallRng::seed_from_u64(seed);
        Ok(Self {
            programs,
            cluster,
            servers,
            gone: Vec::new(),
            liar,
            looks,
            ghosts,
            witness,
            clock,
            random,
            disk,
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.liar.address())
    }

    async fn happens(&mut self, event: Event, reached: &Reached) -> anyhow::Result<()> {
        let while_it_lasts = Duration::from_millis(self.random.random_range(500..4000));
        // Any but the first.
        let chosen = self.random.random_range(1..self.servers.len());
        let any = self.random.random_range(0..self.servers.len());
        match event {
            Event::Sick(kind) => {
                let server = &mut self.servers[any];
                let sickness = kind.befall(server).await?;
                sleep(while_it_lasts).await;
                sickness.end(server).await?;
            }
            Event::Restarted(signal) => {
                let server = &mut self.servers[chosen];
                self.cluster.end(server, signal).await?;
                self.cluster.start_again(server).await?;
                self.cluster.reaches(server).await?;
            }
            Event::Replaced => {
                let new = self.cluster.server().await?;
                self.cluster.reaches(&new).await?;
                let mut old = std::mem::replace(&mut self.servers[chosen], new);
                self.cluster.end(&mut old, Signal::TERM).await?;
                self.gone.push(old.address().port());
            }
            Event::RegistryKilled => {
                let lists = self.disk.path().join("lists");
                let url = format!("http://{}", self.cluster.registry());
                let first = call_once(&self.programs, &url, &lists).await?;
                ensure!(first.code == Some(0), "rpcd call failed: {}", first.text);
                self.cluster.end_registry(Signal::KILL).await?;
                let second = call_once(&self.programs, &url, &lists).await?;
                reached.note(Reaches::ListCache, second.code == Some(0));
                sleep(while_it_lasts).await;
                self.cluster.start_registry().await?;
                self.witness.registry_started();
            }
            Event::Lie(body) => {
                self.liar.says(Some(("200 OK", body)));
                sleep(while_it_lasts).await;
                self.liar.says(None);
            }
            Event::Beats(fault) => {
                self.cluster.beats.becomes(Some(fault));
                sleep(while_it_lasts * 2).await;
                self.cluster.beats.becomes(None);
            }
            Event::WatchCut => {
                self.cluster.lists.becomes(Some(Fault::Cut));
                sleep(Duration::from_millis(50)).await;
                self.cluster.lists.becomes(None);
            }
            Event::Silence => {
                self.ghosts.are_silent(true);
                // TTL, check and probe.
                sleep(Duration::from_secs(6)).await;
                self.ghosts.are_silent(false);
            }
            Event::DiskFull => {
                let pid = Some(self.cluster.registry_process().pid());
                let usual = getrlimit(Resource::Fsize);
                prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), ..usual })?;
                sleep(while_it_lasts).await;
                prlimit(pid, Resource::Fsize, usual)?;
                // What it acknowledges meanwhile it says not to be durable.
                self.stores_again().await?;
            }
            Event::LateFarewell => {
                let server = &mut self.servers[chosen];
                let late = late_farewell(&self.cluster, server, &self.looks).await?;
                ensure!(late == Late::Refused, "a farewell of an earlier life was obeyed");
                reached.note(Reaches::Fence, true);
            }
        }
        sleep(Duration::from_millis(self.random.random_range(500..1500))).await;
        Ok(())
    }

    /// The registry can write its store again, and has written everything.
    async fn stores_again(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while metric(self.cluster.registry(), STORE_FAILING).await != Some(0.0) {
            ensure!(began.elapsed() < SOON, "the registry's store does not work again");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// All servers are listed and called.
    async fn settles(&self) -> anyhow::Result<()> {
        for server in &self.servers {
            self.cluster.lists(server, None).await?;
            self.cluster.reaches(server).await?;
        }
        Ok(())
    }

    /// Whether the list is that of the servers that run, and what a watcher made of the events.
    async fn history(&self, trial: &mut Trial) -> anyhow::Result<()> {
        self.witness.judge(trial);
        let folded = self.witness.servers();
        let instances = self.looks.find_all("json").await?;
        let mut listed: Vec<_> = instances.iter().map(|instance| instance.port).collect();
        listed.sort_unstable();
        let mut running: Vec<_> =
            self.servers.iter().map(|server| server.address().port()).collect();
        running.sort_unstable();
        let back = self.gone.iter().filter(|port| listed.contains(port)).count();
        trial.never(back as u64, "servers that had unregistered are listed");
        let missing = running.iter().filter(|port| !listed.contains(port)).count();
        trial.never(missing as u64, "servers that run are not listed");
        if folded != listed {
            trial.broken.push(format!("a watcher saw {folded:?}, and the list is {listed:?}"));
        }
        Ok(())
    }
}
