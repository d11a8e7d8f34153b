//! A registry that is killed, cut off or lies, while servers that are well are called: nobody may notice.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rpc_client::registry::{RegistryClient, RegistryClientError, RegistryClientOptions};
use rpc_wire::instance::Instance;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::callers::{Callers, Clock, Load};
use crate::cluster::{Cluster, ClusterPlan, Server};
use crate::judge::judge;
use crate::liar::Liar;
use crate::process::{Process, Programs, SOON};
use crate::proxy::Fault;
use crate::trial::Trial;

/// Servers.
const SERVERS: usize = 3;
/// Calls per second.
const RATE: f64 = 400.0;
/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long all is well at first: longer than clients take to look at the list once.
const WELL: Duration = Duration::from_secs(4);
/// How long all is well at last: longer than a heartbeat.
const WELL_AGAIN: Duration = Duration::from_secs(6);
/// How long answers are false.
const LYING: Duration = Duration::from_secs(10);
/// How long a call without a list may wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much longer a process may take than its work.
const START: Duration = Duration::from_secs(4);
/// Registrations after each of which the registry is killed.
const ACKNOWLEDGED: u16 = 5;
/// How long a killed server may stay listed.
const UNLISTED: Duration = Duration::from_secs(1);
/// The exit code for what cannot be reached.
const UNREACHABLE: i32 = 3;

/// What happens to the registry.
#[derive(Debug, Clone, Args)]
pub struct RegistryOptions {
    /// Which trouble, several with commas between them, or all
    #[arg(long, default_value = "all")]
    pub trouble: Troubles,
    /// The longest time of a trouble
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30s", value_name = "TIME")]
    pub longest: Duration,
}

/// A trouble with the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is killed, and back after so many milliseconds.
    Killed {
        /// How long it is away.
        milliseconds: u64,
        /// Whether it remembers what it was told.
        stored: bool,
    },
    /// Clients get this instead of its list.
    Lie(&'static str, &'static str),
    /// Its servers' heartbeats end like this.
    Beats(Fault),
    /// It is killed as soon as it has acknowledged a registration, which it must not forget.
    Acknowledged,
    /// What an earlier life of a server says arrives late.
    LateFarewell,
    /// A server is killed, and must not stay listed.
    KilledServer,
    /// It is away when a client starts that has a list on disk.
    AwayWithList,
    /// It is away when a client starts that has none, and comes back in time.
    AwayAtFirst,
    /// It is away when a client starts that has none.
    Away,
}

impl Trouble {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 19] = [
        ("killed-20ms", Self::Killed { milliseconds: 20, stored: false }),
        ("killed-2s", Self::Killed { milliseconds: 2_000, stored: false }),
        ("killed-30s", Self::Killed { milliseconds: 30_000, stored: false }),
        ("killed-20ms-stored", Self::Killed { milliseconds: 20, stored: true }),
        ("killed-2s-stored", Self::Killed { milliseconds: 2_000, stored: true }),
        ("killed-30s-stored", Self::Killed { milliseconds: 30_000, stored: true }),
        ("empty", Self::Lie("200 OK", "[]")),
        ("unreadable", Self::Lie("200 OK", r#"[null,1,{"a":2}]"#)),
        ("no-list", Self::Lie("200 OK", "<html>no such page</html>")),
        ("truncated", Self::Lie("200 OK", r#"[{"ip":"127.0.0.1","#)),
        ("failing", Self::Lie("500 Internal Server Error", "")),
        ("beats-cut", Self::Beats(Fault::Cut)),
        ("beats-silent", Self::Beats(Fault::Silent)),
        ("acknowledged", Self::Acknowledged),
        ("late-farewell", Self::LateFarewell),
        ("killed-server", Self::KilledServer),
        ("away-with-list", Self::AwayWithList),
        ("away-at-first", Self::AwayAtFirst),
        ("away", Self::Away),
    ];
}

/// Some troubles with their names.
#[derive(Debug, Clone)]
pub struct Troubles(pub Vec<(&'static str, Trouble)>);

impl FromStr for Troubles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Trouble::ALL.to_vec()));
        }
        let named = |name: &str| {
            let found = Trouble::ALL.into_iter().find(|(known, _)| *known == name);
            found.ok_or_else(|| {
                let names = Trouble::ALL.map(|(name, _)| name).join(", ");
                format!("no such trouble; there are: all, {names}")
            })
        };
        text.split(',').map(named).collect::<Result<_, _>>().map(Self)
    }
}

/// Makes the trouble, and judges what callers noticed. Rows go to `say` when they are known.
///
/// # Errors
/// The trial could not be made.
pub async fn registry(
    programs: Programs,
    options: &RegistryOptions,
    seed: u64,
    say: impl Fn(&str),
) -> anyhow::Result<Trial> {
    let mut random = SmallRng::seed_from_u64(seed);
    let began = Instant::now();
    let mut trial = Trial::default();
    for (name, trouble) in &options.trouble.0 {
        let room = Room::start(&programs, *trouble).await?;
        let one = match trouble {
            Trouble::AwayWithList | Trouble::AwayAtFirst | Trouble::Away => {
                room.one_client(*trouble).await
            }
            Trouble::Acknowledged => room.acknowledged().await,
            Trouble::LateFarewell => room.late_farewell().await,
            Trouble::KilledServer => room.killed_server().await,
            _ => room.called(*trouble, options.longest, random.random()).await,
        };
        let one = one.with_context(|| (*name).to_owned())?;
        let verdict = if one.broken.is_empty() { "" } else { "  BROKEN" };
        say(&format!("{name:<20} {}{verdict}", one.report));
        trial.broken.extend(one.broken.iter().map(|it| format!("{name}: {it}")));
        trial.errors.extend(one.errors.iter().take(5).map(|it| format!("{name}: {it}")));
    }
    trial.count(format!("{:.1}", began.elapsed().as_secs_f64()), "seconds");
    Ok(trial)
}

/// A registry, its servers, and what is between it and its clients.
struct Room {
    cluster: Cluster,
    servers: Vec<Server>,
    liar: Liar,
    programs: Programs,
    clock: Arc<Clock>,
    // What a registry remembers, and clients.
    disk: tempfile::TempDir,
}

impl Room {
    async fn start(programs: &Programs, trouble: Trouble) -> anyhow::Result<Self> {
        let disk = tempfile::tempdir().context("creating a directory")?;
        let remembers = matches!(
            trouble,
            Trouble::Killed { stored: true, .. } | Trouble::Acknowledged | Trouble::AwayAtFirst
        );
        let folder = disk.path().join("registry").display().to_string();
        let arguments = if remembers { ["--data-dir", &folder] } else { ["--store", "none"] };
        let registry_arguments = arguments.map(String::from).into();
        let plan = ClusterPlan { registry_arguments, ..ClusterPlan::default() };
        let clock = Arc::new(Clock::new());
        let mut cluster = Cluster::start(programs.clone(), plan, Arc::clone(&clock)).await?;
        let servers = cluster.servers(SERVERS).await?;
        let liar = Liar::start(cluster.registry()).await?;
        Ok(Self { cluster, servers, liar, programs: programs.clone(), clock, disk })
    }

    fn url(&self) -> String {
        format!("http://{}", self.liar.address())
    }

    /// Many calls by clients that know the list.
    async fn called(
        mut self,
        trouble: Trouble,
        longest: Duration,
        seed: u64,
    ) -> anyhow::Result<Trial> {
        let load = Load::of_all_kinds(self.url(), RATE, TIMEOUT);
        let callers = Callers::start(load, Arc::clone(&self.clock), seed)?;
        for server in &self.servers {
            self.cluster.reaches(server).await?;
        }
        sleep(WELL).await;
        match trouble {
            Trouble::Killed { milliseconds, .. } => {
                self.cluster.end_registry(Signal::KILL).await?;
                sleep(Duration::from_millis(milliseconds).min(longest)).await;
                self.cluster.start_registry().await?;
            }
            Trouble::Beats(fault) => {
                self.cluster.beats.becomes(Some(fault));
                sleep(longest).await;
                self.cluster.beats.becomes(None);
            }
            Trouble::Lie(status, body) => {
                self.liar.says(Some((status, body)));
                sleep(LYING.min(longest)).await;
                self.liar.says(None);
            }
            _ => {}
        }
        sleep(WELL_AGAIN).await;
        let called = callers.end().await?;
        for server in &self.servers {
            self.cluster.lists(server, None).await?;
        }
        let executions = self.cluster.ledgers().executions()?;
        let verdict = judge(called.calls, &called.outcomes, Some(&executions));
        let mut trial = Trial::of(&called, &verdict);
        trial.report = format!("{:>6} failed of {:>6}", verdict.failures(), verdict.calls);
        if matches!(trouble, Trouble::Lie(..)) {
            let lies = self.liar.lies();
            trial.report += &format!("; false answers: {lies}");
            trial.never(u64::from(lies == 0), "false answers were given: it was not tested");
        }
        trial.never(verdict.failures(), "calls failed");
        Ok(trial)
    }

    fn looks(&self) -> anyhow::Result<RegistryClient> {
        let url = format!("http://{}", self.cluster.registry());
        Ok(RegistryClient::new(&url, RegistryClientOptions::default())?)
    }

    /// Asks the registry, by a client of its own, until it is reached: its proxy takes connections again a moment
    /// after it does.
    async fn reached<T>(
        &self,
        ask: impl AsyncFn(RegistryClient) -> Result<T, RegistryClientError>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        loop {
            match ask(self.looks()?).await {
                Err(RegistryClientError::Unreachable { .. }) if began.elapsed() < SOON => {
                    sleep(Duration::from_millis(10)).await;
                }
                done => return Ok(done?),
            }
        }
    }

    async fn acknowledged(mut self) -> anyhow::Result<Trial> {
        let mut forgotten = 0;
        for number in 1..=ACKNOWLEDGED {
            let mut instance = Instance::new("127.0.0.1", number);
            instance.protocol = "acknowledged".to_owned();
            self.reached(async |registry| registry.register(&instance).await).await?;
            self.cluster.end_registry(Signal::KILL).await?;
            self.cluster.start_registry().await?;
            let listed =
                self.reached(async |registry| registry.find_all("acknowledged").await).await?;
            forgotten += u64::from(!listed.iter().any(|it| it.port == number));
        }
        let report = format!("{forgotten:>6} forgotten of {ACKNOWLEDGED} registrations");
        let mut trial = Trial { report, ..Trial::default() };
        trial.never(forgotten, "acknowledged registrations were forgotten");
        Ok(trial)
    }

    async fn late_farewell(mut self) -> anyhow::Result<Trial> {
        let looks = self.looks()?;
        let server = self.servers.first_mut().context("no server")?;
        let late = late_farewell(&self.cluster, server, &looks).await?;
        let report = format!("{late:?}");
        let mut trial = Trial { report, ..Trial::default() };
        trial.never(u64::from(late != Late::Refused), "farewell of an earlier life was obeyed");
        Ok(trial)
    }

    async fn killed_server(mut self) -> anyhow::Result<Trial> {
        let looks = self.looks()?;
        let server = self.servers.first_mut().context("no server")?;
        let port = server.address().port();
        self.cluster.end(server, Signal::KILL).await?;
        let ended = Instant::now();
        while looks.find_all("json").await?.iter().any(|it| it.port == port)
            && ended.elapsed() < SOON
        {
            sleep(Duration::from_millis(10)).await;
        }
        let took = ended.elapsed();
        let report = format!("unlisted {took:.1?} after its end");
        let mut trial = Trial { report, ..Trial::default() };
        trial.never(u64::from(took > UNLISTED), "killed server stayed listed for more than 1 s");
        Ok(trial)
    }

    /// One client that starts while the registry is away.
    async fn one_client(mut self, trouble: Trouble) -> anyhow::Result<Trial> {
        let lists = self.disk.path().join("lists");
        // Where nobody listens while it is away.
        let url = format!("http://{}", self.cluster.registry());
        let call = || call_once(&self.programs, &url, &lists);
        let mut trial = Trial::default();
        if trouble == Trouble::AwayWithList {
            let first = call().await?;
            ensure!(first.code == Some(0), "rpcd call failed while all was well: {}", first.text);
        }
        self.cluster.end_registry(Signal::KILL).await?;
        let done = match trouble {
            Trouble::AwayAtFirst => {
                let back = async {
                    sleep(PATIENCE / 3).await;
                    self.cluster.start_registry().await
                };
                let (done, back) = tokio::join!(call(), back);
                back?;
                done?
            }
            _ => call().await?,
        };
        let took = done.took;
        trial.report = format!("exit code {:?} after {took:.1?}", done.code);
        let mut promise = |kept: bool, what: &str| {
            if !kept {
                trial.broken.push(what.to_owned());
            }
        };
        match trouble {
            Trouble::AwayWithList => {
                promise(done.code == Some(0), "a client with a list on disk did not call by it");
                let lines = done.text.lines().filter(|line| line.contains("list")).count();
                promise(lines == 1, "it did not say in one line which list it used");
            }
            Trouble::AwayAtFirst => {
                promise(
                    done.code == Some(0),
                    "a client did not wait for a registry that came back",
                );
            }
            _ => {
                promise(done.code == Some(UNREACHABLE), "without a list it is not exit code 3");
                let waited = took >= PATIENCE * 9 / 10 && took <= PATIENCE + START;
                promise(waited, "it did not wait for its timeout");
            }
        }
        trial.errors.push(done.text);
        Ok(trial)
    }
}

/// What became of the farewell and the heartbeat of an earlier life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// They changed nothing, and the heartbeat was refused.
    Refused,
    /// They removed or replaced the later life.
    Obeyed,
}

/// A server is killed and started again; then what its earlier life said arrives once more.
///
/// # Errors
/// The server does not start again, or is not listed.
pub async fn late_farewell(
    cluster: &Cluster,
    server: &mut Server,
    looks: &RegistryClient,
) -> anyhow::Result<Late> {
    let port = server.address().port();
    let listed = async || -> anyhow::Result<Option<Instance>> {
        Ok(looks.find_all("json").await?.into_iter().find(|it| it.port == port))
    };
    let life = cluster.lists(server, None).await?;
    let before = listed().await?.context("it is not listed")?;
    cluster.end(server, Signal::KILL).await?;
    cluster.start_again(server).await?;
    cluster.lists(server, life).await?;
    // It may be told that there is nothing to remove.
    let _ = looks.unregister(&before).await;
    let is_left = listed().await?.is_some();
    let beat = looks.register(&before).await;
    let is_later = listed().await?.is_some_and(|now| now.incarnation() > before.incarnation());
    let is_refused = matches!(beat, Err(RegistryClientError::Superseded { .. }));
    Ok(if is_left && is_later && is_refused { Late::Refused } else { Late::Obeyed })
}

/// `rpcd call`, with a folder for lists.
///
/// # Errors
/// It does not start, or does not end.
pub async fn call_once(programs: &Programs, url: &str, lists: &Path) -> anyhow::Result<Done> {
    let timeout = format!("{}ms", PATIENCE.as_millis());
    // Of a method that counts nothing.
    let words = ["call", "rpc.health", "--timeout", &timeout, "--registry", url];
    let began = Instant::now();
    let variables = [("XDG_CACHE_HOME", lists.as_os_str())];
    let mut process = Process::start(programs, &programs.rpcd, &words, &variables)?;
    let code = process.ends(SOON).await?.code();
    let took = began.elapsed();
    Ok(Done { code, took, text: process.last_words().await })
}

/// How a program ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// From its start to its end.
    pub took: Duration,
    /// What it wrote.
    pub text: String,
}
