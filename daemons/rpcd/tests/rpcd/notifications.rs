//! `rpcd call --notify`: sent, and nothing more is said.

use std::time::{Duration, Instant};

use crate::process::{Daemon, rpcd};
use crate::site::Site;

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

#[test]
fn that_the_server_takes_no_calls_of_who_asks_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (tokens, settings) = (folder.path().join("tokens"), folder.path().join("s.ini"));
    let digest = "d3de6cfa1209ab5d9e14e6438243e5bedb51129a569cb03c7facaabc54d50e4a";
    std::fs::write(&tokens, format!("ci call sha256:{digest}\n")).unwrap();
    std::fs::set_permissions(&tokens, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&settings, format!("[security]\ntokens = {}\n", tokens.display())).unwrap();
    let (_server, port) = Daemon::serve(&format!("--no-registry --config {}", settings.display()));
    for target in [format!("-p {port}"), format!("-i http://127.0.0.1:{port}/rpc")] {
        let call = rpcd(&format!("call {target} echo 1"));
        let refused = call.stderr.trim_end();
        assert!(call.code == 1 && refused.contains("this needs a token"), "{call:?}");
        for further in ["", " --repeat 3"] {
            let run = rpcd(&format!("call {target} --notify echo 1{further}"));
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
            assert!(run.stderr.starts_with(refused), "{run:?} and {refused}");
            assert!(run.stderr.contains("; the notification was sent"), "{run:?}");
        }
    }
}

#[test]
fn a_method_that_no_instance_of_the_service_has_is_said_to_be_missing() {
    let site = Site::start();
    for service in ["", " --service site"] {
        let run = site.run(&format!("call --notify nope{service} 1 2"));
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{service}: {run:?}");
        assert!(run.stderr.contains("offers \"nope\": asked 1 of 1"), "{service}: {}", run.stderr);
    }
    let run = site.run("call --notify echo --service site 1");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn arguments_that_the_server_would_refuse_are_not_sent() {
    let (_server, port) = Daemon::serve("--no-registry");
    for (words, said) in [
        ("add 1", "the argument b of add is missing; see rpcd describe add"),
        ("add 1 2 3 4", "add takes at most 3 arguments, not 4; see"),
        ("add 1 b=2 d=3", "add has no argument d"),
        ("add -d [1]", "the argument b of add is missing; see rpcd describe add"),
    ] {
        for line in [
            format!("call -p {port} --notify {words}"),
            format!("call -i http://127.0.0.1:{port}/rpc --notify {words}"),
            format!("call -p {port} {words}"),
        ] {
            let run = rpcd(&line);
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{line}: {run:?}");
            assert!(run.stderr.contains(said), "{line}: {}", run.stderr);
        }
    }
    let stats = rpcd(&format!("call -p {port} rpc.stats --json")).stdout;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    let add = stats["methods"].as_array().unwrap().iter().find(|it| it["name"] == "add");
    assert!(add.is_none_or(|add| add["calls"] == 0), "{stats}");
}
