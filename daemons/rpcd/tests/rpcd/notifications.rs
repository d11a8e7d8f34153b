//! `rpcd call --notify`: sent, and nothing more is said.

use std::time::{Duration, Instant};

use crate::process::{Daemon, rpcd};

/// Calls of `echo` that the server has finished.
fn echoes(port: u16) -> u64 {
    let run = rpcd(&format!("call -p {port} rpc.stats --json"));
    let stats: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let methods = stats["methods"].as_array().unwrap();
    let echo = methods.iter().find(|method| method["name"] == "echo").unwrap();
    echo["calls"].as_u64().unwrap()
}

fn eventually_echoes(port: u16, count: u64) {
    let began = Instant::now();
    while echoes(port) != count {
        assert!(began.elapsed() < Duration::from_secs(20), "{} of {count}", echoes(port));
    }
}

#[test]
fn a_notification_is_sent_and_nothing_is_printed() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} --notify echo 1"));
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""));
    eventually_echoes(port, 1);
    let run = rpcd(&format!("call -i http://127.0.0.1:{port}/rpc --notify echo 1 --json"));
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""));
    eventually_echoes(port, 2);
    let run = rpcd(&format!("call -p {port} --notify echo 1 --repeat 50 --concurrency 8 -v"));
    assert_eq!((run.code, &*run.stdout), (0, ""), "{}", run.stderr);
    assert_eq!(run.stderr.matches("the only server; sent after").count(), 50, "{}", run.stderr);
    eventually_echoes(port, 52);
}

#[test]
fn what_would_be_lost_without_a_word_is_said_before() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} --notify nope 1"));
    assert_eq!((run.code, &*run.stdout), (0, ""));
    assert!(run.stderr.contains("nope is not among the server's methods"), "{}", run.stderr);
    let run = rpcd(&format!("call -p {port} --notify rpc.logs"));
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("call it without --notify"), "{}", run.stderr);
    let run = rpcd(&format!("call -p {port} --notify --stream ticks 1"));
    assert_eq!(run.code, 2, "{}", run.stderr);
    let run = rpcd("call -p 1 --notify echo 1");
    assert_eq!(run.code, 3, "{}", run.stderr);
}
