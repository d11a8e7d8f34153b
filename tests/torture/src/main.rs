//! `rpc-torture`: one command tortures a part of the system, prints its seed and what it came to.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{bail, ensure};
use clap::Parser;
use rpc_torture::plan::{DiskOptions, PlantedOptions, Torture, Typed};
use rpc_torture::report::Report;
use rpc_torture::runs;
use rpc_torture::store::planted::Defect;
use rpc_torture::store::{self, Open};

#[expect(clippy::print_stderr, reason = "a command prints its error")]
fn main() -> ExitCode {
    // A panic is a failure of a run, which says its text.
    std::panic::set_hook(Box::new(|_| {}));
    let done = match Typed::parse().torture {
        Torture::Disk(options) => disk(&options),
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

/// So many operations come to every situation.
const ENOUGH: u64 = 100_000;

#[expect(clippy::print_stdout, reason = "the report is the product")]
fn disk(options: &DiskOptions) -> anyhow::Result<()> {
    let began = Instant::now();
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let open: Open = Arc::new(store::registry);
    let done = match options.run {
        Some(run) => {
            let mut report = Report::default();
            runs::one(&open, seed, run, &mut report).map(|()| report)
        }
        None => runs::all(open, seed, options.steps),
    };
    let report = match done {
        Ok(report) => report,
        Err(failure) => {
            bail!("{failure}\nonce more: rpc-torture disk --seed {seed} --run {}", failure.run)
        }
    };
    print!("{report}");
    println!("{:>12.1}  seconds", began.elapsed().as_secs_f64());
    let missing = report.missing();
    ensure!(
        report.operations < ENOUGH || missing.is_empty(),
        "seed {seed}: this never happened, so it was not tested: {missing:?}"
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the list is the product")]
fn planted(options: &PlantedOptions) -> anyhow::Result<()> {
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    for defect in Defect::ALL {
        match runs::all(Arc::new(move |disk| defect.open(disk)), seed, options.steps) {
            Ok(_) => bail!("seed {seed}: {defect:?} was not found by {} operations", options.steps),
            Err(failure) => println!("{defect:?}: run {}: {}", failure.run, failure.wrong),
        }
    }
    Ok(())
}
