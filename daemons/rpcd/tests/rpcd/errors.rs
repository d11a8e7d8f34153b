//! Errors as JSON, what was probably meant, and what a call was spent on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use rpc_tests::fakes::{self, Do};
use rpc_tests::recording_registry::RecordingRegistry;
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::process::{DEAD_PORT, Daemon, Run, rpcd, step};
use crate::site::{Site, runtime};

/// The one line of a failed run.
fn error(run: &Run, code: i32) -> Value {
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    document["error"].clone()
}

#[test]
fn with_json_an_error_is_one_line_on_standard_output_with_the_same_exit_code() {
    let site = Site::start();
    let fails = error(&site.run("call fail --json"), 1);
    let expected = json!({
        "code": 7,
        "data": {"why": ["a", 1]},
        "kind": "remote",
        "may_have_run": true,
        "message": "it broke",
    });
    assert_eq!(fails, expected);
    let unknown = error(&site.run("call nope --json"), 1);
    assert_eq!((&unknown["code"], &unknown["kind"]), (&json!(-32601), &json!("no_such_method")));
    let wrong = error(&site.run("call add 1 two --json"), 2);
    assert_eq!((wrong.get("code"), &wrong["kind"]), (None, &json!("usage")));
    let late = error(&site.run("call sleep 60 --json --timeout 300ms"), 4);
    assert_eq!((&late["kind"], &late["code"]), (&json!("timeout"), &json!(-32000)));
    assert_eq!(late["may_have_run"], true, "{late}");
    let dead = error(&rpcd(&format!("call add -p {DEAD_PORT} --json")), 3);
    assert_eq!(dead["may_have_run"], false, "{dead}");
    for line in ["call add", "methods", "stats", "describe add"] {
        let dead = error(&rpcd(&format!("{line} -p {DEAD_PORT} --json")), 3);
        assert_eq!(dead["kind"], "unreachable", "{line}");
    }
    let dead = format!("--registry http://127.0.0.1:{DEAD_PORT} --json");
    for line in ["instances", "watch", "logs"] {
        assert_eq!(error(&rpcd(&format!("{line} {dead}")), 3)["kind"], "unreachable", "{line}");
    }
    assert_eq!(error(&rpcd("call --json --jsn"), 2)["kind"], "usage");
    // Standard error says it, too, and without --json only there.
    let run = site.run("call fail --json");
    let said = "rpcd: Error calling method: it broke (code 7, data {\"why\":[\"a\",1]})\n";
    assert_eq!(run.stderr, said);
    assert_eq!(site.run("call fail").stdout, "");
}

#[test]
fn a_call_without_registry_and_list_says_how_long_it_waited() {
    let dead = format!("--registry http://127.0.0.1:{DEAD_PORT}");
    let run = rpcd(&format!("call add 1 2 {dead} --timeout 1s"));
    assert_eq!(run.code, 3, "{run:?}");
    let waited = "s for it, and no list of its instances is kept on disk; check that it is running";
    assert!(run.stderr.contains("; waited ") && run.stderr.contains(waited), "{run:?}");
}

#[test]
fn with_json_every_call_of_many_has_its_line() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} nope --repeat 20 --json"));
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout.lines().count(), 20, "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.contains("-32601")), "{}", run.stdout);
}

#[test]
fn a_timeout_has_its_code_whoever_finds_it() {
    let threads = runtime();
    let silent = threads.block_on(fakes::extended(|_| Do::Nothing));
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [silent.address.port(), mute.local_addr().unwrap().port()] {
        for line in ["call echo -d []", "call echo x", "methods", "stats"] {
            let late = error(&rpcd(&format!("{line} -p {port} --json --timeout 300ms")), 4);
            assert_eq!(
                (&late["kind"], &late["code"]),
                (&json!("timeout"), &json!(-32000)),
                "{line}"
            );
        }
    }
    let at = mute.local_addr().unwrap();
    for line in [format!("health {at}"), format!("instances --registry http://{at}")] {
        let late = error(&rpcd(&format!("{line} --json --timeout 300ms")), 4);
        assert_eq!(late["code"], -32000, "{line}");
    }
}

#[test]
fn a_server_that_answers_no_probe_is_told_with_the_time_that_it_had() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = mute.local_addr().unwrap();
    let run = rpcd(&format!("call echo x -p {} --timeout 400ms", at.port()));
    assert_eq!(run.code, 4);
    let said =
        format!("rpcd: no reply from {at} within 200ms (it is connected, and answered no probe); ");
    assert!(run.stderr.starts_with(&said), "{}", run.stderr);
}

#[test]
fn in_json_the_name_that_was_probably_meant_is_data() {
    let (_server, port) = Daemon::serve("--no-registry");
    for (line, code, near) in [
        ("call ad 1 2", 1, "add"),
        ("call rpc.stat", 1, "rpc.stats"),
        ("describe ad", 1, "add"),
        ("describe rpc.stat", 1, "rpc.stats"),
    ] {
        let said = error(&rpcd(&format!("{line} -p {port} --json")), code);
        assert_eq!(said["data"], json!({"nearest": [near]}), "{line}");
        assert_eq!(said["code"], -32601, "{line}");
    }
    for (line, near) in [
        ("clal --json", "call"),
        ("call m --jsn --json", "--json"),
        ("call m --mode servr --json", "server"),
    ] {
        let said = error(&rpcd(line), 2);
        assert_eq!(said["data"], json!({"nearest": [near]}), "{line}");
    }
    assert_eq!(error(&rpcd(&format!("call qwertyuiop -p {port} --json")), 1).get("data"), None);
}

#[test]
fn a_reserved_method_is_described_as_it_replies() {
    let (_server, port) = Daemon::serve("--no-registry");
    for name in ["all_your_methods", "rpc.discover", "rpc.stats", "rpc.logs", "rpc.health"] {
        let run = rpcd(&format!("describe {name} -p {port}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{name}");
        assert!(run.stdout.starts_with(&format!("{name}(")), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("rpcd call {name} ")), "{}", run.stdout);
    }
    let run = rpcd(&format!("describe rpc.logs -p {port}"));
    assert!(run.stdout.contains("(stream)") && run.stdout.contains("recent"), "{}", run.stdout);
    // What a real server replies has the properties that are described.
    for name in ["rpc.stats", "rpc.health"] {
        let json = |line: &str| -> Value {
            serde_json::from_str(&rpcd(&format!("{line} {name} -p {port} --json")).stdout).unwrap()
        };
        let (described, reply) = (json("describe"), json("call"));
        let properties = &described["result"]["schema"]["properties"];
        let names = |of: &Value| of.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(properties), names(&reply), "{name}");
    }
}

#[test]
fn an_unknown_method_is_met_with_what_was_probably_meant() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} ad 1 2"));
    assert_eq!(run.code, 1);
    assert_eq!(run.stderr, "rpcd: No service found for: ad; did you mean add?\n");
    let run = rpcd(&format!("describe -p {port} ad"));
    assert_eq!(run.code, 1);
    let said = format!("rpcd: 127.0.0.1:{port} has no method ad; did you mean add?\n");
    assert_eq!(run.stderr, said);
}

#[test]
fn verbose_says_who_replied_why_it_was_called_and_what_the_time_was_spent_on() {
    let site = Site::start();
    let other = site.another();
    let run = site.run("call add 1 2 --repeat 4 --balance round_robin -v");
    assert_eq!((run.code, run.stdout.as_str()), (0, "13\n13\n13\n13\n"));
    for server in [&site.server, &other] {
        let said = format!("rpcd: {server} replied, extended dialect, next in turn: ");
        let lines = run.stderr.lines().filter(|line| line.starts_with(&said)).count();
        assert_eq!(lines, 2, "{}", run.stderr);
    }
    for part in [" connect ", " server ", " transfer ", " total "] {
        assert!(run.stderr.lines().all(|line| line.contains(part)), "{part}: {}", run.stderr);
    }
}

#[test]
fn verbose_says_where_a_call_went_that_failed() {
    let threads = runtime();
    let (registry, ports) = threads.block_on(async {
        let registry = RecordingRegistry::start().await;
        let ports = [ReservedPort::new(), ReservedPort::new()];
        registry.list(&ports.each_ref().map(ReservedPort::address));
        (registry, ports)
    });
    let run = rpcd(&format!("call add 1 2 -v --idempotent --registry {}", registry.url()));
    assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{}", run.stderr);
    for port in &ports {
        let address = port.address().to_string();
        let is_its = |line: &&str| line.starts_with(&format!("rpcd: {address}: "));
        let line = run.stderr.lines().find(is_its).unwrap_or_else(|| panic!("{}", run.stderr));
        assert!(line.contains("; failed after ") && line.contains("s: cannot reach "), "{line}");
    }
}

#[test]
fn verbose_counts_connecting_as_connecting_also_before_a_discovery() {
    const SLOW: std::time::Duration = std::time::Duration::from_millis(700);
    let threads = runtime();
    let extended: fakes::Handler = std::sync::Arc::new(|message| {
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => fakes::result(message, r#"{"openrpc": "1", "methods": []}"#),
            _ => fakes::result(message, "1"),
        })
    });
    let classic: fakes::Handler = std::sync::Arc::new(|message| {
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => r#"{"res": "No service found for: rpc.discover"}"#.to_owned(),
            Some("all_your_methods") => r#"{"res": []}"#.to_owned(),
            _ => r#"{"res": 1}"#.to_owned(),
        })
    });
    // Both learn the dialect late, and reply at once from then on.
    let extended = threads.block_on(fakes::scripted(move |_, socket, seen| {
        let handler = extended.clone();
        async move {
            tokio::time::sleep(SLOW).await;
            fakes::speak_extended(socket, seen, handler).await;
        }
    }));
    let classic = threads.block_on(fakes::scripted(move |_, socket, seen| {
        let handler = classic.clone();
        async move {
            tokio::time::sleep(SLOW).await;
            fakes::speak_classic(socket, seen, handler).await;
        }
    }));
    for peer in [extended, classic] {
        let run = rpcd(&format!("call m x -v -p {}", peer.address.port()));
        assert_eq!((run.code, run.stdout.as_str()), (0, "1\n"), "{run:?}");
        let [discovery, connect, total] =
            ["discovery", "connect", "total"].map(|name| step(&run.stderr, name));
        assert!(connect >= 600.0 && discovery < 600.0, "{}", run.stderr);
        assert!(total >= connect + discovery - 1.0, "{}", run.stderr);
    }
}

#[test]
fn a_time_in_an_error_is_rounded() {
    let threads = runtime();
    let peer = threads.block_on(fakes::extended(|_| Do::Nothing));
    let port = peer.address.port();
    let run = rpcd(&format!("call -p {port} echo x --timeout 1"));
    assert_eq!(run.code, 4);
    let said = format!("rpcd: no reply from 127.0.0.1:{port} within 1s (waiting for the reply); ");
    assert!(run.stderr.starts_with(&said), "{}", run.stderr);
    assert!(run.stderr.contains("the call may have run"), "{}", run.stderr);
}

#[test]
fn a_server_that_is_taken_for_a_registry_is_called_what_it_is_not() {
    let (_server, port) = Daemon::serve("--no-registry");
    let url = format!("http://127.0.0.1:{port}");
    for line in ["instances", "call add 1 2", "watch", "stats", "logs"] {
        let run = rpcd(&format!("{line} --registry {url}"));
        assert!([1, 3].contains(&run.code), "{line}: {run:?}");
        let said = format!("the program at {url} is not a registry");
        assert!(run.stderr.contains(&said), "{line}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{line}: {}", run.stderr);
    }
}

#[test]
fn a_registry_that_is_taken_for_a_server_is_called_what_it_is() {
    let mut registry = Daemon::start("registry -p 0 -l 127.0.0.1");
    let at = registry.address();
    for line in [
        "call add 1 2",
        "call add",
        "call add --repeat 3",
        "call add --stream",
        "call rpc.stats",
        "call rpc.logs",
        "methods",
        "describe add",
        "stats",
        "logs",
        "bench add 1 2 --count 1",
    ] {
        let run = rpcd(&format!("{line} -p {}", at.port()));
        let said = format!(
            "{at} is a registry, not a server; write --registry http://{at}, or -p with the port of a \
             server\n"
        );
        assert!(run.code == 1 && run.stderr.ends_with(&said), "{line}: {run:?}");
        assert_eq!((run.stderr.lines().count(), run.stdout.as_str()), (1, ""), "{line}: {run:?}");
    }
    // Another program that speaks HTTP is none.
    for page in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
        // Without a head, as to a client of the first version.
        "<!DOCTYPE HTML>\n<html>\n<p>Error code: 400</p>\n</html>\n",
    ] {
        let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = web.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut socket in web.incoming().flatten() {
                let _ = socket.read(&mut [0; 1024]);
                let _ = socket.write_all(page.as_bytes());
            }
        });
        let run = rpcd(&format!("call add 1 2 -p {}", address.port()));
        let said = format!(
            "it is HTTP, by which a JSON-RPC server is called at its URL, such as -i http://{address}/;"
        );
        assert!(run.stderr.contains(&said), "{run:?}");
    }
}

#[test]
fn a_method_is_described_with_commands_that_work() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("describe add -p {port}"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let mut lines = run.stdout.lines();
    assert_eq!(lines.next(), Some("add(a: number, b: number, c: number = 10) -> number"));
    for part in ["  Adds two or three numbers", "  c  number  default 10", "Result\n  number"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let (_, call_it) = run.stdout.split_once("\nCall it\n").unwrap();
    let examples: Vec<&str> = call_it.lines().filter(|line| line.contains("rpcd call")).collect();
    assert_eq!(examples.len(), 3, "{}", run.stdout);
    for example in examples {
        let line = example.trim().trim_start_matches("rpcd ").replace('\'', "");
        let run = rpcd(&line);
        assert_eq!((run.code, run.stdout.as_str()), (0, "12\n"), "{line}: {}", run.stderr);
    }
    let run = rpcd(&format!("describe add -p {port} --json"));
    let method: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&method["name"], method["params"].as_array().unwrap().len()), (&json!("add"), 3));
}

#[test]
fn a_method_that_only_another_instance_has_is_not_called_unknown() {
    let threads = runtime();
    // It describes the method, as another instance would, and does not have it.
    let peer = threads.block_on(fakes::extended(|message| {
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => {
                fakes::result(message, r#"{"openrpc": "1", "methods": [{"name": "m"}]}"#)
            }
            _ => format!(
                "{{\"id\":{},\"res\":\"No service found for: m\",\"error\":{{\"code\":-32601,\
                 \"message\":\"No service found for: m\"}}}}\n",
                message["id"]
            ),
        })
    }));
    let run = rpcd(&format!("call m -p {}", peer.address.port()));
    let said = format!(
        "rpcd: No service found for: m; {} does not have it, another instance does: choose one by -i \
         and -p\n",
        peer.address
    );
    assert_eq!((run.code, run.stderr), (1, said));
}

#[test]
fn methods_are_filtered_by_name() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("methods UPPER -p {port}"));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{}", run.stdout);
    assert!(run.stdout.starts_with("to_uppercase(string: string) -> string  "), "{}", run.stdout);
    let run = rpcd(&format!("methods nothing -p {port}"));
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(run.stderr.contains("no method of "), "{}", run.stderr);
}
