//! One of three servers falls sick while they are called, under every policy: who may not notice, and how soon
//! the others stop.

mod kind;
mod row;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rpc_client::Balance;

use crate::callers::{Called, Callers, Clock, Load, Pace};
use crate::cluster::{Cluster, ClusterPlan, Server};
use crate::judge::judge;
use crate::outcome::Method;
use crate::process::Programs;
use crate::trial::Trial;

pub use kind::{Kind, MAX_CONNECTIONS, Sickness};
pub use row::{ClosedRow, OpenRow, Times};

/// Servers.
const SERVERS: usize = 3;
/// Calls per second of each policy in the open loop, half of them read-only.
const RATE: f64 = 100.0;
/// The timeout of a call in the open loop.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Callers of the closed loop.
const CALLERS: usize = 64;
/// The timeout of a call in the closed loop.
const CLOSED_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call takes, in milliseconds.
const TAKES: u64 = 20;
/// How long all are well at first.
const WELL: Duration = Duration::from_secs(3);
/// How long it is well again at last: a second more than it may take to be back.
const WELL_AGAIN: Duration = Duration::from_secs(6);
/// Errors of each client that are told.
const MAX_ERRORS: usize = 3;
/// How long one is sick, at least.
const SICK: Duration = Duration::from_secs(4);

/// What falls sick, how, and for how long.
#[derive(Debug, Clone, Args)]
pub struct SickOptions {
    /// In which way, or all
    #[arg(long, default_value = "all")]
    pub kind: Kinds,
    /// How long each way is tried, in an open loop
    #[arg(long, default_value_t = 60, value_name = "NUMBER")]
    pub seconds: u64,
    /// How long each way is tried in a closed loop for each policy; 0: not at all
    #[arg(long, default_value_t = 15, value_name = "NUMBER")]
    pub closed_seconds: u64,
}

/// Some ways of being sick.
#[derive(Debug, Clone)]
pub struct Kinds(pub Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(Kind::ALL.map(|(_, kind)| kind).to_vec())),
            kinds => kinds.split(',').map(str::parse).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// Makes a server sick, and judges what callers noticed of it. Rows go to `say` when they are known.
///
/// # Errors
/// The trial could not be made.
pub async fn sick(
    programs: Programs,
    options: &SickOptions,
    seed: u64,
    say: impl Fn(&str),
) -> anyhow::Result<Trial> {
    let least = (WELL + SICK + WELL_AGAIN).as_secs();
    ensure!(options.seconds >= least, "--seconds must be at least {least}");
    let closed = options.closed_seconds;
    ensure!(closed == 0 || closed >= least, "--closed-seconds must be 0 or at least {least}");
    let mut random = SmallRng::seed_from_u64(seed);
    let began = Instant::now();
    let mut trial = Trial::default();
    say(
        "                                       open loop: failed, other calls at most so many as are sent there \
         in 0.5 s            closed loop\nkind                policy             calls read-only    others   \
         hole   back share  |  before  kept failed   back",
    );
    for kind in &options.kind.0 {
        let mut ward = Ward::start(&programs, *kind, random.random()).await?;
        let open = ward.open(Duration::from_secs(options.seconds), &mut trial).await?;
        for ((policy, balance), open) in Balance::ALL.into_iter().zip(open) {
            let mut broken = open.broken();
            let mut line = format!("{kind:<19} {policy:<16} {open}");
            if closed > 0 {
                let row = ward.closed(balance, Duration::from_secs(closed), &mut trial).await?;
                line += &format!("  | {row}");
                broken.extend(row.broken());
            }
            if !broken.is_empty() {
                line += "  BROKEN";
            }
            say(&line);
            trial.broken.extend(broken.iter().map(|it| format!("{kind}, {policy}: {it}")));
        }
    }
    trial.count(format!("{:.1}", began.elapsed().as_secs_f64()), "seconds");
    Ok(trial)
}

/// A cluster of which one server falls sick.
struct Ward {
    cluster: Cluster,
    servers: Vec<Server>,
    patient: usize,
    kind: Kind,
    clock: Arc<Clock>,
    random: SmallRng,
}

impl Ward {
    async fn start(programs: &Programs, kind: Kind, seed: u64) -> anyhow::Result<Self> {
        let clock = Arc::new(Clock::new());
        let server_arguments = vec!["--max-connections".to_owned(), MAX_CONNECTIONS.to_string()];
        let plan = ClusterPlan { proxied: true, server_arguments, ..ClusterPlan::default() };
        let mut cluster = Cluster::start(programs.clone(), plan, Arc::clone(&clock)).await?;
        let servers = cluster.servers(SERVERS).await?;
        let mut random = SmallRng::seed_from_u64(seed);
        let patient = random.random_range(0..SERVERS);
        Ok(Self { cluster, servers, patient, kind, clock, random })
    }

    fn callers(&mut self, policy: Balance, pace: Pace) -> anyhow::Result<Callers> {
        let is_open = matches!(pace, Pace::Open(_));
        let load = Load {
            registry: format!("http://{}", self.cluster.registry()),
            pace,
            timeout: if is_open { TIMEOUT } else { CLOSED_TIMEOUT },
            // In a closed loop a caller whose call must not be repeated waits for its timeout, so that such
            // calls say how long that is.
            methods: if is_open {
                vec![Method::RunFor, Method::LookFor]
            } else {
                vec![Method::LookFor]
            },
            takes: TAKES..TAKES + 1,
            policies: vec![policy],
            notes_attempts: is_open,
        };
        Callers::start(load, Arc::clone(&self.clock), self.random.random())
    }

    /// All policies side by side.
    async fn open(&mut self, time: Duration, trial: &mut Trial) -> anyhow::Result<Vec<OpenRow>> {
        let callers: Vec<_> = Balance::ALL
            .iter()
            .map(|(_, policy)| self.callers(*policy, Pace::Open(RATE)))
            .collect::<Result<_, _>>()?;
        for server in &self.servers {
            self.cluster.reaches(server).await?;
        }
        let times = self.course(time).await?;
        let mut rows = Vec::new();
        let mut all = Vec::new();
        for callers in callers {
            let called = callers.end().await?;
            let row = OpenRow::of(&called, &times, self.port(), SERVERS);
            if !row.broken().is_empty() {
                self.tell_errors(&called, trial);
            }
            rows.push(row);
            all.extend(called.outcomes);
        }
        let executions = self.cluster.ledgers().executions()?;
        let verdict = judge(all.len() as u64, &all, Some(&executions));
        trial.broken.extend(verdict.broken().iter().map(|it| format!("{}: {it}", self.kind)));
        Ok(rows)
    }

    async fn closed(
        &mut self,
        policy: Balance,
        time: Duration,
        trial: &mut Trial,
    ) -> anyhow::Result<ClosedRow> {
        let callers = self.callers(policy, Pace::Closed(CALLERS))?;
        let times = self.course(time).await?;
        let called = callers.end().await?;
        self.tell_errors(&called, trial);
        Ok(ClosedRow::of(&called, &times, self.port()))
    }

    fn tell_errors(&self, called: &Called, trial: &mut Trial) {
        let errors = called.errors.iter().take(MAX_ERRORS);
        trial.errors.extend(errors.map(|(_, error)| format!("{}: {error}", self.kind)));
    }

    /// It is well, falls sick, and recovers.
    async fn course(&mut self, time: Duration) -> anyhow::Result<Times> {
        let patient = self.servers.get_mut(self.patient).context("no such server")?;
        // Until connections are open and methods known.
        tokio::time::sleep(WELL / 3).await;
        let well = self.clock.now();
        tokio::time::sleep(WELL - WELL / 3).await;
        let from = self.clock.now();
        let sickness = self.kind.befall(patient).await?;
        let sick = self.clock.now();
        tokio::time::sleep(time.saturating_sub(WELL + WELL_AGAIN)).await;
        let to = self.clock.now();
        sickness.end(patient).await?;
        let again = self.clock.now();
        tokio::time::sleep(WELL_AGAIN).await;
        let timeout = TIMEOUT.as_micros() as u64;
        Ok(Times { well, from, sick, to, again, end: self.clock.now(), timeout })
    }

    fn port(&self) -> u16 {
        self.servers.get(self.patient).map_or(0, |patient| patient.address().port())
    }
}
