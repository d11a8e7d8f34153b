//! More calls than a server can do: it refuses some at once, and nobody waits for others' turn.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rpc_server::{Limits, Method, Server, ServerHandle};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::timeout;

/// A server with a method that keeps its worker for some milliseconds.
async fn serve() -> (SocketAddr, ServerHandle) {
    let work = Method::named("work")
        .parameters(["ms"])
        .sync(|ms: u64| std::thread::sleep(Duration::from_millis(ms)));
    let server = Server::builder().method(work).bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    tokio::spawn(server.serve(std::future::pending()));
    (address, handle)
}

struct Peer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Peer {
    async fn connect(address: SocketAddr) -> Self {
        let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    async fn send(&mut self, calls: std::ops::Range<u64>, method: &str, deadline: Duration) {
        let (mut bytes, deadline) = (String::new(), deadline.as_millis());
        for id in calls {
            bytes += &format!(
                r#"{{"id":{id},"method_name":"{method}","method_args":[5],"method_kwargs":{{}},"meta":{{"deadline_ms":{deadline}}}}}"#
            );
        }
        self.writer.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// The code of the next reply; 0 for a result.
    async fn reply(&mut self) -> i64 {
        let line = self.lines.next_line().await.unwrap().unwrap();
        let reply: Value = serde_json::from_str(&line).unwrap();
        reply["error"]["code"].as_i64().unwrap_or(0)
    }
}

#[tokio::test]
async fn what_cannot_be_done_in_time_is_refused_and_the_rest_is_done() {
    const CALLS: u64 = 100;
    let (address, _handle) = serve().await;
    let ask = |_| async move {
        let mut peer = Peer::connect(address).await;
        peer.send(0..CALLS, "work", Duration::from_millis(400)).await;
        let mut codes = Vec::new();
        for _ in 0..CALLS {
            codes.push(peer.reply().await);
        }
        codes
    };
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for code in join_all((0..8).map(ask)).await.concat() {
        *counts.entry(code).or_default() += 1;
    }
    let [done, refused] = [0, -32002].map(|code| counts.remove(&code).unwrap_or(0));
    assert!(done > 0 && refused > 0, "{done} done, {refused} refused, {counts:?}");
    assert!(counts.keys().all(|code| *code == -32000), "{counts:?}");
    let mut peer = Peer::connect(address).await;
    let is_over = async {
        loop {
            peer.send(0..1, "work", Duration::from_secs(10)).await;
            if peer.reply().await == 0 {
                break;
            }
        }
    };
    timeout(Duration::from_secs(1), is_over).await.expect("normal within a second");
}

#[tokio::test]
async fn a_peer_with_much_to_do_lets_others_have_their_turn() {
    const CALLS: u64 = 100;
    let (address, _handle) = serve().await;
    let [mut busy, mut other] = [Peer::connect(address).await, Peer::connect(address).await];
    busy.send(0..CALLS, "work", Duration::from_secs(60)).await;
    busy.reply().await;
    other.send(0..1, "rpc.health", Duration::from_secs(60)).await;
    let mut before = 1;
    tokio::select! {
        biased;
        _ = other.reply() => {}
        () = async {
            loop {
                busy.reply().await;
                before += 1;
            }
        } => {}
    }
    assert!(before < CALLS / 2, "{before} calls of the other peer came first");
}

/// A server on one worker of its own, which a call of `stuck` keeps until `release` is dropped.
struct Stuck {
    address: SocketAddr,
    started: Arc<Notify>,
    release: std::sync::mpsc::Sender<()>,
    runtime: Runtime,
}

impl Stuck {
    async fn serve() -> Self {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (released, started) = (Mutex::new(released), Arc::new(Notify::new()));
        let starts = started.clone();
        let stuck = Method::named("stuck").parameters(["any"]).sync(move |_: Value| {
            starts.notify_one();
            let _sender_is_gone = released.lock().unwrap().recv();
        });
        let quick = Method::named("quick").parameters(["any"]).sync(|any: u64| any);
        let server = Server::builder().method(stuck).method(quick);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let server = runtime.spawn(server.bind((Ipv4Addr::LOCALHOST, 0))).await.unwrap().unwrap();
        let address = server.local_addr();
        runtime.spawn(server.serve(std::future::pending()));
        Self { address, started, release, runtime }
    }
}

#[tokio::test]
async fn health_is_told_on_a_new_connection_while_every_worker_is_busy() {
    const MINUTE: Duration = Duration::from_secs(60);
    let server = Stuck::serve().await;
    let mut busy = Peer::connect(server.address).await;
    busy.send(0..1, "stuck", MINUTE).await;
    server.started.notified().await;
    let mut healthy = Peer::connect(server.address).await;
    healthy.send(0..1, "rpc.health", MINUTE).await;
    assert_eq!(healthy.reply().await, 0);
    let mut http = Peer::connect(server.address).await;
    http.writer.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(http.lines.next_line().await.unwrap().unwrap(), "HTTP/1.0 200 OK");
    // The rest is the workers' work.
    healthy.send(1..2, "quick", MINUTE).await;
    let mut late = Peer::connect(server.address).await;
    late.send(0..1, "quick", MINUTE).await;
    drop(server.release);
    for peer in [&mut busy, &mut healthy, &mut late] {
        assert_eq!(peer.reply().await, 0);
    }
    server.runtime.shutdown_background();
}

#[tokio::test]
async fn a_synchronous_method_with_long_arguments_runs_beside_the_workers() {
    let server = Stuck::serve().await;
    let mut busy = Peer::connect(server.address).await;
    let text = "x".repeat(Limits::default().max_inline_bytes);
    let call =
        format!(r#"{{"method_name":"stuck","method_args":["{text}"],"method_kwargs":{{}}}}"#);
    // The second classic call waits for the first; so do those of nobody else.
    busy.writer.write_all(call.repeat(2).as_bytes()).await.unwrap();
    server.started.notified().await;
    let mut other = Peer::connect(server.address).await;
    other.send(0..1, "quick", Duration::from_secs(60)).await;
    assert_eq!(other.reply().await, 0);
    drop(server.release);
    for _ in 0..2 {
        assert_eq!(busy.lines.next_line().await.unwrap().unwrap(), r#"{"res":null}"#);
    }
    server.runtime.shutdown_background();
}
