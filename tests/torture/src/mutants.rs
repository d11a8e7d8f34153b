//! Programs with planted defects, each of which one of the trials must find.

mod shared;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rpc_wire::mutants::VARIABLE;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::process::Programs;
use crate::trial::Trial;

/// The longest time of a trial.
const LONGEST: Duration = Duration::from_secs(180);

/// Trials until a defect counts as missed: when a process is killed is chance, whatever the seed.
const TRIES: usize = 3;

/// A trial: its command line, and the defects that it must find.
struct Finder {
    command: &'static [&'static str],
    finds: &'static [&'static str],
}

/// Commands without processes.
const SIMULATED: [&str; 1] = ["histories"];

/// Short trials, which find nothing without a defect. The longest first, since several run at the same time.
const FINDERS: [Finder; 10] = [
    Finder {
        command: &["sick", "--kind", "half-open", "--seconds", "20", "--closed-seconds", "0"],
        finds: &["ejection-never-ends", "deadline-ignored"],
    },
    // Pings make up for it where one is silent.
    Finder {
        command: &["sick", "--kind", "resetting", "--seconds", "20", "--closed-seconds", "0"],
        finds: &["ejects-nobody"],
    },
    Finder {
        command: &["sick", "--kind", "refusing", "--seconds", "20", "--closed-seconds", "0"],
        finds: &["never-retries"],
    },
    Finder {
        command: &["registry", "--trouble", "empty", "--longest", "6s"],
        finds: &["empty-list-believed"],
    },
    Finder { command: &["restarts", "--count", "8", "--kill"], finds: &["retry-after-execution"] },
    Finder {
        command: &["restarts", "--count", "8", "--rtt", "10"],
        finds: &["drain-without-reading"],
    },
    Finder { command: &["storm"], finds: &["retry-budget-ignored"] },
    Finder {
        command: &["registry", "--trouble", "late-farewell"],
        finds: &["late-farewell-removes"],
    },
    Finder { command: &["registry", "--trouble", "killed-server"], finds: &["probe-says-alive"] },
    Finder { command: &["histories", "--steps", "60000"], finds: &["expiry-by-wall-clock"] },
];

/// Which defects.
#[derive(Debug, Clone, Args)]
pub struct MutantsOptions {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// So many trials run at the same time, which mostly wait
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    pub at_once: usize,
}

/// Has each defect found. Who found it is told to `say`.
///
/// # Errors
/// A trial could not be made.
pub async fn mutants(
    programs: Programs,
    options: &MutantsOptions,
    seed: u64,
    say: impl Fn(&str),
) -> anyhow::Result<Trial> {
    ensure!(
        cfg!(feature = "mutants"),
        "build with the defects: cargo build -p rpcd -p rpc-torture --features rpc-torture/mutants"
    );
    let (began, mut trial) = (Instant::now(), Trial::default());
    let places = Arc::new(Semaphore::new(options.at_once.max(1)));
    let mut running = JoinSet::new();
    for finder in FINDERS.into_iter().chain(shared::FINDERS) {
        let is_wanted = |name: &&str| options.name.as_deref().is_none_or(|only| only == *name);
        let names: Vec<_> = finder.finds.iter().copied().filter(is_wanted).collect();
        // Without a defect it finds nothing: otherwise what it finds says nothing of the defect.
        let without = (!names.is_empty()).then_some(None);
        for mutant in without.into_iter().chain(names.into_iter().map(Some)) {
            let (programs, places) = (programs.clone(), Arc::clone(&places));
            running.spawn(async move {
                let _place = places.acquire_owned().await?;
                let tries = if mutant.is_some() { TRIES } else { 1 };
                let mut found = None;
                for seed in (seed..).take(tries) {
                    found = run(&programs, finder.command, seed, mutant).await?;
                    if found.is_some() {
                        break;
                    }
                }
                anyhow::Ok((finder.command.join(" "), mutant, found))
            });
        }
    }
    ensure!(!running.is_empty(), "there is no such defect");
    let mut found = 0;
    while let Some(done) = running.join_next().await {
        match done.context("a trial panicked")?? {
            (command, None, Some(what)) => {
                trial.broken.push(format!("{command} finds something without a defect: {what}"));
            }
            (_, None, None) => {}
            (command, Some(name), Some(what)) => {
                found += 1;
                say(&format!("{name:<24} {command}: {what}"));
            }
            (command, Some(name), None) => {
                trial.broken.push(format!("{name} was not found by {command}"));
            }
        }
    }
    trial.count(found, "defects found");
    trial.count(format!("{:.1}", began.elapsed().as_secs_f64()), "seconds");
    Ok(trial)
}

/// The first promise that the trial found broken.
async fn run(
    programs: &Programs,
    command: &[&str],
    seed: u64,
    mutant: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let mut trial = Command::new(&programs.torture);
    trial.args(command).arg("--seed").arg(seed.to_string());
    if !SIMULATED.contains(&command[0]) {
        trial.arg("--rpcd").arg(&programs.rpcd);
    }
    trial.env_remove(VARIABLE).envs(mutant.map(|name| (VARIABLE, name)));
    let done = trial.stdin(Stdio::null()).kill_on_drop(true).output();
    let done = tokio::time::timeout(LONGEST, done).await.context("a trial does not end")??;
    if done.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Ok(Some(said.lines().next().unwrap_or("it failed without a word").to_owned()))
}
