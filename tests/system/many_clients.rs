//! Thousands of clients of one server at once.

use std::time::Duration;

use futures_util::future::join_all;
use rpc_client::{Client, ClientOptions};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::queries::stats;
use rpc_tests::raw::{Raw, classic};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

const CLIENTS: u64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_clients_are_connected_and_served_at_once() {
    raise_open_files();
    // They are on one machine.
    let no_share = [("SERVER_MAX_CONNECTIONS_PER_PEER", "0")];
    let (_server, address) = Daemon::server_with(&no_share, &["--no-registry"]).await;
    let mut clients = join_all((0..CLIENTS).map(|number| async move {
        let mut raw = Raw::connect(address).await;
        let sum = raw.ask(classic("add", &json!([number, 1]))).await;
        assert_eq!(sum, json!({"res": number + 11}));
        raw
    }))
    .await;
    // All of them are connected now, and so is who asks; by a thread that does not count it while the others lag.
    eventually("all are connected", async || stats(address).await["connections"] == CLIENTS + 1)
        .await;
    // Each is served again.
    join_all(clients.iter_mut().enumerate().map(async |(number, raw)| {
        let squared = raw.ask(classic("square", &json!([number]))).await;
        assert_eq!(squared, json!({"res": number * number}));
    }))
    .await;
    assert_eq!(stats(address).await["connections_refused"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_can_wait_at_once() {
    raise_open_files();
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let started = std::time::Instant::now();
    join_all((0..1000).map(|_| async move {
        let mut raw = Raw::connect(address).await;
        let slept = raw.ask(classic("sleep", &json!([1]))).await;
        assert!(!slept["res"].to_string().contains("Error"), "{slept}");
    }))
    .await;
    // In sequence they would take a quarter of an hour.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_calls_of_one_client_each_get_their_own_result() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let client = Client::direct(address.to_string(), ClientOptions::default()).unwrap();
    let calls = (0..10_000_i64).map(|number| {
        let client = client.clone();
        async move {
            let result = client.call("subtract", (number, 1)).await;
            assert_eq!(result.unwrap(), number - 1);
        }
    });
    join_all(calls).await;
    // One connection carried them all, beside that of the statistics.
    assert!(stats(address).await["connections"].as_u64().unwrap() <= 3);
    client.close().await;
}

/// Raises the soft limit to the hard one, as the daemons do.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(
        maximum.is_none_or(|maximum| maximum > CLIENTS + 500),
        "this machine allows {maximum:?} open files (ulimit -Hn), the test needs more"
    );
}
