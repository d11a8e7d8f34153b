//! All servers refuse at once, as where all are overloaded: their callers do not multiply the load.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rpc_client::RetryOptions;
use rpc_faults::ServerFault;
use tokio::time::sleep;

use crate::callers::{Callers, Clock, Load};
use crate::cluster::{Cluster, ClusterPlan};
use crate::judge::judge;
use crate::process::Programs;
use crate::trial::Trial;

/// Servers.
const SERVERS: usize = 3;
/// Calls per second.
const RATE: f64 = 400.0;
/// The timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long all are well at first, and at last.
const WELL: Duration = Duration::from_secs(1);

/// How long.
#[derive(Debug, Clone, Args)]
pub struct StormOptions {
    /// Seconds for which all servers refuse
    #[arg(long, default_value_t = 5, value_name = "NUMBER")]
    pub seconds: u64,
}

/// Has all servers refuse for a while, and counts the retries.
///
/// # Errors
/// The trial could not be made.
pub async fn storm(programs: Programs, options: &StormOptions, seed: u64) -> anyhow::Result<Trial> {
    let clock = Arc::new(Clock::new());
    let mut cluster = Cluster::start(programs, ClusterPlan::default(), Arc::clone(&clock)).await?;
    let mut servers = cluster.servers(SERVERS).await?;
    let load = Load::of_all_kinds(format!("http://{}", cluster.registry()), RATE, TIMEOUT);
    let clients = load.policies.len();
    let callers = Callers::start(load, clock, seed)?;
    for server in &servers {
        cluster.reaches(server).await?;
    }
    sleep(WELL).await;
    for server in &mut servers {
        server.process_mut().say(ServerFault::Refusing).await?;
    }
    sleep(Duration::from_secs(options.seconds)).await;
    for server in &mut servers {
        server.process_mut().say("").await?;
    }
    sleep(WELL).await;
    let called = callers.end().await?;
    let executions = cluster.ledgers().executions()?;
    let mut trial = Trial::of(&called, &judge(called.calls, &called.outcomes, Some(&executions)));
    let budget = budget(called.calls, clients);
    trial.sometimes(called.retries, "retries");
    trial.count(budget, "retries that the budgets allow");
    trial.never(called.retries.saturating_sub(budget), "retries beyond the budgets of the clients");
    Ok(trial)
}

/// How many retries so many calls may come to, together.
fn budget(calls: u64, clients: usize) -> u64 {
    let RetryOptions { ratio, burst, .. } = RetryOptions::default();
    (ratio * calls as f64).ceil() as u64 + u64::from(burst) * clients as u64
}
