//! `rpcd`: parse the command line, plan, run, exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use rpc_settings::Sources;
use rpcd::{Plan, Typed, output, run};

fn main() -> ExitCode {
    output::report_panics();
    let line: Vec<OsString> = std::env::args_os().collect();
    let json = Typed::wants_json(&line);
    let done = Typed::parse(line)
        .and_then(|typed| Plan::new(typed, Sources::of_process()))
        .and_then(run::run);
    output::finish(done, json)
}
