//! Programs with planted defects, each of which one of the trials must find.

mod shared;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use rpc_wire::mutants::VARIABLE;
use tokio::process::Command;

use crate::process::Programs;
use crate::trial::Trial;

/// The longest time of a trial.
const LONGEST: Duration = Duration::from_secs(180);

/// A trial: its command line, and the defects that it must find.
struct Finder {
    command: &'static [&'static str],
    finds: &'static [&'static str],
}

/// Commands without processes.
const SIMULATED: [&str; 1] = ["histories"];

/// Short trials, which find nothing without a defect.
const FINDERS: [Finder; 11] = [
    Finder { command: &["restarts", "--count", "8", "--kill"], finds: &["retry-after-execution"] },
    Finder {
        command: &["restarts", "--count", "8", "--rtt", "10"],
        finds: &["drain-without-reading"],
    },
    Finder { command: &["storm"], finds: &["retry-budget-ignored"] },
    Finder { command: &["histories", "--steps", "60000"], finds: &["expiry-by-wall-clock"] },
    Finder { command: &["registry", "--trouble", "acknowledged"], finds: &["ack-before-commit"] },
    Finder {
        command: &["registry", "--trouble", "late-farewell"],
        finds: &["late-farewell-removes"],
    },
    Finder { command: &["registry", "--trouble", "killed-server"], finds: &["probe-says-alive"] },
    Finder {
        command: &["registry", "--trouble", "empty", "--longest", "6s"],
        finds: &["empty-list-believed"],
    },
    Finder {
        command: &["sick", "--kind", "refusing", "--seconds", "30", "--closed-seconds", "0"],
        finds: &["never-retries"],
    },
    Finder {
        command: &["sick", "--kind", "half-open", "--seconds", "30", "--closed-seconds", "0"],
        finds: &["ejection-never-ends", "deadline-ignored"],
    },
    // Pings make up for it where one is silent.
    Finder {
        command: &["sick", "--kind", "resetting", "--seconds", "20", "--closed-seconds", "0"],
        finds: &["ejects-nobody"],
    },
];

/// Which defects.
#[derive(Debug, Clone, Args)]
pub struct MutantsOptions {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
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
    let mut trial = Trial::default();
    for finder in FINDERS.into_iter().chain(shared::FINDERS) {
        let wanted = |name: &&&str| options.name.as_deref().is_none_or(|only| only == **name);
        let names: Vec<_> = finder.finds.iter().filter(wanted).collect();
        if names.is_empty() {
            continue;
        }
        let command = finder.command.join(" ");
        // Without a defect it finds nothing: otherwise what it finds says nothing of the defect.
        if let Some(found) = run(&programs, finder.command, seed, None).await? {
            trial.broken.push(format!("{command} finds something without a defect: {found}"));
        }
        for name in names {
            match run(&programs, finder.command, seed, Some(name)).await? {
                Some(found) => say(&format!("{name:<24} {command}: {found}")),
                None => trial.broken.push(format!("{name} was not found by {command}")),
            }
        }
    }
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
