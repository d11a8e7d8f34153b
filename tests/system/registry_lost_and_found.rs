//! The registry missing, stopped, hanging, paused and restarted; calls are not affected.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions, ListProblem};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::python::{has_python, old_registry};
use rpc_tests::queries::{find_all, http, lists};
use rpc_tests::raw::{Raw, classic};
use rpc_tests::recording_registry::{Manner, RecordingRegistry};
use rpc_tests::reserved_port::ReservedPort;
use rustix::process::Signal;
use serde_json::json;

const FAST_HEARTBEATS: (&str, &str) = ("SERVER_HEARTBEAT_INTERVAL", "200ms");

#[tokio::test]
async fn after_a_restart_the_registry_has_all_instances_again() {
    let port = ReservedPort::new();
    let (mut registry, at) = Daemon::registry_with(&[], port.number(), &[]).await;
    let url = port.url();
    let (_one, first) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    let (_two, second) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[first, second]).await;
    let options =
        ClientOptions { refresh_interval: Duration::from_millis(100), ..Default::default() };
    let client = Client::through_registry(&url, options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);

    registry.signal(Signal::KILL);
    registry.exits_within(rpc_tests::eventually::SOON).await;
    eventually("the client's list is stale", async || {
        client.instances().iter().all(|known| known.stale)
    })
    .await;
    assert_eq!(client.instances().len(), 2, "the last good list is kept");
    for _ in 0..20 {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    }

    let (_registry, again) = Daemon::registry_with(&[], port.number(), &[]).await;
    assert_eq!(again, at);
    lists(at, &[first, second]).await;
    eventually("the client's list is fresh again", async || {
        client.instances().len() == 2 && client.instances().iter().all(|known| !known.stale)
    })
    .await;
    client.close().await;
}

#[tokio::test]
async fn a_client_keeps_its_list_while_a_registry_that_started_with_nothing_says_so() {
    let port = ReservedPort::new();
    let settings = [("REGISTRY_SERVER_WARMING", "4s")];
    let registry =
        async || Daemon::registry_with(&settings, port.number(), &["--store", "none"]).await;
    let (mut first, at) = registry().await;
    // It registers once and never again.
    let body = br#"{"protocol":"json","host":"127.0.0.1","port":9,"parameters":{}}"#;
    http(at, "POST /myRegistry/register?proto=json", body).await;
    let refresh_interval = Duration::from_millis(50);
    let options = ClientOptions { refresh_interval, ..Default::default() };
    let client = Client::through_registry(&port.url(), options).unwrap();
    eventually("it is known", async || client.instances().len() == 1).await;
    first.signal(Signal::KILL);
    first.exits_within(rpc_tests::eventually::SOON).await;
    eventually("the list is stale", async || client.instances().iter().all(|it| it.stale)).await;

    let (_second, again) = registry().await;
    assert_eq!(find_all(again).await, [], "older clients are told what there is");
    eventually("the list is fresh", async || client.instances().iter().all(|it| !it.stale)).await;
    assert_eq!(client.instances().len(), 1, "nobody said that it is gone");
    eventually("it is gone", async || client.instances().is_empty()).await;
    client.close().await;
}

/// A registry that forgets everybody and does not say that it has just started: an older one, and one of ours
/// as it was before it did.
enum Forgetful {
    Python,
    Ours,
}

impl Forgetful {
    async fn start(&self, port: u16) -> (Daemon, SocketAddr) {
        match self {
            Self::Python => old_registry(&["--port", &port.to_string()]).await,
            Self::Ours => {
                let settings = [("REGISTRY_SERVER_WARMING", "0s")];
                Daemon::registry_with(&settings, port, &["--store", "none"]).await
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_comes_back_with_nothing_and_does_not_say_so_loses_no_call() {
    if !has_python() {
        return;
    }
    for kind in [Forgetful::Python, Forgetful::Ours] {
        let port = ReservedPort::new();
        let (mut registry, at) = kind.start(port.number()).await;
        let url = port.url();
        let beats = [("SERVER_HEARTBEAT_INTERVAL", "1s")];
        let (_one, first) = Daemon::server_with(&beats, &["--registry", &url]).await;
        let (_two, second) = Daemon::server_with(&beats, &["--registry", &url]).await;
        lists(at, &[first, second]).await;
        let refresh_interval = Duration::from_millis(20);
        let options = ClientOptions { refresh_interval, ..Default::default() };
        let client = Client::through_registry(&url, options).unwrap();
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);

        registry.signal(Signal::KILL);
        registry.exits_within(rpc_tests::eventually::SOON).await;
        let (_registry, _) = kind.start(port.number()).await;
        let mut lists_nobody = false;
        eventually("the list is live again", async || {
            assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
            let status = client.list_status().unwrap();
            lists_nobody |= status.problem == Some(ListProblem::ListsNobody);
            lists_nobody && status.is_live()
        })
        .await;
        client.close().await;
    }
}

#[tokio::test]
async fn a_server_started_before_its_registry_registers_when_it_starts() {
    let port = ReservedPort::new();
    let (server, address) = Daemon::server(&["--registry", &port.url()]).await;
    serves(address).await;
    let (_registry, at) = Daemon::registry_with(&[], port.number(), &[]).await;
    lists(at, &[address]).await;
    // One line per change of state, not one per attempt.
    let complaints = server.stderr().lines().iter().filter(|line| line.contains("WARN")).count();
    assert!(complaints <= 3, "{}", server.transcript());
}

#[tokio::test]
async fn a_registry_that_hangs_or_fails_never_disturbs_calls_and_is_used_again() {
    for manner in [Manner::Hanging, Manner::Failing] {
        let registry = RecordingRegistry::start().await;
        let url = registry.url();
        let (_server, address) =
            Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
        registry.has_received("register", 2).await;
        registry.behave(manner);
        let before = registry.count("register");
        registry.has_received("register", before + 2).await;
        for _ in 0..10 {
            let started = Instant::now();
            serves(address).await;
            assert!(started.elapsed() < Duration::from_secs(2), "{manner:?} slows calls down");
        }
        registry.behave(Manner::Polite);
        let before = registry.count("register");
        registry.has_received("register", before + 3).await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_expires_and_one_that_lives_does_not() {
    let settings = [("REGISTRY_SERVER_TTL", "1s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "200ms")];
    let (_registry, at) = Daemon::registry_with(&settings, 0, &[]).await;
    let url = format!("http://{at}");
    let (_stays, first) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    let (goes, second) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[first, second]).await;
    goes.signal(Signal::KILL);
    lists(at, &[first]).await;
}

#[tokio::test]
async fn a_pause_of_the_registry_expires_nobody() {
    let settings = [("REGISTRY_SERVER_TTL", "2s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "100ms")];
    let (registry, at) = Daemon::registry_with(&settings, 0, &[]).await;
    let url = format!("http://{at}");
    let (server, address) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[address]).await;
    let mut watcher = Raw::connect(at).await;
    watcher.send("GET /v1/watch?proto=json HTTP/1.1\r\nHost: x\r\n\r\n").await;
    watcher.line().await.unwrap();
    // The server is paused too, so that no heartbeat can arrive between the end of the pause and
    // the registry's next check.
    server.signal(Signal::STOP);
    registry.signal(Signal::STOP);
    let paused = Instant::now();
    eventually("twice the TTL", async || paused.elapsed() > Duration::from_secs(4)).await;
    registry.signal(Signal::CONT);
    assert_eq!(find_all(at).await, [address], "expired by the registry's own pause");
    server.signal(Signal::CONT);
    let resumed = Instant::now();
    eventually("another TTL and more", async || {
        assert_eq!(find_all(at).await, [address], "expired by the registry's own pause");
        resumed.elapsed() > Duration::from_secs(3)
    })
    .await;
    registry.signal(Signal::TERM);
    let events = String::from_utf8_lossy(&watcher.rest().await).into_owned();
    assert!(!events.contains("event: expired"), "{events}");
}

#[tokio::test]
async fn a_client_started_before_its_registry_calls_when_it_starts() {
    let port = ReservedPort::new();
    let url = port.url();
    let options =
        ClientOptions { refresh_interval: Duration::from_millis(100), ..Default::default() };
    let client = Client::through_registry(&url, options).unwrap();
    let (_registry, _) = Daemon::registry_with(&[], port.number(), &[]).await;
    let (_server, _) = Daemon::server(&["--registry", &url]).await;
    eventually("the call succeeds", async || {
        client.call("add", (1, 2)).await.is_ok_and(|sum| sum == 13)
    })
    .await;
    client.close().await;
}

#[tokio::test]
async fn an_instance_that_dies_is_ejected_and_no_call_fails() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_stays, first) = Daemon::server(&["--registry", &url]).await;
    let (mut goes, second) = Daemon::server(&["--registry", &url]).await;
    lists(at, &[first, second]).await;
    let client = Client::through_registry(&url, ClientOptions::default()).unwrap();
    eventually("the client knows both", async || client.instances().len() == 2).await;
    goes.signal(Signal::KILL);
    goes.exits_within(rpc_tests::eventually::SOON).await;
    // The registry still lists it for ten seconds.
    for _ in 0..50 {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    }
    client.close().await;
}

#[tokio::test]
async fn heartbeats_are_sent_every_five_seconds_by_default() {
    let registry = RecordingRegistry::start().await;
    let (_server, _) = Daemon::server(&["--registry", &registry.url()]).await;
    let limit = Duration::from_secs(30);
    eventually_within(limit, "three heartbeats", async || registry.count("register") >= 3).await;
    let requests = registry.requests();
    for pair in requests.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between > Duration::from_secs(3), "{between:?} between heartbeats");
        assert!(between < Duration::from_secs(8), "{between:?} between heartbeats");
        assert_eq!(pair[0].body, pair[1].body, "heartbeats are identical");
    }
}

async fn serves(address: SocketAddr) {
    let mut raw = Raw::connect(address).await;
    assert_eq!(raw.ask(classic("add", &json!([1, 2]))).await, json!({"res": 13}));
}
