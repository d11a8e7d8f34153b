//! Daemons that have few files to open: they refuse, in words, and serve again when there are some.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::raw::Raw;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
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
