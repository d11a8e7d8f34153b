//! `rpc-torture`: one command tortures a part of the system, prints its seed and what it came to.

use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser};
use rpc_torture::mutants::mutants;
use rpc_torture::plan::{Options, PlantedOptions, Torture, Trying, Typed};
use rpc_torture::process::{self, Programs};
use rpc_torture::registries::registries;
use rpc_torture::registry::registry;
use rpc_torture::replace::replace;
use rpc_torture::report::Report;
use rpc_torture::restarts::restarts;
use rpc_torture::runs::{self, Run};
use rpc_torture::sharing::sharing;
use rpc_torture::sick::sick;
use rpc_torture::soak::soak;
use rpc_torture::storm::storm;
use rpc_torture::trial::Trial;
use rpc_torture::{history, ledger_server, lives, store};

#[expect(clippy::print_stderr, reason = "a command prints its error")]
fn main() -> ExitCode {
    let done = match Typed::parse().torture {
        Torture::Disk(options) => {
            let disk = lives::runs(Arc::new(store::registry));
            torture("disk", &disk, lives::OPERATIONS, &options)
        }
        Torture::Histories(options) => {
            torture("histories", &history::runs(None), history::OPERATIONS, &options)
        }
        Torture::Planted(options) => planted(&options),
        Torture::Restarts(trying) => {
            trial(&trying, |programs, seed| restarts(programs, &trying.options, seed))
        }
        Torture::Replace(trying) => {
            trial(&trying, |programs, seed| replace(programs, &trying.options, seed))
        }
        Torture::Sick(trying) => {
            trial(&trying, |programs, seed| sick(programs, &trying.options, seed, line))
        }
        Torture::Storm(trying) => {
            trial(&trying, |programs, seed| storm(programs, &trying.options, seed))
        }
        Torture::Registry(trying) => {
            trial(&trying, |programs, seed| registry(programs, &trying.options, seed, line))
        }
        Torture::Registries(trying) => {
            trial(&trying, |programs, seed| registries(programs, &trying.options, seed, line))
        }
        Torture::Sharing(trying) => {
            trial(&trying, |programs, _| sharing(programs, &trying.options))
        }
        Torture::Soak(trying) => {
            trial(&trying, |programs, seed| soak(programs, &trying.options, seed, line))
        }
        Torture::Mutants(trying) => {
            trial(&trying, |programs, seed| mutants(programs, &trying.options, seed, line))
        }
        Torture::ServeLedger(options) => block_on(ledger_server::serve(options)),
        Torture::Child { parent, command } => process::child(parent, &command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A panic is a failure of a run, which says its text.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn block_on<T>(what: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(what)
}

#[expect(clippy::print_stdout, reason = "the report is the product")]
fn line(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stdout, reason = "the report is the product")]
fn trial<T: Args, F: Future<Output = anyhow::Result<Trial>>>(
    trying: &Trying<T>,
    run: impl FnOnce(Programs, u64) -> F,
) -> anyhow::Result<()> {
    let seed = trying.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let programs = Programs::find(std::env::current_exe()?, trying.rpcd.clone())?;
    let with_seed = || format!("seed {seed}");
    let trial = block_on(run(programs, seed)).with_context(with_seed)?;
    print!("{}", trial.report);
    trial.verdict().with_context(with_seed)
}

/// So many operations come to every situation, the rarest of them a dozen times.
const ENOUGH: u64 = 1_000_000;

#[expect(clippy::print_stdout, reason = "the report is the product")]
fn torture<R: Report>(
    name: &str,
    run: &Run<R>,
    operations: u64,
    options: &Options,
) -> anyhow::Result<()> {
    quiet_panics();
    let began = Instant::now();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let done = match options.run {
        Some(number) => {
            let mut report = R::default();
            runs::one(run, seed, number, &mut report).map(|()| report)
        }
        None => runs::all(Arc::clone(run), seed, options.steps.div_ceil(operations)),
    };
    let report = match done {
        Ok(report) => report,
        Err(failure) => {
            bail!("{failure}\nonce more: rpc-torture {name} --seed {seed} --run {}", failure.run)
        }
    };
    print!("{report}");
    println!("{:>12.1}  seconds", began.elapsed().as_secs_f64());
    let missing = report.missing();
    ensure!(
        options.run.is_some() || options.steps < ENOUGH || missing.is_empty(),
        "seed {seed}: this never happened, so it was not tested: {missing:?}"
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the product")]
fn planted(options: &PlantedOptions) -> anyhow::Result<()> {
    quiet_panics();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    for defect in store::planted::Defect::ALL {
        let run = lives::runs(Arc::new(move |disk| defect.open(disk)));
        find(defect, run, seed, options.steps.div_ceil(lives::OPERATIONS))?;
    }
    for defect in history::registry::Defect::ALL {
        let run = history::runs(Some(defect));
        find(defect, run, seed, options.steps.div_ceil(history::OPERATIONS))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the product")]
fn find<R: Report>(defect: impl Debug, run: Run<R>, seed: u64, count: u64) -> anyhow::Result<()> {
    match runs::all(run, seed, count) {
        Ok(_) => bail!("seed {seed}: {defect:?} was not found in {count} runs"),
        Err(failure) => println!("{defect:?}: run {}, {}", failure.run, failure.wrong),
    }
    Ok(())
}
