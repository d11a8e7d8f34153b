//! Standard output that cannot be written, and texts of strangers on it.

use std::fs::File;
use std::process::Stdio;

use rpc_tests::fakes::{self, Do, result};
use serde_json::{Value, json};

use crate::process::{Daemon, command, rpcd};
use crate::site::runtime;

/// Exit code and standard error of a run that writes to `out`.
fn writes_to(line: &str, out: impl Into<Stdio>) -> (Option<i32>, String) {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = command(&words).stdin(Stdio::null()).stdout(out).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let (_server, port) = Daemon::serve("--no-registry");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let read_only = || File::open("/dev/null").unwrap();
    for line in [
        format!("call add 1 2 -p {port}"),
        format!("methods -p {port}"),
        format!("health -p {port}"),
        "--help".to_owned(),
        "call --help".to_owned(),
        "help".to_owned(),
        "--version".to_owned(),
    ] {
        for (out, why) in [(full(), "No space left"), (read_only(), "Bad file descriptor")] {
            let (code, said) = writes_to(&line, out);
            assert_eq!(code, Some(1), "{line}: {said}");
            assert!(said.starts_with("rpcd: cannot write to standard output: "), "{line}: {said}");
            assert!(said.contains(why) && said.lines().count() == 1, "{line}: {said}");
        }
        // Where everything may be written to, it is no failure.
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        assert_eq!(writes_to(&line, null), (Some(0), String::new()), "{line}");
        // A reader that went away is none.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(writes_to(&line, writer), (Some(0), String::new()), "{line}");
    }
}

#[test]
fn texts_of_strangers_are_escaped_in_a_pipe_too() {
    let evil = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}";
    let threads = runtime();
    let document = json!({
        "openrpc": "1", "info": {"title": "t", "version": "1"},
        "methods": [{
            "name": "m", "summary": evil, "description": format!("{evil}\n{evil}"),
            "params": [{
                "name": format!("p{evil}"), "description": format!("{evil}\n{evil}"), "required": true,
                "schema": {"type": format!("{evil}"), "enum": [evil, {"a": evil}]},
            }],
            "result": {"name": "r", "schema": {"type": "object", "description": evil,
                "properties": {evil: {"type": "string"}}}},
        }],
    });
    let stats = json!({
        "uptime_ms": 1, "connections": 1, "connections_accepted": 1, "connections_refused": 0,
        "in_flight": 0, "malformed": 0, "log_lines_dropped": 0,
        "methods": [{"name": format!("{evil}\n"), "calls": 1, "errors": 0, "in_flight": 0,
            "unreadable_for_old_clients": 0, "p50_us": 1, "p95_us": 1, "p99_us": 1}],
    });
    let line = json!({
        "seq": 1, "at_ms": 1, "level": "error", "target": evil, "message": format!("{evil}\n{evil}"),
    });
    let peer = threads.block_on(fakes::extended(move |message| {
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => result(message, &document.to_string()),
            Some("rpc.stats") => result(message, &stats.to_string()),
            Some("rpc.logs") => format!(
                "{{\"id\":{},\"item\":{line}}}\n{{\"id\":{},\"end\":true}}\n",
                message["id"], message["id"]
            ),
            _ => result(message, &json!(evil).to_string()),
        })
    }));
    let port = peer.address.port();
    for line in ["methods", "describe m", "stats", "logs --no-follow"] {
        let run = rpcd(&format!("{line} -p {port}"));
        assert_eq!(run.code, 0, "{line}: {run:?}");
        assert!(
            run.stdout.contains("\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{202e}"),
            "{line}: {}",
            run.stdout
        );
        let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!run.stdout.contains(steers), "{line}: {:?}", run.stdout);
    }
    assert_eq!(rpcd(&format!("methods -p {port}")).stdout.lines().count(), 2, "no line is forged");
    // What scripts read is what was sent.
    assert_eq!(rpcd(&format!("call m 1 -p {port}")).stdout, format!("{evil}\n"));
    let run = rpcd(&format!("methods --json -p {port}"));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["methods"][0]["summary"], evil);
    assert!(!run.stdout.contains('\u{1b}'), "{:?}", run.stdout);
}
