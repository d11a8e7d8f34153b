//! `rpcd`: what was typed, what it means, doing it, and the exit code.

use std::process::ExitCode;

use rpc_host::config;
use rpcd::{Plan, Typed, output};

fn main() -> ExitCode {
    output::report_panics();
    let done = Typed::parse(std::env::args_os())
        .and_then(|typed| Plan::new(typed, config::environment()))
        .and_then(Plan::run);
    output::finish(done)
}
