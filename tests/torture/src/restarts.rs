//! Servers that are restarted in turn, in place, while they are called: nobody may notice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::callers::{Called, Callers, Clock, Load, OlderCallers};
use crate::cluster::{Cluster, ClusterPlan, Ending, Server};
use crate::judge::judge;
use crate::outcome::{Fate, Method, Outcome};
use crate::process::Programs;
use crate::trial::Trial;

/// Servers.
const SERVERS: usize = 3;
/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Older clients look at the list this often: until then, they call the two servers they know of.
const OLDER_LIST: Duration = Duration::from_secs(3);
/// How long after a server's end its callers may not know of it, in microseconds, beside the round trip.
const NOT_KNOWN: u64 = 50_000;

/// Calls that failed without need and are named.
const NAMED: usize = 5;

/// What is restarted, how often, and who calls it.
#[derive(Debug, Clone, Args)]
pub struct RestartsOptions {
    /// Restarts
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    pub count: u32,
    /// Calls per second [default: 2000; 300 by or of older programs]
    #[arg(long, value_name = "NUMBER")]
    pub rate: Option<f64>,
    /// Round trip between any two processes, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    pub rtt: u64,
    /// By SIGKILL instead of SIGTERM
    #[arg(long)]
    pub kill: bool,
    /// Two of the three servers are of the older system
    #[arg(long, conflicts_with = "rtt")]
    pub old_servers: bool,
    /// The callers are of the older system
    #[arg(long)]
    pub old_clients: bool,
}

impl RestartsOptions {
    fn rate(&self) -> f64 {
        let usual = if self.old_servers || self.old_clients { 300.0 } else { 2000.0 };
        self.rate.unwrap_or(usual)
    }
}

/// Who calls.
enum Anyone {
    Ours(Callers),
    Older(Box<OlderCallers>),
}

impl Anyone {
    async fn end(self) -> anyhow::Result<Called> {
        match self {
            Self::Ours(callers) => callers.end().await,
            Self::Older(callers) => callers.end().await,
        }
    }
}

/// Restarts servers, and judges what their callers were told.
///
/// # Errors
/// The trial could not be made.
pub async fn restarts(
    programs: Programs,
    options: &RestartsOptions,
    seed: u64,
) -> anyhow::Result<Trial> {
    ensure!(options.rate() > 0.0, "--rate must be more than 0");
    let mut random = SmallRng::seed_from_u64(seed);
    let clock = Arc::new(Clock::new());
    let round_trip = Duration::from_millis(options.rtt);
    let plan = ClusterPlan { round_trip, ..ClusterPlan::default() };
    let mut cluster = Cluster::start(programs.clone(), plan, Arc::clone(&clock)).await?;
    let mut servers = Vec::new();
    for number in 0..SERVERS {
        let is_older = options.old_servers && number > 0;
        let server =
            if is_older { cluster.older_server().await? } else { cluster.server().await? };
        cluster.lists(&server, None).await?;
        servers.push(server);
    }
    let callers = match options.old_clients {
        true => {
            let registry = cluster.registry().to_string();
            let callers = OlderCallers::start(&programs, &registry, options.rate()).await?;
            Anyone::Older(Box::new(callers))
        }
        false => {
            let registry = format!("http://{}", cluster.registry());
            let mut load = Load::of_all_kinds(registry, options.rate(), TIMEOUT);
            if options.old_servers {
                // They offer no other.
                load.methods = vec![Method::Run];
            }
            Anyone::Ours(Callers::start(load, Arc::clone(&clock), random.random())?)
        }
    };
    for server in &servers {
        cluster.reaches(server).await?;
    }
    let began = Instant::now();
    let signal = if options.kill { Signal::KILL } else { Signal::TERM };
    let first = random.random_range(0..SERVERS);
    let mut endings = Vec::new();
    for restart in 0..options.count as usize {
        let server = &mut servers[(first + restart) % SERVERS];
        endings.push(one(&cluster, server, signal).await?);
        // So that restarts meet calls, heartbeats and looks at the list in any order.
        let pause = Duration::from_millis(random.random_range(0..100));
        let of_list = if options.old_clients { OLDER_LIST } else { Duration::ZERO };
        tokio::time::sleep(of_list + pause).await;
    }
    let took = began.elapsed().as_secs_f64();
    let called = callers.end().await?;
    let executions = cluster.ledgers().executions()?;
    let mut trial = Trial::of(&called, &judge(called.calls, &called.outcomes, Some(&executions)));
    trial.count(
        endings.len(),
        if options.kill { "restarts by SIGKILL" } else { "restarts by SIGTERM" },
    );
    trial.count(format!("{took:.1}"), "seconds");
    promises(&mut trial, options, &called, &endings);
    Ok(trial)
}

/// Restarts one server, and waits until it is listed and called again.
async fn one(cluster: &Cluster, server: &mut Server, signal: Signal) -> anyhow::Result<Ending> {
    let before = cluster.lists(server, None).await?;
    let ending = cluster.end(server, signal).await?;
    cluster.start_again(server).await?;
    cluster.lists(server, before).await?;
    cluster.reaches(server).await?;
    Ok(ending)
}

fn promises(trial: &mut Trial, options: &RestartsOptions, called: &Called, endings: &[Ending]) {
    let failed = || called.outcomes.iter().filter(|outcome| outcome.fate != Fate::Ok);
    let failures = failed().count() as u64;
    if !options.old_clients {
        trial.sometimes(called.retries, "retries");
    }
    if options.old_clients && !options.kill {
        let share = failures as f64 / called.calls.max(1) as f64;
        trial.count(format!("{:.2} %", share * 100.0), "of the calls failed");
        // They choose from a list that is up to 3 s old, and never again.
        if share > 0.001 {
            trial.broken.push("more than 0.1 % of the calls of older clients failed".to_owned());
        }
        return;
    }
    if options.kill || options.old_servers {
        let elsewhere = failed().filter(|outcome| !was_in_flight(outcome, endings, options.rtt));
        let elsewhere: Vec<_> = elsewhere.map(|outcome| about(outcome, endings)).collect();
        let count = elsewhere.len() as u64;
        trial.never(count, "calls failed that were not in flight on a server that ended");
        trial.errors.splice(0..0, elsewhere.into_iter().take(NAMED));
        for method in Method::ALL.into_iter().filter(|method| method.may_repeat()) {
            let failed = failed().filter(|outcome| outcome.method == method).count();
            let what = format!("calls of {} failed, which may be repeated", method.name());
            trial.never(failed as u64, &what);
        }
    } else {
        trial.never(failures, "calls failed");
    }
}

/// Whether a call was in flight on a server while it ended, as far as its caller could know.
fn was_in_flight(outcome: &Outcome, endings: &[Ending], rtt: u64) -> bool {
    let known = NOT_KNOWN + rtt * 1000;
    endings.iter().any(|ending| {
        outcome.port == ending.port
            && outcome.due <= ending.to + known
            && outcome.ended() >= ending.from
    })
}

/// When a call was made, and when its server ended last before.
fn about(outcome: &Outcome, endings: &[Ending]) -> String {
    let Outcome { id, method, due, port, .. } = outcome;
    let last =
        endings.iter().rfind(|ending| ending.port == *port && ending.from <= outcome.ended());
    let server = match last {
        Some(ending) => {
            format!("asked to end at {} us, had ended at {} us", ending.from, ending.to)
        }
        None => "never asked to end before".to_owned(),
    };
    let (method, ended) = (method.name(), outcome.ended());
    format!("{method} {id}, from {due} to {ended} us: its server ({port}) was {server}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Why;

    #[test]
    fn a_call_was_in_flight_if_it_began_before_the_end_was_known_and_ended_after_it_began() {
        let endings = [Ending { port: 7, from: 1_000_000, to: 1_200_000 }];
        let fate = Fate::Failed { why: Why::Lost, may_have_run: true };
        let call = |port, due, took| {
            let outcome = Outcome { id: 1, method: Method::Run, due, took, port, fate };
            was_in_flight(&outcome, &endings, 10)
        };
        assert!(call(7, 999_000, 2_000) && call(7, 1_255_000, 5_000));
        assert!(!call(8, 999_000, 2_000), "on another server");
        assert!(!call(7, 900_000, 2_000), "it had ended");
        assert!(!call(7, 1_261_000, 5_000), "the end was known");
    }
}
