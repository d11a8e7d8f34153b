//! `rpc-torture`: one command tortures a part of the system, prints its seed and what it came to.

use std::fmt::Debug;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, ensure};
use clap::Parser;
use rpc_torture::plan::{Options, PlantedOptions, Torture, Typed};
use rpc_torture::report::Report;
use rpc_torture::runs::{self, Run};
use rpc_torture::{history, lives, store};

#[expect(clippy::print_stderr, reason = "a command prints its error")]
fn main() -> ExitCode {
    // A panic is a failure of a run, which says its text.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match Typed::parse().torture {
        Torture::Disk(options) => {
            let disk = lives::runs(Arc::new(store::registry));
            torture("disk", &disk, lives::OPERATIONS, &options)
        }
        Torture::Histories(options) => {
            torture("histories", &history::runs(None), history::OPERATIONS, &options)
        }
        Torture::Planted(options) => planted(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
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
