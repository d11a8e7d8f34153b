//! New servers take the places of old ones, on addresses of their own, while they are called: nobody may notice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use rustix::process::Signal;
use tokio::time::Instant;

use crate::callers::{Callers, Clock, Load};
use crate::cluster::{Cluster, ClusterPlan};
use crate::judge::judge;
use crate::process::Programs;
use crate::trial::Trial;

/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is replaced, how, and how often.
#[derive(Debug, Clone, Args)]
pub struct ReplaceOptions {
    /// Replacements
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    pub count: u32,
    /// From the listing of the new servers to the end of the old ones
    #[arg(long, value_parser = humantime::parse_duration, default_value = "0s", value_name = "TIME")]
    pub gap: Duration,
    /// Servers that are replaced at once
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    pub at_once: usize,
    /// Servers there are [default: those that are replaced at once]
    #[arg(long, value_name = "NUMBER")]
    pub servers: Option<usize>,
    /// Calls per second
    #[arg(long, default_value_t = 2000.0, value_name = "NUMBER")]
    pub rate: f64,
    /// Round trip between any two processes, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS")]
    pub rtt: u64,
}

/// Replaces servers, and judges what their callers were told.
///
/// # Errors
/// The trial could not be made.
pub async fn replace(
    programs: Programs,
    options: &ReplaceOptions,
    seed: u64,
) -> anyhow::Result<Trial> {
    let (at_once, servers) = (options.at_once, options.servers.unwrap_or(options.at_once));
    ensure!(options.rate > 0.0, "--rate must be more than 0");
    ensure!((1..=servers).contains(&at_once), "--at-once must be 1 to {servers}");
    let clock = Arc::new(Clock::new());
    let round_trip = Duration::from_millis(options.rtt);
    let plan = ClusterPlan { round_trip, ..ClusterPlan::default() };
    let mut cluster = Cluster::start(programs, plan, Arc::clone(&clock)).await?;
    let mut servers = cluster.servers(servers).await?;
    let registry = format!("http://{}", cluster.registry());
    let load = Load::of_all_kinds(registry, options.rate, TIMEOUT);
    let callers = Callers::start(load, clock, seed)?;
    for server in &servers {
        cluster.reaches(server).await?;
    }
    let began = Instant::now();
    for _ in 0..options.count {
        let new = cluster.servers(at_once).await?;
        tokio::time::sleep(options.gap).await;
        let mut old: Vec<_> = servers.drain(..at_once).collect();
        // All are asked before the first has ended.
        for server in &old {
            server.process().signal(Signal::TERM)?;
        }
        for server in &mut old {
            cluster.ended(server).await?;
        }
        for server in &new {
            cluster.reaches(server).await?;
        }
        servers.extend(new);
    }
    let took = began.elapsed().as_secs_f64();
    let called = callers.end().await?;
    let executions = cluster.ledgers().executions()?;
    let verdict = judge(called.calls, &called.outcomes, Some(&executions));
    let mut trial = Trial::of(&called, &verdict);
    trial.count(options.count as usize * at_once, "servers replaced");
    trial.count(format!("{took:.1}"), "seconds");
    trial.sometimes(called.retries, "retries");
    trial.never(verdict.failures(), "calls failed");
    Ok(trial)
}
