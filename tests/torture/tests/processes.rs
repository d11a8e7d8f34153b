//! The harness with real processes: what it counts, and that it leaves none behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rpc_torture::process::Programs;
use rpc_torture::restarts::{RestartsOptions, restarts};

fn torture() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rpc-torture"))
}

#[tokio::test]
async fn killed_servers_are_started_again_and_every_execution_is_accounted_for() {
    let programs = Programs::find(torture(), None).unwrap();
    let options = RestartsOptions {
        // So many that some call surely has to be retried.
        count: 10,
        rate: None,
        rtt: 2,
        kill: true,
        old_servers: false,
        old_clients: false,
    };
    let trial = restarts(programs, &options, 1).await.unwrap();
    let broken: Vec<_> = trial.broken.iter().filter(|it| !it.contains("failed")).collect();
    assert!(broken.is_empty(), "{broken:?}\n{}", trial.report);
    assert!(trial.report.contains("10  restarts by SIGKILL"), "{}", trial.report);
}

#[test]
fn its_processes_end_with_it_even_if_it_is_killed() {
    let mut torture = Command::new(torture())
        .args(["restarts", "--count", "1000", "--rate", "10"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seed = String::new();
    BufReader::new(torture.stdout.take().unwrap()).read_line(&mut seed).unwrap();
    assert!(seed.starts_with("seed "), "{seed}");
    // A registry and three servers.
    let mut started = Vec::new();
    eventually("it has started four processes", || {
        started = children(torture.id());
        started.len() >= 4
    });
    torture.kill().unwrap();
    torture.wait().unwrap();
    eventually("they have ended", || !started.iter().any(|pid| is_running(pid)));
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes that this one has started, by any of its threads.
fn children(pid: u32) -> Vec<String> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |thread: std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
    };
    let all: Vec<_> = threads.flatten().map(of_thread).collect();
    all.iter().flat_map(|some| some.split_whitespace()).map(str::to_owned).collect()
}

/// Whether it is there and is no zombie.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}
