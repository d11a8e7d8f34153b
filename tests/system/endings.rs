//! Graceful shutdown of real processes, in every state of the registry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use rpc_tests::binaries::binary;
use rpc_tests::daemon::{Daemon, path, without_colours};
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::{has_in_flight, lists};
use rpc_tests::raw::{Raw, classic, extended};
use rpc_tests::recording_registry::{Manner, RecordingRegistry};
use rpc_tests::terminal::Tty;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::spawn_blocking;

/// Heartbeats so frequent that one after the unregister would be noticed.
const FAST_HEARTBEATS: (&str, &str) = ("SERVER_HEARTBEAT_INTERVAL", "50ms");

/// Longer than this test waits: whatever ends in time did not end by these limits.
const LONG_DRAIN: (&str, &str) = ("SERVER_DRAIN_TIMEOUT", "10m");
const LONG_DEADLINE: (&str, &str) = ("SERVER_DEFAULT_DEADLINE", "10m");

#[tokio::test]
async fn sigterm_with_the_registry_up_unregisters_replies_and_exits_0() {
    shuts_down_gracefully(Some(Manner::Polite), End::By(Signal::TERM)).await;
}

#[tokio::test]
async fn sigint_with_the_registry_up_unregisters_replies_and_exits_0() {
    shuts_down_gracefully(Some(Manner::Polite), End::By(Signal::INT)).await;
}

#[tokio::test]
async fn sigquit_with_the_registry_up_unregisters_replies_and_exits_0() {
    shuts_down_gracefully(Some(Manner::Polite), End::By(Signal::QUIT)).await;
}

#[tokio::test]
async fn a_closed_terminal_shuts_a_server_down_with_its_farewell() {
    let registry = RecordingRegistry::start().await;
    let url = registry.url();
    let terminal = blocking(move || {
        let mut command = CommandBuilder::new(binary("rpcd"));
        command.args(["serve", "-p", "0", "-l", "127.0.0.1", "--registry", &url]);
        Tty::run(command, (120, 35))
    });
    let mut terminal = terminal.await;
    registry.has_received("register", 1).await;
    let code = blocking(move || {
        terminal.signal(Signal::HUP);
        terminal.ends()
    });
    assert_eq!(code.await, 0);
    registry.has_received("unregister", 1).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hangup_is_no_end_without_a_terminal_or_where_it_is_ignored() {
    for (program, says) in [("setsid", "nothing to reload"), ("nohup", "listening")] {
        let mut command = Command::new(program);
        command.arg(binary("rpcd")).args(["serve", "-p", "0", "-l", "127.0.0.1", "--no-registry"]);
        let mut server = Daemon::start(program, command);
        let address = server.announced_address().await;
        server.signal(Signal::HUP);
        let find = |line: &str| line.contains(says).then_some(());
        server.line(says, find).await;
        let mut client = Raw::connect(address).await;
        assert_eq!(client.ask(classic("add", &json!([1, 2]))).await, json!({"res": 13}));
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code().await, 0, "{}", server.transcript());
    }
}

#[tokio::test]
async fn sigterm_with_the_registry_down_replies_and_exits_0() {
    shuts_down_gracefully(None, End::By(Signal::TERM)).await;
}

#[tokio::test]
async fn sigint_with_the_registry_down_replies_and_exits_0() {
    shuts_down_gracefully(None, End::By(Signal::INT)).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn failing_with_the_registry_up_unregisters_replies_and_exits_1() {
    shuts_down_gracefully(Some(Manner::Polite), End::Failing).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn failing_with_the_registry_down_replies_and_exits_1() {
    shuts_down_gracefully(None, End::Failing).await;
}

#[tokio::test]
async fn a_hanging_registry_delays_shutdown_by_one_second_at_most() {
    shuts_down_gracefully(Some(Manner::Hanging), End::By(Signal::TERM)).await;
}

#[tokio::test]
async fn a_registry_that_replies_500_does_not_delay_shutdown() {
    shuts_down_gracefully(Some(Manner::Failing), End::By(Signal::TERM)).await;
}

#[tokio::test]
async fn a_second_signal_exits_at_once_with_130() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT)] {
        let settings = [LONG_DRAIN, LONG_DEADLINE];
        let (mut server, address) = Daemon::server_with(&settings, &["--no-registry"]).await;
        let mut busy = Raw::connect(address).await;
        busy.send(extended(&json!(1), "sleep", &json!([600]))).await;
        has_in_flight(address, "sleep", 1).await;
        server.signal(first);
        assert_eq!(busy.reply().await, json!({"draining": true}));
        server.signal(second);
        assert_eq!(server.exit_code().await, 130, "{}", server.transcript());
    }
}

#[tokio::test]
async fn the_drain_timeout_limits_shutdown() {
    let settings = [("SERVER_DRAIN_TIMEOUT", "300ms"), LONG_DEADLINE];
    let (mut server, address) = Daemon::server_with(&settings, &["--no-registry"]).await;
    let mut busy = Raw::connect(address).await;
    busy.send(extended(&json!(1), "sleep", &json!([600]))).await;
    has_in_flight(address, "sleep", 1).await;
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code().await, 0, "{}", server.transcript());
}

#[tokio::test]
async fn a_call_that_arrives_while_draining_is_refused_as_retryable() {
    let (mut server, address) = Daemon::server(&["--no-registry"]).await;
    let mut busy = Raw::connect(address).await;
    // In flight while the next one is refused, on a busy machine too.
    busy.send(extended(&json!(1), "sleep", &json!([4]))).await;
    has_in_flight(address, "sleep", 1).await;
    server.signal(Signal::TERM);
    assert_eq!(busy.reply().await, json!({"draining": true}));
    let refused = busy.ask(extended(&json!(2), "add", &json!([1, 2]))).await;
    assert_eq!(refused["id"], 2);
    assert_eq!(refused["error"]["code"], -32003, "{refused}");
    assert_eq!(refused["error"]["retryable"], true, "{refused}");
    let late = busy.reply().await;
    assert_eq!((&late["id"], &late["error"]), (&json!(1), &Value::Null), "{late}");
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn a_restarted_server_finds_its_port_free() {
    let (mut first, address) = Daemon::server(&["--no-registry"]).await;
    let mut idle = Raw::connect(address).await;
    idle.ask(classic("add", &json!([1, 2]))).await;
    first.signal(Signal::TERM);
    assert_eq!(first.exit_code().await, 0);
    let port = address.port().to_string();
    let second = Daemon::rpcd(["serve", "-p", &port, "-l", "127.0.0.1", "--no-registry"]);
    assert_eq!(second.announced_address().await, address);
}

#[tokio::test]
async fn the_log_file_holds_everything_up_to_the_end() {
    let logs = tempfile::tempdir().unwrap();
    let arguments = ["--no-registry", "--log-dir", path(logs.path())];
    let (mut server, _) = Daemon::server_with(&[("LOG_SAVE", "true")], &arguments).await;
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code().await, 0);
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.unwrap().path()).unwrap()
    };
    let text: String = std::fs::read_dir(logs.path()).unwrap().map(read).collect();
    let last = server.stderr().lines().into_iter().rfind(|line| !line.trim().is_empty()).unwrap();
    let message = |line: &str| line.rsplit("  ").next().unwrap_or(line).trim().to_owned();
    assert!(text.contains("listening"), "{text}");
    let words = without_colours(&message(&last));
    let end = words.rsplit(": ").next().unwrap();
    assert!(text.contains(end), "{end:?} is not in the file:\n{text}");
}

#[tokio::test]
async fn the_registry_ends_its_event_streams_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut registry, address) = Daemon::registry(&[]).await;
        let mut watchers = Vec::new();
        for target in ["/v1/watch?proto=json", "/v1/watch?proto=json&beats=1", "/v1/logs"] {
            let mut watcher = Raw::connect(address).await;
            watcher.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert_eq!(watcher.line().await.unwrap().trim(), "HTTP/1.1 200 OK", "{target}");
            watchers.push(watcher);
        }
        let _idle = Raw::connect(address).await;
        let mut half = Raw::connect(address).await;
        half.send("POST /myRegistry/register HTTP/1.1\r\nContent-Le").await;
        let started = Instant::now();
        registry.signal(signal);
        for watcher in &mut watchers {
            watcher.rest().await;
        }
        assert_eq!(registry.exit_code().await, 0, "{}", registry.transcript());
        // Two seconds, and some more for a loaded machine.
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_registry_that_fails_exits_1() {
    let (mut registry, address) = Daemon::registry(&[]).await;
    break_listener(registry.pid());
    assert_eq!(registry.exit_code().await, 1, "{address}\n{}", registry.transcript());
    no_backtrace(&registry);
}

#[tokio::test]
async fn a_stopped_server_is_unregistered_at_once() {
    let (_registry, registry) = Daemon::registry(&[]).await;
    let url = format!("http://{registry}");
    let (mut server, address) = Daemon::server(&["--registry", &url]).await;
    lists(registry, &[address]).await;
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code().await, 0);
    assert_eq!(rpc_tests::queries::find_all(registry).await, []);
}

enum End {
    By(Signal),
    #[cfg(target_os = "linux")]
    Failing,
}

/// One server, one idle client, a classic and an extended call in flight; then it must shut down.
async fn shuts_down_gracefully(manner: Option<Manner>, end: End) {
    let registry = RecordingRegistry::start().await;
    let url = registry.url();
    let registry = manner.map(|_| registry);
    // Older clients call it.
    let settings = [FAST_HEARTBEATS, LONG_DRAIN, ("SERVER_SHUTDOWN_NOTICE", "300ms")];
    let (mut server, address) = Daemon::server_with(&settings, &["--registry", &url]).await;
    if let (Some(registry), Some(manner)) = (&registry, manner) {
        registry.has_received("register", 3).await;
        registry.behave(manner);
    }
    let mut idle = Raw::connect(address).await;
    assert_eq!(idle.ask(classic("add", &json!([1, 2]))).await, json!({"res": 13}));
    let mut older = Raw::connect(address).await;
    older.send(classic("sleep", &json!([3]))).await;
    let mut newer = Raw::connect(address).await;
    newer.send(extended(&json!(7), "sleep", &json!([3]))).await;
    has_in_flight(address, "sleep", 2).await;

    match end {
        End::By(signal) => server.signal(signal),
        #[cfg(target_os = "linux")]
        End::Failing => break_listener(server.pid()),
    }
    assert!(idle.is_closed_within(SOON).await, "{}", server.transcript());
    let idle_closed = Instant::now();

    let older_reply = older.reply().await;
    assert!(!older_reply["res"].to_string().contains("Error"), "{older_reply}");
    assert!(older.is_closed_within(SOON).await);
    let mut newer_reply = newer.reply().await;
    if newer_reply == json!({"draining": true}) {
        newer_reply = newer.reply().await;
    }
    assert_eq!((&newer_reply["id"], &newer_reply["error"]), (&json!(7), &Value::Null));

    let code = server.exit_code().await;
    let expected = match end {
        End::By(_) => 0,
        #[cfg(target_os = "linux")]
        End::Failing => 1,
    };
    assert_eq!(code, expected, "{}", server.transcript());
    no_backtrace(&server);
    nobody_listens(address).await;

    if let Some(registry) = registry {
        let requests = registry.requests();
        let unregister = requests.iter().position(|request| request.action == "unregister");
        let unregister = unregister.unwrap_or_else(|| panic!("never unregistered: {requests:?}"));
        assert_eq!(requests[unregister].body["port"], address.port());
        assert!(
            requests[unregister].at <= idle_closed,
            "it unregistered after it closed connections"
        );
        // 1 s for unregistering, the rest for a loaded machine.
        let took = idle_closed - requests[unregister].at;
        assert!(took < Duration::from_secs(4), "unregistering took {took:?}");
        let after: Vec<_> =
            requests[unregister + 1..].iter().map(|request| &request.action).collect();
        assert!(!after.contains(&&"register".to_owned()), "registered again: {after:?}");
    }
}

/// What the terminal does blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap()
}

fn no_backtrace(daemon: &Daemon) {
    let said = daemon.transcript();
    assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{said}");
}

async fn nobody_listens(address: SocketAddr) {
    eventually("the port is closed", async || {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
}

/// Shuts down the listening socket of another process, so that its `accept` fails for good, and the
/// server can only stop.
#[cfg(target_os = "linux")]
fn break_listener(pid: u32) {
    use rustix::net::{Shutdown, shutdown, sockopt::socket_acceptconn};

    let listeners = rpc_tests::sockets::files_of(pid).into_iter();
    let broken = listeners
        .filter(|file| socket_acceptconn(file).unwrap_or(false))
        .map(|listener| shutdown(&listener, Shutdown::Both).unwrap());
    assert_eq!(broken.count(), 1, "listening sockets of process {pid}");
}
