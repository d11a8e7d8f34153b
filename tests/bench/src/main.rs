//! `rpc-bench`: one command measures, prints a table and writes it as JSON.

use std::process::ExitCode;

use clap::Parser;
use rpc_bench::plan::{Group, Typed};
use rpc_bench::{raw, round, scenarios};

#[expect(clippy::print_stderr, reason = "a command's last word on what went wrong")]
fn main() -> ExitCode {
    let done = match Typed::parse().group {
        Group::Rpc(options) => round::run("rpc", &scenarios::rpc(), options),
        Group::Registry(options) => round::run("registry", &scenarios::registry(), options),
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
