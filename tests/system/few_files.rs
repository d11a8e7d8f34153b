//! Daemons that have few files to open: they refuse, in words, and serve again when there are some.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::binaries::binary;
use rpc_tests::daemon::{Daemon, path};
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::python::{has_python, script};
use rpc_tests::raw::{Raw, extended};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};
use tokio::process::Command;

const FILES: u64 = 64;
/// Places for connections within 64 files, and those for peers on this machine.
const CONNECTIONS: usize = 32;
const FOR_LOOPBACK: usize = 8;

/// What a peer sends, and what it gets in reply.
#[derive(Clone, Copy)]
struct Dialect {
    request: &'static str,
    served: &'static str,
    refused: &'static str,
}

const CALL: Dialect = Dialect {
    request: r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#,
    served: r#"{"res":13}"#,
    refused: r#"{"res":"Error calling method: the server has no open file left"#,
};
const HTTP: Dialect = Dialect {
    request: "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    served: "HTTP/1.1 200 OK",
    refused: "HTTP/1.1 503 Service Unavailable",
};

impl Dialect {
    /// The first line of the reply on a new connection; none if it was closed or reset.
    async fn ask(self, address: SocketAddr) -> (Raw, Option<String>) {
        let mut raw = Raw::connect(address).await;
        raw.send(self.request).await;
        let line = raw.line().await;
        (raw, line)
    }

    async fn is_served(self, address: SocketAddr) -> bool {
        self.ask(address).await.1.is_some_and(|line| line.starts_with(self.served))
    }

    /// As many connections as are served and stay open.
    async fn fill(self, address: SocketAddr) -> Vec<Raw> {
        let mut inside = Vec::new();
        loop {
            let (raw, line) = self.ask(address).await;
            if !line.is_some_and(|line| line.starts_with(self.served)) {
                return inside;
            }
            inside.push(raw);
            assert!(inside.len() < 64, "more connections than files");
        }
    }
}

/// A daemon that had files enough when it started has none left.
async fn refuses_and_recovers(daemon: &Daemon, address: SocketAddr, dialects: &[Dialect]) {
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let few = Rlimit { current: Some(FILES), maximum: Some(FILES) };
    prlimit(pid, Resource::Nofile, few).unwrap();

    let inside = dialects[0].fill(address).await;
    for round in 0..20 {
        let dialect = dialects[round % dialects.len()];
        let (_, line) = dialect.ask(address).await;
        let line = line.unwrap_or_else(|| panic!("round {round}: {}", daemon.transcript()));
        assert!(line.starts_with(dialect.refused), "{line}");
    }
    let said = daemon.stderr().text().matches("cannot accept connections").count();
    assert!((1..=4).contains(&said), "{}", daemon.transcript());

    // A peer that says nothing keeps the others waiting only for a moment.
    let _silent = [Raw::connect(address).await, Raw::connect(address).await];
    let (_, line) = dialects[0].ask(address).await;
    assert!(line.is_some_and(|line| line.starts_with(dialects[0].refused)));

    drop(inside);
    let within_a_second = Duration::from_secs(1);
    for dialect in dialects {
        eventually_within(within_a_second, "it serves again", async || {
            dialect.is_served(address).await
        })
        .await;
    }
}

#[tokio::test]
async fn a_server_without_a_file_left_refuses_and_serves_again_when_there_is_one() {
    let (daemon, address) = Daemon::server(&["--no-registry"]).await;
    refuses_and_recovers(&daemon, address, &[CALL, HTTP]).await;
}

#[tokio::test]
async fn a_registry_without_a_file_left_refuses_and_serves_again_when_there_is_one() {
    let (daemon, address) = Daemon::registry(&[]).await;
    refuses_and_recovers(&daemon, address, &[HTTP]).await;
}

#[tokio::test]
async fn a_daemon_that_starts_with_few_files_keeps_some_of_them_from_connections_and_says_so() {
    for (command, dialect) in [("serve --no-registry", CALL), ("registry", HTTP)] {
        let program = binary("rpcd");
        let mut shell = Command::new("sh");
        let line =
            format!("ulimit -n {FILES}; exec {} {command} -l 127.0.0.1 -p 0", program.display());
        shell.args(["-c", &line]);
        let daemon = Daemon::start(command, shell);
        let address = daemon.announced_address().await;
        let what = format!("has room for {CONNECTIONS} connections only");
        let warned = daemon.line(&what, |line| line.contains(&what).then(|| line.to_owned())).await;
        assert!(warned.contains("max_connections=10000 open_files=64"), "{warned}");

        let inside = dialect.fill(address).await;
        assert!(
            (CONNECTIONS..=CONNECTIONS + FOR_LOOPBACK).contains(&inside.len()),
            "{}",
            inside.len()
        );
        // It was no lack of files.
        let said = daemon.stderr().text();
        assert!(!said.contains("cannot accept connections"), "{said}");
        drop(inside);
        eventually("it serves again", async || dialect.is_served(address).await).await;
    }
}

/// Kills the worker whose process that is.
fn kill(pid: &Value) {
    let pid = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// A call of the worker on a connection that is open.
async fn pid_of_worker(peer: &mut Raw) -> Value {
    peer.ask(extended(&json!(1), "pid", &json!([]))).await["res"].clone()
}

#[tokio::test]
async fn connections_leave_files_for_the_processes_of_workers() {
    if !has_python() {
        return;
    }
    let mut shell = Command::new("sh");
    let worker = path(&script("worker.py")).to_owned();
    let program = binary("rpcd");
    let command = "serve --no-registry -l 127.0.0.1 -p 0 --worker \"$0\"";
    let line = format!("ulimit -n {FILES}; exec {} {command}", program.display());
    shell.args(["-c", &line, &format!("python3 -B '{worker}'")]);
    let daemon = Daemon::start("serve", shell);
    let address = daemon.announced_address().await;
    let mut inside = CALL.fill(address).await;
    let pid = pid_of_worker(&mut inside[0]).await;
    kill(&pid);
    eventually("there is another", async || {
        let now = pid_of_worker(&mut inside[0]).await;
        now.is_number() && now != pid
    })
    .await;
    let said = daemon.stderr().text();
    assert!(!said.contains("cannot be started"), "{said}");
}

#[tokio::test]
async fn a_worker_for_which_there_is_no_file_is_started_when_there_is_one() {
    if !has_python() {
        return;
    }
    let command = format!("python3 -B '{}'", path(&script("worker.py")));
    let (mut daemon, address) = Daemon::server(&["--no-registry", "--worker", &command]).await;
    let mut peer = Raw::connect(address).await;
    let pid = pid_of_worker(&mut peer).await;
    let server = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let files = |most| Rlimit { current: Some(most), maximum: Some(20_000) };
    let before = prlimit(server, Resource::Nofile, files(4)).unwrap();
    kill(&pid);
    // One more than the deaths in a row that end a server.
    eventually_within(Duration::from_secs(20), "it is tried again and again", async || {
        daemon.stderr().text().matches("no room for it now").count() > 5
    })
    .await;
    assert!(daemon.is_running(), "that says nothing about the program");
    prlimit(server, Resource::Nofile, before).unwrap();
    let now = pid_of_worker(&mut peer).await;
    assert!(now.is_number() && now != pid, "{now}");
}
