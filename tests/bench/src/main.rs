//! `rpc-bench`: one command measures, prints a table and writes it as JSON.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rpc_bench::plan::{Group, Typed};
use rpc_bench::{burn, many, plot, raw, round, scenarios};

/// Five rounds of everything take five to six minutes with these.
const RPC_WINDOW: Duration = Duration::from_secs(2);
const REGISTRY_WINDOW: Duration = Duration::from_secs(1);
const GROWTH_WINDOW: Duration = Duration::from_secs(1);
const OVERLOAD_WINDOW: Duration = Duration::from_secs(5);

#[expect(clippy::print_stderr, reason = "a command prints its error")]
fn main() -> ExitCode {
    let done = match Typed::parse().group {
        Group::Rpc(options) => round::run("rpc", &scenarios::rpc(), RPC_WINDOW, options),
        Group::Tls(options) => scenarios::tls()
            .and_then(|scenarios| round::run("tls", &scenarios, RPC_WINDOW, options)),
        Group::Http(options) => round::run("http", &scenarios::http(), RPC_WINDOW, options),
        Group::Registry(options) => {
            round::run("registry", &scenarios::registry(), REGISTRY_WINDOW, options)
        }
        Group::Overload(options) => scenarios::overload(&options).and_then(|scenarios| {
            round::run("overload", &scenarios, OVERLOAD_WINDOW, options.options)
        }),
        Group::Growth(options) => {
            round::run("growth", &scenarios::growth(), GROWTH_WINDOW, options)
        }
        Group::Plot(options) => plot::draw(&options).map(|()| true),
        Group::Many(options) => many::serve(&options).map(|()| true),
        Group::Burn(options) => burn::serve(&options).map(|()| true),
        Group::Raw(options) => raw::serve(options).map(|()| true),
        Group::Axum => raw::serve_http().map(|()| true),
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
