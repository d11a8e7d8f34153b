//! Closing or dropping a client stops all its tasks and sockets, however it was used.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions, blocking};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::queries::{has_in_flight, stats};
use rpc_tests::recording_registry::RecordingRegistry;
use serde_json::json;

const FAST: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_closed_client_sends_nothing_and_holds_no_socket() {
    let (client, registry, server, _daemon) = a_busy_client().await;
    client.close().await;
    stopped(&registry, server).await;
    assert!(client.call("add", (1, 2)).await.is_err(), "a closed client makes no calls");
}

#[tokio::test]
async fn a_dropped_client_sends_nothing_and_holds_no_socket() {
    let (client, registry, server, _daemon) = a_busy_client().await;
    let clone = client.clone();
    drop(client);
    assert_eq!(clone.call("add", (1, 2)).await.unwrap(), 13, "a clone keeps it alive");
    drop(clone);
    stopped(&registry, server).await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_on_the_server() {
    let (_daemon, server) = Daemon::server(&["--no-registry"]).await;
    // Only dropping the call ends it within the time of this test.
    let timeout = Duration::from_secs(600);
    let options = ClientOptions { timeout, ..ClientOptions::default() };
    let client = Client::direct(server.to_string(), options).unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("sleep", (600,)).await }
    });
    has_in_flight(server, "sleep", 1).await;
    call.abort();
    has_in_flight(server, "sleep", 0).await;
    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    client.close().await;
}

#[test]
fn the_blocking_client_needs_no_runtime_and_ends_with_its_last_clone() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (daemon, server) = runtime.block_on(Daemon::server(&["--no-registry"]));
    let client = blocking::Client::direct(server.to_string(), ClientOptions::default()).unwrap();
    assert_eq!(client.call("add", (1, 2)).unwrap(), 13);
    assert_eq!(client.call("hello", json!({"name": "Ada"})).unwrap(), "Hello, Ada!");
    drop(client);
    runtime.block_on(eventually("its socket is closed", async || {
        stats(server).await["connections"] == 1
    }));
    drop(daemon);
}

/// A client that refreshes its list often and has called the listed server.
async fn a_busy_client() -> (Client, RecordingRegistry, SocketAddr, Daemon) {
    let registry = RecordingRegistry::start().await;
    let (daemon, server) = Daemon::server(&["--registry", &registry.url()]).await;
    registry.has_received("register", 1).await;
    let options = ClientOptions { refresh_interval: FAST, ..ClientOptions::default() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let calls = (0..20).map(|_| client.call("add", (1, 2)));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap(), 13);
    }
    registry.has_received("findAllInstances", 3).await;
    assert!(stats(server).await["connections"].as_u64().unwrap() > 1);
    (client, registry, server, daemon)
}

async fn stopped(registry: &RecordingRegistry, server: SocketAddr) {
    eventually("its sockets are closed", async || stats(server).await["connections"] == 1).await;
    // One request may have been in flight.
    let requests = registry.count("findAllInstances") + 1;
    let since = Instant::now();
    eventually("ten refreshes could have been", async || since.elapsed() > 10 * FAST).await;
    assert!(
        registry.count("findAllInstances") <= requests,
        "it still sends requests to the registry"
    );
}
