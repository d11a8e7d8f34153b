//! Instructions per call, compared with the recorded ones: `cargo run --profile instructions -p
//! rpc-instructions`. They do not depend on the load of the machine; `RPCD_UPDATE=1` records new
//! ones.
//!
//! Every count is the difference between a short run and a longer one, so that the program's start
//! cancels out. Hand-made and not gungraun: that is where `server` and `client` count one of two
//! processes that talk over a socket, and the record is committed, so that better counts are kept.
//! In reading order:
//!
//! - `work`: work counted in a process that does nothing else.
//! - `server`, `client`: calls of a whole server, and of a client, over a socket.
//! - `valgrind`: counts the instructions.
//! - `record`: the recorded counts, and the report of a difference.

mod client;
mod record;
mod server;
mod valgrind;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use record::Record;

/// Repetitions in the short run.
const FEW: usize = 128;
/// Further repetitions in the longer run: many, so that occasional work is averaged.
const MORE: usize = 1024;
/// Timeout of a reply, under valgrind and on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["work", name, times] => {
            let found = work::ALL.iter().find(|(known, _)| *known == name);
            let (_, work) = found.with_context(|| format!("unknown work {name:?}"))?;
            work(times.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["call", address, times, at_once] => {
            client::call(address, times.parse()?, at_once.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        ["serve"] => server::serve().map(|()| ExitCode::SUCCESS),
        _ => bail!("no arguments are expected (set RPCD_UPDATE=1 to record new counts)"),
    }
}

#[expect(clippy::print_stdout, reason = "the table is the product")]
fn compare() -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        bail!("this build is not optimised: cargo run --profile instructions -p rpc-instructions");
    }
    valgrind::check()?;
    let mut counted = Record::default();
    for (name, _) in work::ALL {
        counted.add(name, per_time(|times| work_in_a_process(name, times))?);
    }
    for (name, at_once) in [("server_call", 1), ("server_call_of_64", work::PIPELINED)] {
        counted.add(name, per_time(|times| server::calls(times, at_once))?);
    }
    for (name, at_once) in [("client_call", 1), ("client_call_of_64", work::PIPELINED)] {
        counted.add(name, per_time(|times| client::calls(times, at_once))?);
    }
    if std::env::var_os("RPCD_UPDATE").is_some() {
        counted.write()?;
        println!("{counted}\nwritten to {}", record::PATH);
        return Ok(ExitCode::SUCCESS);
    }
    let (text, agrees) = Record::read()?.compare(&counted);
    println!("{text}");
    // Other processors have other instructions.
    let comparable = cfg!(target_arch = "x86_64");
    if !comparable {
        println!("Not compared: the recorded counts are of x86-64.");
    }
    Ok(if agrees || !comparable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The instructions of one repetition.
fn per_time(count: impl Fn(usize) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
    let more = count(FEW + MORE)?.saturating_sub(count(FEW)?);
    let times = u64::try_from(MORE)?;
    Ok((more + times / 2) / times)
}

fn work_in_a_process(name: &str, times: usize) -> anyhow::Result<u64> {
    let mut command = valgrind::command(std::env::current_exe()?);
    let output = command.args(["work", name, &times.to_string()]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name} failed:\n{errors}");
    }
    valgrind::instructions(&errors)
}
