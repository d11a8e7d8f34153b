//! Operators take instances out of use and bring them back, with real programs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_client::{CallError, Client, ClientOptions};
use rpc_tests::daemon::{Daemon, run_rpcd, run_rpcd_with};
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::fakes::adder;
use rpc_tests::queries::{find_all, has_in_flight, http, lists, stats};
use rpc_tests::raw::{Raw, classic, extended};
use rpc_tests::reserved_port::ReservedPort;
use rpc_wire::instance::Instance;
use rustix::process::Signal;
use serde_json::{Value, json};

const FAST_HEARTBEATS: (&str, &str) = ("SERVER_HEARTBEAT_INTERVAL", "200ms");

/// `rpcd` with these arguments must succeed; its standard output.
async fn rpcd(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run_rpcd(arguments).await;
    assert_eq!(code, 0, "rpcd {}: {stdout}{stderr}", arguments.join(" "));
    stdout
}

/// Calls of `add` that a server has taken.
async fn calls(server: SocketAddr) -> u64 {
    let stats = stats(server).await;
    let methods = stats["methods"].as_array().unwrap();
    let add = methods.iter().find(|method| method["name"] == "add");
    add.and_then(|add| add["calls"].as_u64()).unwrap_or(0)
}

async fn health(server: SocketAddr) -> Value {
    let (_, body) = http(server, "GET /healthz", b"").await;
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_drained_server_finishes_what_it_has_gets_nothing_new_and_comes_back() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_one, first) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    let (_two, second) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[first, second]).await;
    let refresh = Duration::from_millis(500);
    let options = ClientOptions { refresh_interval: refresh, ..Default::default() };
    let client = Client::through_registry(&url, options).unwrap();
    // Both are called.
    eventually("each has calls", async || {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
        calls(first).await > 0 && calls(second).await > 0
    })
    .await;
    let mut busy = Raw::connect(first).await;
    busy.send(extended(&json!(1), "sleep", &json!([3]))).await;
    has_in_flight(first, "sleep", 1).await;

    let address = first.to_string();
    let drain = ["drain", &address, "--for", "10m", "--reason", "deploy 7", "--registry", &url];
    let said = rpcd(&drain).await;
    let drained = Instant::now();
    assert!(said.starts_with(&format!("{address} is draining for 10m (deploy 7): ")), "{said}");
    // No call fails, and within one refresh none goes there any more.
    while drained.elapsed() < 2 * refresh {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    }
    let then = calls(first).await;
    for _ in 0..50 {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    }
    assert_eq!(calls(first).await, then, "a call went to the drained server");
    lists(at, &[second]).await;

    // The server itself has learned of it, and finishes what is in flight.
    eventually("it drains", async || health(first).await["status"] == "draining").await;
    let mut other = Raw::connect(first).await;
    let refused = other.ask(extended(&json!(1), "add", &json!([1, 2]))).await;
    assert_eq!(refused["error"]["code"], -32003, "{refused}");
    // An older client's list may not be refreshed yet.
    let mut older = Raw::connect(first).await;
    assert_eq!(older.ask(classic("add", &json!([1, 2]))).await["res"], 13);
    let late = busy.reply().await;
    assert_eq!((&late["id"], &late["error"]), (&json!(1), &Value::Null), "{late}");

    let row = rpcd(&["instances", "--registry", &url]).await;
    assert!(row.contains("draining") && row.contains("deploy 7"), "{row}");
    let said = rpcd(&["undrain", &address, "--registry", &url]).await;
    assert!(
        said.starts_with(&format!(
            "{address} takes calls again with its next heartbeat; it was draining for "
        )),
        "{said}"
    );
    lists(at, &[first, second]).await;
    eventually("it serves again", async || health(first).await["status"] == "ok").await;
    let before = calls(first).await;
    eventually("it is called again", async || {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
        calls(first).await > before
    })
    .await;
    client.close().await;
}

#[tokio::test]
async fn an_override_is_still_there_after_the_registry_was_killed_and_so_is_who_and_why() {
    let (folder, port) = (tempfile::tempdir().unwrap(), ReservedPort::new());
    let arguments = ["--data-dir", folder.path().to_str().unwrap()];
    let (mut registry, at) = Daemon::registry_with(&[], port.number(), &arguments).await;
    let url = port.url();
    let (_server, address) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[address]).await;
    let (server_at, address) = (address, address.to_string());
    rpcd(&["drain", &address, "--for", "1h", "--reason", "deploy 7", "--registry", &url]).await;
    rpcd(&["drain", "127.0.0.1:1", "--maintenance", "--registry", &url]).await;
    rpcd(&["undrain", "127.0.0.1:1", "--registry", &url]).await;
    for _ in 0..2 {
        registry.signal(Signal::KILL);
        registry.exits_within(SOON).await;
        (registry, _) = Daemon::registry_with(&[], port.number(), &arguments).await;
        // In the first answer.
        assert_eq!(find_all(at).await, []);
        let (_, body) = http(at, "GET /v1/overrides", b"").await;
        let standing: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(standing.as_array().unwrap().len(), 1, "{standing}");
        assert_eq!(standing[0]["reason"], "deploy 7");
        assert_eq!(standing[0]["listed"], true, "the instance is back, too");
        let left = standing[0]["for_ms"].as_u64().unwrap();
        assert!((3_500_000..3_600_000).contains(&left), "{standing}");
    }
    eventually("it drains", async || health(server_at).await["status"] == "draining").await;
    rpcd(&["undrain", &address, "--registry", &url]).await;
    lists(at, &[server_at]).await;
}

#[tokio::test]
async fn when_all_are_drained_calls_fail_at_once_and_say_so() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_server, address) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[address]).await;
    let refresh_interval = Duration::from_millis(100);
    let options = ClientOptions { refresh_interval, ..Default::default() };
    let client = Client::through_registry(&url, options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    let address = address.to_string();
    rpcd(&["drain", &address, "--maintenance", "--reason", "new disk", "--registry", &url]).await;
    eventually("its list is empty", async || client.instances().is_empty()).await;
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(matches!(error, rpc_client::CallError::NoInstance { .. }), "{error}");
    client.close().await;
    let (code, _, stderr) = run_rpcd(["call", "add", "1", "2", "--registry", &url]).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("maintenance") && stderr.contains("new disk"), "{stderr}");
}

/// It hears nothing of the drain: it is one that a script has registered.
#[tokio::test]
async fn the_last_instance_gets_no_calls_either_once_it_is_drained() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let (url, peer) = (format!("http://{at}"), adder().await);
    let registry = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let mut instance = Instance::new("127.0.0.1", peer.address.port());
    instance.parameters.insert("service".to_owned(), json!("sums"));
    registry.register(&instance).await.unwrap();
    let options =
        ClientOptions { refresh_interval: Duration::from_millis(100), ..ClientOptions::default() };
    let client = Client::through_registry(&url, options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 3);
    let lists = tempfile::tempdir().unwrap();
    let kept = [("CLIENT_LIST_CACHE", lists.path().to_str().unwrap())];
    let call = ["call", "add", "1", "2", "--registry", &url];
    let of_service = [&call[..], &["--service", "sums"]].concat();
    for call in [&call[..], &of_service] {
        let (code, out, said) = run_rpcd_with(&kept, call).await;
        assert_eq!((code, out.trim()), (0, "3"), "{said}");
    }

    rpcd(&["drain", &peer.name(), "--for", "10m", "--registry", &url]).await;
    let before = peer.seen.calls().len();
    for call in [&call[..], &of_service] {
        let (code, _, said) = run_rpcd_with(&kept, call).await;
        assert_eq!(code, 3, "{said}");
        assert!(said.contains("is draining for ") && said.contains("; rpcd undrain"), "{said}");
    }
    eventually("its list is empty", async || client.instances().is_empty()).await;
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::NoInstance { .. }), "{error}");
    assert_eq!(peer.seen.calls().len(), before, "a call went to the drained instance");
    client.close().await;
}

#[tokio::test]
async fn that_the_only_one_who_may_offer_a_method_is_drained_is_said() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let (url, peer) = (format!("http://{at}"), adder().await);
    let (_server, server) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[server]).await;
    let registry = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let mut instance = Instance::new("127.0.0.1", peer.address.port());
    instance.parameters.insert("service".to_owned(), json!("disk"));
    registry.register(&instance).await.unwrap();
    rpcd(&["drain", &peer.name(), "--for", "10m", "--registry", &url]).await;
    for notify in [&[][..], &["--notify"]] {
        let call = [&["call", "df", "--registry", &url], notify].concat();
        let (code, _, said) = run_rpcd(call).await;
        assert_eq!(code, 1, "{said}");
        let expected = format!("not asked: {} (disk), which is draining for ", peer.name());
        assert!(said.contains("no instance offers \"df\": asked 1 of 1"), "{said}");
        assert!(said.contains(&expected) && said.contains("; rpcd undrain"), "{said}");
    }
}

#[tokio::test]
async fn a_mistyped_instance_is_said_and_what_was_set_can_be_taken_back() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_server, address) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[address]).await;
    let wrong = SocketAddr::new(address.ip(), address.port() ^ 1).to_string();
    let (code, stdout, stderr) = run_rpcd(["drain", &wrong, "--registry", &url]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("it gets no calls once it registers"), "{stdout}");
    let said = format!(
        "no instance {wrong} is registered at {url}; this is kept for when it registers; did you mean {address}?"
    );
    assert!(stderr.contains(&said), "{stderr}");
    let (code, stdout, _) = run_rpcd(["undrain", &wrong, "--json", "--registry", &url]).await;
    let taken: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &taken["state"], &taken["listed"]), (0, &json!("draining"), &json!(false)));
    let (code, stdout, _) = run_rpcd(["undrain", &wrong, "--registry", &url]).await;
    assert_eq!((code, stdout.trim()), (0, format!("{wrong} was not drained").as_str()));
}

#[tokio::test]
async fn drain_says_what_it_cannot_do() {
    let dead = ReservedPort::new();
    let (code, _, stderr) = run_rpcd(["drain", "127.0.0.1:1", "--registry", &dead.url()]).await;
    assert_eq!(code, 3, "{stderr}");
    let long = "x".repeat(300);
    for arguments in [
        &["drain", "8089"][..],
        &["drain", "127.0.0.1:1", "--for", "10"],
        &["drain", "127.0.0.1:1", "--reason", &long],
        &["drain"],
    ] {
        let (code, _, stderr) = run_rpcd(arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn what_is_out_of_use_is_said_wherever_an_operator_looks() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_server, server) = Daemon::server_with(&[FAST_HEARTBEATS], &["--registry", &url]).await;
    lists(at, &[server]).await;
    let drain = ["drain", "127.0.0.1:1", "--reason", "deploy 7", "--registry", &url];
    let (code, _, stderr) = run_rpcd(drain).await;
    assert_eq!(code, 0);
    assert!(stderr.contains("no instance 127.0.0.1:1 is registered"), "{stderr}");
    let (_, _, stderr) = run_rpcd(["instances", "--registry", &url]).await;
    let said = "127.0.0.1:1 is not registered; once it is: draining (deploy 7), by ";
    assert!(stderr.contains(said), "{stderr}");

    let address = server.to_string();
    rpcd(&["drain", &address, "--registry", &url]).await;
    eventually("it drains", async || health(server).await["status"] == "draining").await;
    let (code, _, stderr) = run_rpcd(["health", &address]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(&format!("{address} is draining: ")), "{stderr}");

    let server = format!("http://{address}");
    let (code, _, stderr) = run_rpcd(["release-brake", "--registry", &server]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("is not a registry"), "{stderr}");
}
