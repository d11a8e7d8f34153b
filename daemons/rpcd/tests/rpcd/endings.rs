//! How daemons shut down.

use std::process::Stdio;

use rustix::process::Signal;

use crate::process::{Daemon, command, read_all, rpcd};

#[test]
fn a_daemon_exits_0_on_a_signal() {
    for line in ["serve -p 0 -l 127.0.0.1 --no-registry", "registry -p 0 -l 127.0.0.1"] {
        for signal in [Signal::TERM, Signal::INT] {
            let mut daemon = Daemon::start(line);
            daemon.address();
            daemon.signal(signal);
            assert_eq!(daemon.exit_code(), 0, "{line}: {:#?}", daemon.all_lines());
        }
    }
}

#[test]
fn calls_in_flight_finish_before_the_exit() {
    let (mut server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    // Long enough to be seen in flight, although each check starts a process.
    let mut call = command(&["call", "-p", &port, "sleep", "4", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    in_flight(&port);
    server.signal(Signal::TERM);
    assert!(!read_all(&mut call).is_empty());
    assert_eq!(call.wait().unwrap().code(), Some(0));
    assert_eq!(server.exit_code(), 0);
}

#[test]
fn a_call_whose_server_is_killed_may_have_run() {
    let (server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let call = command(&["call", "-p", &port, "sleep", "60", "--timeout", "1m"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    in_flight(&port);
    server.signal(Signal::KILL);
    let output = call.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("the call may have run"), "{said}");
}

#[test]
fn a_second_signal_exits_at_once_with_130() {
    let (mut server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let mut call = command(&["call", "-p", &port, "sleep", "60", "--timeout", "1m"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    in_flight(&port);
    server.signal(Signal::TERM);
    server.line("shutting down; a second signal");
    server.signal(Signal::INT);
    assert_eq!(server.exit_code(), 130);
    let _ = call.wait();
}

#[test]
fn a_daemon_reachable_from_other_machines_warns_once() {
    for (line, expected) in [
        ("serve -p 0 --no-registry", 1),
        ("serve -p 0 -l :: --no-registry", 1),
        ("serve -p 0 -l ::1 --no-registry", 0),
        ("registry -p 0", 1),
        ("registry -p 0 -l 127.0.0.1", 0),
    ] {
        let mut daemon = Daemon::start(line);
        daemon.address();
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(), 0);
        let warnings = daemon.all_lines().iter().filter(|line| line.contains(" WARN ")).count();
        assert_eq!(warnings, expected, "{line}: {:#?}", daemon.all_lines());
    }
}

#[test]
fn log_files_are_complete_after_the_exit() {
    let dir = tempfile::tempdir().unwrap();
    let flags = format!("--no-registry --log-format json --log-dir {}", dir.path().display());
    let mut server = Daemon::start(&format!("serve -p 0 -l 127.0.0.1 {flags}"));
    server.line("listening");
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), 0);
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert!(messages.contains(&"listening"), "{messages:?}");
    assert!(
        messages.iter().any(|message| message.starts_with("shutting down; a second signal")),
        "{messages:?}"
    );
}

/// Waits until the server has a `sleep` call in flight.
fn in_flight(port: &str) {
    for _ in 0..200 {
        let stats = rpcd(&format!("call -p {port} rpc.stats")).stdout;
        let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
        let methods = stats["methods"].as_array().unwrap();
        let sleeping = methods.iter().find(|method| method["name"] == "sleep");
        if sleeping.is_some_and(|method| method["in_flight"] == 1) {
            return;
        }
    }
    panic!("the call did not start");
}
