//! Slow peers, silent peers, and too many of them.

use std::time::Duration;

use rpc_registry::RegistryOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use crate::harness::{Peer, Running, instance, post, within};

/// Short for a test, and longer than a polite peer needs on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn slow_headers_close_their_connection() {
    let registry =
        Running::start(RegistryOptions { header_timeout: SHORT, ..Default::default() }).await;
    let mut silent = registry.peer().await;
    let mut slow = registry.peer().await;
    slow.send("GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: ").await;
    for peer in [&mut silent, &mut slow] {
        assert!(!peer.rest().await.contains("200 OK"));
    }
    assert_eq!(registry.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_that_is_idle_is_closed() {
    let registry =
        Running::start(RegistryOptions { header_timeout: SHORT, ..Default::default() }).await;
    let mut peer = registry.peer().await;
    peer.send(&post("/myRegistry/register", "", &instance(1))).await;
    assert_eq!(peer.reply().await.status, 200);
    assert_eq!(peer.rest().await, "");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_gets_408() {
    let registry =
        Running::start(RegistryOptions { body_timeout: SHORT, ..Default::default() }).await;
    let mut peer = registry.peer().await;
    let request = post("/myRegistry/register", "", &instance(1));
    peer.send(&request[..request.len() - 1]).await;
    peer.reply().await.refuses(408, "body: did not arrive in time");
    assert_eq!(registry.metric("rpc_registry_instances").await, 0.0);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_unread_and_counted() {
    let registry =
        Running::start(RegistryOptions { max_connections: 2, ..Default::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut peer = registry.peer().await;
        peer.send(&post("/myRegistry/register", "", &instance(1))).await;
        assert_eq!(peer.reply().await.status, 200);
        kept.push(peer);
    }
    assert_eq!(registry.peer().await.rest().await, "");
    let asking = kept.last_mut().unwrap();
    asking.send(&crate::harness::get("/metrics", "")).await;
    let metrics = asking.reply().await.body;
    assert!(metrics.contains("\nrpc_registry_connections_refused_total 1\n"), "{metrics}");
    drop(kept);
    within(async {
        loop {
            let mut peer = registry.peer().await;
            peer.send(&post("/myRegistry/register", "Connection: close\r\n", &instance(1))).await;
            if !peer.rest().await.is_empty() {
                break;
            }
        }
    })
    .await;
}

/// Fills the socket buffers of a watcher that reads nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_reads_nothing_delays_nobody_and_is_disconnected() {
    let registry =
        Running::start(RegistryOptions { write_timeout: SHORT, ..Default::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = within(socket.connect(registry.address)).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /v1/watch HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    let mut peer = Peer::connect(registry.address).await;
    within(async {
        for n in 0u64.. {
            let long = format!("{n:04000}");
            let body = format!(
                r#"{{"protocol":"json","host":"h","port":1,"parameters":{{"x":"{long}"}}}}"#
            );
            peer.send(&post("/myRegistry/register", "", &body)).await;
            assert_eq!(peer.reply().await.status, 200);
            if n % 100 == 0 && registry.metric("rpc_registry_streams").await == 0.0 {
                break;
            }
        }
    })
    .await;
}
