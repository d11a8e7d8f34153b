//! Slow peers, silent peers, and too many of them.

use std::time::Duration;

use rpc_host::shares::Share;
use rpc_registry::RegistryOptions;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use crate::harness::{Peer, Running, get, instance, post, within};

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
async fn bodies_that_do_not_arrive_make_room_for_those_that_do() {
    let options = RegistryOptions { max_arriving_bytes: 100 * 1024, ..Default::default() };
    let registry = Running::start(options).await;
    let whole = format!("[{}]", " ".repeat(60_000));
    let request = post("/v1/heartbeats", "", &whole);
    let (half, rest) = request.split_at(request.len() - 1);
    let [mut oldest, mut second] = [registry.peer().await, registry.peer().await];
    oldest.send(half).await;
    // Its head is read before that of whoever comes later.
    assert_eq!(registry.get("/healthz").await.status, 200);
    second.send(half).await;
    assert_eq!(oldest.rest().await, "");
    second.send(rest).await;
    assert_eq!(second.reply().await.status, 200);
}

/// Places beyond `max_connections` for peers on this machine.
const FOR_LOOPBACK: usize = 8;

/// Connections that got a reply, so that they surely hold their places.
async fn held(registry: &Running, from: [u8; 4], count: usize) -> Vec<Peer> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut peer = Peer::connect_from(from, registry.address).await;
        peer.send(&get("/healthz", "")).await;
        assert_eq!(peer.reply().await.status, 200);
        held.push(peer);
    }
    held
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused_and_counted() {
    let options = RegistryOptions { max_connections: 2, ..Default::default() };
    let registry = Running::start(options).await;
    let mut kept = held(&registry, [127, 0, 0, 1], 2 + FOR_LOOPBACK).await;
    let mut further = registry.peer().await;
    further.send(&post("/myRegistry/register", "", &instance(1))).await;
    further.reply().await.refuses(503, "connection: 2 are open, the limit");
    assert_eq!(further.rest().await, "", "it is closed");
    let asking = kept.last_mut().unwrap();
    asking.send(&get("/metrics", "")).await;
    let metrics = asking.reply().await.body;
    assert!(metrics.contains("\nrpc_registry_connections_refused_total 1\n"), "{metrics}");
    drop(kept);
    within(async {
        while registry.get("/healthz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_address_has_its_share_of_connections_and_others_are_served() {
    let options =
        RegistryOptions { max_connections_per_peer: Share::AtMost(3), ..Default::default() };
    let registry = Running::start(options).await;
    let _kept = held(&registry, [127, 0, 0, 1], 3 + FOR_LOOPBACK).await;
    let mut further = registry.peer().await;
    further.send(&get("/healthz", "")).await;
    further.reply().await.refuses(429, "connection: this address has 3 open, its share");
    held(&registry, [127, 0, 0, 2], 1).await;
}

#[tokio::test]
async fn one_address_has_its_share_of_event_streams() {
    let options = RegistryOptions { max_watchers_per_peer: Share::AtMost(1), ..Default::default() };
    let registry = Running::start(options).await;
    let mut first = registry.peer().await;
    first.send(&get("/v1/watch", "")).await;
    assert_eq!(first.head().await.status, 200);
    let refused = registry.get("/v1/watch").await;
    refused.refuses(429, "stream: this address has 1 event streams open, its share");
    let mut other = Peer::connect_from([127, 0, 0, 2], registry.address).await;
    other.send(&get("/v1/watch", "")).await;
    assert_eq!(other.head().await.status, 200);
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

/// Bytes of the list of [`filled`], at least.
const LIST: usize = 6 << 20;

/// A registry with a list that no socket buffer takes whole.
async fn filled(options: RegistryOptions) -> Running {
    let registry = Running::start(options).await;
    let mut peer = registry.peer().await;
    for port in 1..=1600 {
        let large = with_parameters(port, &"x".repeat(4000));
        peer.send(&post("/myRegistry/register", "", &large)).await;
        assert_eq!(peer.reply().await.status, 200);
    }
    registry
}

fn with_parameters(port: u16, text: &str) -> String {
    format!(r#"{{"protocol":"json","host":"h","port":{port},"parameters":{{"x":"{text}"}}}}"#)
}

/// A connection that has asked, and reads nothing after the status.
async fn stalled(registry: &Running, target: &str) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = within(socket.connect(registry.address)).await.unwrap();
    let request = get(target, "");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    within(stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

const FIND_ALL: &str = "/myRegistry/findAllInstances?proto=json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_bounded_and_their_readers_are_disconnected() {
    for target in [FIND_ALL, "/v1/watch"] {
        let options = RegistryOptions { max_pinned_bytes: LIST, ..Default::default() };
        let registry = filled(options).await;
        let mut unread = Vec::new();
        for change in ["a", "b", "c"] {
            unread.push(stalled(&registry, target).await);
            // What is kept is an older list from here on.
            registry.post("/myRegistry/register", &with_parameters(1, change)).await;
            let list = registry.get(FIND_ALL).await;
            assert_eq!((list.status, list.body.len() > LIST), (200, true), "{target}");
            let pinned = registry.metric("rpc_registry_pinned_bytes").await;
            assert!(pinned < 2.5 * LIST as f64, "{target}: {pinned}");
        }
        assert!(registry.metric("rpc_registry_readers_cut_total").await >= 2.0, "{target}");
        let mut rest = Vec::new();
        let _reset = within(unread[0].read_to_end(&mut rest)).await;
        assert!(rest.len() < LIST, "{target}: it was cut off");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_one_list_share_it() {
    let options = RegistryOptions { max_pinned_bytes: LIST, ..Default::default() };
    let registry = filled(options).await;
    let mut unread = Vec::new();
    for _ in 0..20 {
        unread.push(stalled(&registry, FIND_ALL).await);
    }
    let pinned = registry.metric("rpc_registry_pinned_bytes").await;
    assert!(pinned < 1.5 * LIST as f64, "{pinned}");
    assert_eq!(registry.metric("rpc_registry_readers_cut_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_for_which_there_is_no_room_is_refused_for_a_second() {
    let registry =
        Running::start(RegistryOptions { max_pinned_bytes: 0, ..Default::default() }).await;
    registry.register(1).await;
    assert_eq!(registry.get(FIND_ALL).await.status, 200, "a small one needs none");
    for port in 1..=8 {
        registry.post("/myRegistry/register", &with_parameters(port, &"x".repeat(4000))).await;
    }
    for target in [FIND_ALL, "/v1/instances", "/v1/watch"] {
        let refused = registry.get(target).await;
        assert_eq!(refused.header("retry-after"), Some("1"), "{target}");
        refused.refuses(503, "list: answers that are not read take 0 bytes, the limit");
    }
}
