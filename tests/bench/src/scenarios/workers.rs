//! A call through a program in Python, beside a method of the server's own.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::calls::MANY;
use crate::clients::{Shape, bare};
use crate::exchange::Exchange;
use crate::measure::Figures;
use crate::round::{Bench, Round, Scenario};

/// Its method `plus` adds its arguments.
const PROGRAM: &str = include_str!("worker.py");

/// One call at a time, and many.
pub fn all() -> Vec<Scenario> {
    let scenario = |key: &str, title: &str, measure: fn(&mut Round<'_>) -> anyhow::Result<()>| {
        Scenario { key: key.to_owned(), title: title.to_owned(), measure: Box::new(measure) }
    };
    vec![
        scenario("Y1", "a call through a Python worker, one at a time", |round| {
            measure(round, Shape::connections(1), "1")
        }),
        scenario("Y64", "calls through a Python worker, 64 in flight", |round| {
            measure(round, Shape::in_flight(MANY), "64")
        }),
    ]
}

fn measure(round: &mut Round<'_>, shape: Shape, concurrency: &str) -> anyhow::Result<()> {
    const WORKER: &str = "rpcd, a Python worker";
    let add = Exchange::add_extended()?;
    round.baseline("rpcd, its own method", |bench| against(bench, &[], &add, shape))?;
    if !has_python() {
        round.skip(WORKER, "there is no python3");
        return Ok(());
    }
    round.row(WORKER, |bench| {
        let folder = tempfile::tempdir().context("creating a folder for the worker")?;
        let program = folder.path().join("worker.py");
        fs::write(&program, PROGRAM).context("writing the worker")?;
        let command = format!("python3 '{}'", program.display());
        let arguments = ["--worker", &command, "--worker-concurrency", concurrency];
        against(bench, &arguments, &Exchange::plus_extended()?, shape)
    })
}

fn against(
    bench: &Bench,
    arguments: &[&str],
    exchange: &Exchange,
    shape: Shape,
) -> anyhow::Result<Figures> {
    let server = bench.rpcd(&[&["serve", "--no-registry"], arguments].concat())?;
    let window = bench.window(&server);
    bench.load(|| bare::run(server.address(), std::slice::from_ref(exchange), shape, window))
}

fn has_python() -> bool {
    let mut python = Command::new("python3");
    let version = python.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
