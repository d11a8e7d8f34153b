//! What daemons say of themselves: logs, statistics, health.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::process::{Daemon, command, rpcd};
use crate::services::register;
use crate::site::Site;

/// A registry, its URL, and a server that registered there, as processes: they have logs.
fn both() -> (Daemon, String, Daemon, String) {
    let mut registry = Daemon::start("registry -p 0 -l 127.0.0.1");
    let url = format!("http://{}", registry.address());
    let (mut server, port) = Daemon::serve(&format!("--registry {url}"));
    server.line("registered");
    (registry, url, server, format!("127.0.0.1:{port}"))
}

#[test]
fn recent_lines_of_all_daemons_are_one_log_in_order_of_time() {
    let (_registry, url, _server, at) = both();
    let run = rpcd(&format!("logs --no-follow --json --registry {url}"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: Vec<u64> = lines.iter().map(|line| line["at_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{}", run.stdout);
    for instance in ["registry", &at] {
        let listening =
            lines.iter().any(|line| line["instance"] == instance && line["message"] == "listening");
        assert!(listening, "{instance}: {}", run.stdout);
    }
    let run = rpcd(&format!("logs {at} --no-follow --contains listening --registry {url}"));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{run:?}");
    assert!(run.stdout.contains(&format!("  INFO {at}  ")), "{}", run.stdout);
    let run = rpcd(&format!("logs registry -n 1 --no-follow --registry {url}"));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1), "{run:?}");
    let run = rpcd(&format!("logs --level error --no-follow --registry {url}"));
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
}

/// Logs that are followed; killed when dropped.
struct Following(Child, BufReader<ChildStdout>);

impl Following {
    fn start(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut child =
            command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    /// Reads on until a line has all of `texts`.
    fn until(&mut self, texts: &[&str]) {
        let mut line = String::new();
        while !texts.iter().all(|text| line.contains(text)) {
            line.clear();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "it ended without {texts:?}");
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn logs_are_followed_and_so_are_instances_that_come_later() {
    let (_registry, url, _server, at) = both();
    let mut logs = Following::start(&format!("logs --registry {url}"));
    logs.until(&[&at, "listening"]);
    let (_other, port) = Daemon::serve(&format!("--registry {url}"));
    logs.until(&["registry", &format!("127.0.0.1:{port}")]);
    logs.until(&[&format!(" 127.0.0.1:{port} "), "listening"]);
}

#[test]
fn an_instance_that_says_nothing_is_not_left_out_of_the_logs_without_a_word() {
    let (_registry, url, _server, at) = both();
    // The system takes the connections, and nobody reads them.
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = hung.local_addr().unwrap().port();
    let body = json!({
        "protocol": "json", "host": "127.0.0.1", "port": port, "status": true, "parameters": {},
    });
    assert!(register(&url, &body.to_string()).contains("200"));
    let run = rpcd(&format!("logs --no-follow --timeout 1 --registry {url}"));
    assert!(run.stdout.contains(&at), "{}", run.stdout);
    let said = format!("no log from 127.0.0.1:{port}");
    assert!(run.code == 0 && run.stderr.contains(&said), "{run:?}");
}

#[test]
fn a_server_that_keeps_no_log_says_so_itself() {
    let site = Site::start();
    let run = site.run(&format!("logs {} --no-follow", site.server));
    let said =
        format!("rpcd: no log from {}: this server keeps no log lines to stream\n", site.server);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (1, "", said));
}

#[test]
fn statistics_are_those_of_every_instance() {
    let site = Site::start();
    let other = site.another();
    for _ in 0..3 {
        assert_eq!(site.run("call fail").code, 1);
    }
    let run = site.run("stats");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.contains(&site.server) && run.stdout.contains(&other), "{}", run.stdout);
    let run = site.run("stats --json");
    let all: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(all.len(), 2);
    let errors = |at: &Value| {
        let methods = at["stats"]["methods"].as_array().unwrap();
        let fail = methods.iter().find(|method| method["name"] == "fail");
        fail.map_or(0, |fail| fail["errors"].as_u64().unwrap())
    };
    assert_eq!(all.iter().map(errors).sum::<u64>(), 3, "{}", run.stdout);
    let run = rpcd(&format!("stats {other} --json --registry {}", site.url));
    let one: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((one.len(), &one[0]["instance"]), (1, &Value::from(other)));
    // One that does not reply is no reason to hide the others.
    let dead = format!("127.0.0.1:{}", crate::process::DEAD_PORT);
    let run = rpcd(&format!("stats {} {dead} --registry {}", site.server, site.url));
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains(&format!("no statistics from {dead}: ")), "{}", run.stderr);
}

#[test]
fn health_in_json_has_state_version_and_uptime() {
    let (registry, url, _server, at) = both();
    let run = rpcd(&format!("health {at} --json"));
    let health: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &health["healthy"], &health["status"]), (0, &true.into(), &"ok".into()));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptime_ms"].is_u64(), "{health}");
    let run = rpcd(&format!("health --registry {url} --json"));
    let health: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &health["status"]), (0, &"ok".into()), "{health}");
    let port = at.rsplit_once(':').unwrap().1;
    assert_eq!(rpcd(&format!("health -p {port}")).stdout, "ok\n");
    drop(registry);
}
