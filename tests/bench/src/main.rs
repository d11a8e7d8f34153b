//! `rpc-bench`: one command measures, prints a table and writes it as JSON.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rpc_bench::plan::{Group, Typed};
use rpc_bench::{raw, round, scenarios};

/// Five rounds of everything take five to six minutes with these.
const RPC_WINDOW: Duration = Duration::from_secs(2);
const REGISTRY_WINDOW: Duration = Duration::from_secs(1);

#[expect(clippy::print_stderr, reason = "a command prints its error")]
fn main() -> ExitCode {
    let done = match Typed::parse().group {
        Group::Rpc(options) => round::run("rpc", &scenarios::rpc(), RPC_WINDOW, options),
        Group::Registry(options) => {
            round::run("registry", &scenarios::registry(), REGISTRY_WINDOW, options)
        }
        Group::Raw(options) => raw::serve(options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
