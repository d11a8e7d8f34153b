//! Shutdown: streams closed, long-polls get replies, two seconds at most.

use std::time::Duration;

use rpc_host::logging::LogRing;
use rpc_registry::{Registry, RegistryError, RegistryOptions};
use tokio::net::TcpStream;

use crate::harness::{Events, Running, get, instance, post, within};

/// Long enough that nothing in these tests ends by it.
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn shutdown_ends_streams_long_polls_and_idle_connections_at_once() {
    let log_ring = Some(LogRing::new(10));
    let options = RegistryOptions { log_ring, drain_timeout: HOUR, ..Default::default() };
    let registry = Running::start(options).await;
    let mut watch = Events::open(&registry, "/v1/watch?beats=1", "").await;
    watch.next().await.unwrap();
    let mut logs = Events::open(&registry, "/v1/logs", "").await;
    let mut idle = registry.peer().await;
    idle.send(&post("/myRegistry/register", "", &instance(1))).await;
    idle.reply().await;
    let mut poll = registry.peer().await;
    poll.send(&get("/myRegistry/findAllInstances?wait=60s", "If-None-Match: *\r\n")).await;
    // Another request on another connection proves that the long-poll has started.
    within(async {
        while registry.metric("rpc_registry_lists_total").await < 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let address = registry.address;
    registry.end().await;
    assert_eq!(poll.reply().await.status, 304);
    assert_eq!(idle.rest().await, "");
    assert_eq!(watch.next().await.unwrap().name, "registered");
    assert!(watch.next().await.is_none() && logs.next().await.is_none());
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn an_unfinished_request_does_not_delay_shutdown() {
    let options =
        RegistryOptions { header_timeout: HOUR, body_timeout: HOUR, ..Default::default() };
    assert!(options.drain_timeout < Duration::from_secs(2));
    let registry = Running::start(options).await;
    let mut slow = registry.peer().await;
    let request = post("/myRegistry/register", "", &instance(1));
    slow.send(&request[..request.len() - 1]).await;
    let mut slower = registry.peer().await;
    slower.send("GET / HT").await;
    // Both are accepted before this one gets its reply.
    assert_eq!(registry.get("/healthz").await.status, 200);
    registry.end().await;
    slow.rest().await;
    slower.rest().await;
}

#[tokio::test]
async fn dropping_a_serving_registry_ends_its_connections() {
    let address = "127.0.0.1:0".parse().unwrap();
    let registry = Registry::bind(address, RegistryOptions::default()).await.unwrap();
    let address = registry.local_addr();
    let serving = tokio::spawn(registry.serve(std::future::pending()));
    let mut peer = crate::harness::Peer::connect(address).await;
    peer.send(&get("/v1/watch", "")).await;
    assert_eq!(peer.head().await.status, 200);
    serving.abort();
    peer.rest().await;
    within(async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_in_use_and_an_invalid_option_are_errors() {
    let first = Running::default().await;
    let taken = Registry::bind(first.address, RegistryOptions::default()).await.unwrap_err();
    assert!(matches!(taken, RegistryError::Bind { .. }));
    assert!(taken.to_string().contains(&first.address.to_string()), "{taken}");
    let options = RegistryOptions { ttl: Duration::ZERO, ..Default::default() };
    let senseless = Registry::bind("127.0.0.1:0".parse().unwrap(), options).await.unwrap_err();
    assert!(senseless.to_string().contains("ttl"), "{senseless}");
}
