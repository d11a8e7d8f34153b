//! `rpcd`: parse the command line, plan, run, exit code.

use std::process::ExitCode;

use rpc_settings::Sources;
use rpcd::{Plan, Typed, output, run};

fn main() -> ExitCode {
    output::report_panics();
    let done = Typed::parse(std::env::args_os())
        .and_then(|typed| Plan::new(typed, Sources::of_process()))
        .and_then(run::run);
    output::finish(done)
}
