//! What is kept for requests that are small each, and many together, is bounded in sum; small calls go on.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_server::{Limits, Method, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::harness::{self, JSON, TIMEOUT, eventually, metric, post};

/// Below what a connection was ever counted for alone.
const LONG: usize = 14_000;
const CONNECTIONS: usize = 40;
const MOST: usize = CONNECTIONS * LONG / 2;

async fn serve() -> SocketAddr {
    let wait = Method::named("wait").parameters(["value"]).asynchronous(async |_: String| {
        std::future::pending::<()>().await;
    });
    let length = Method::named("length").parameters(["value"]).sync(|value: String| value.len());
    let limits = Limits::default().max_buffered_bytes(MOST).request_timeout(Duration::from_secs(2));
    harness::serve(Server::builder().methods([wait, length]).limits(limits)).await
}

async fn reply_to(server: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// What comes until the server closes, or resets.
async fn rest(stream: &mut TcpStream) -> String {
    let mut reply = Vec::new();
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut reply)).await.unwrap();
    String::from_utf8(reply).unwrap()
}

/// Opens connections with this request each until the server keeps as much as it may.
async fn fill(server: SocketAddr, request: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(server).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let is_full = async || metric(server, "rpc_server_buffered_bytes").await > MOST as u64;
    eventually("the server keeps as much as it may", is_full).await;
    streams
}

/// Calls of up to 4 KiB, by each door.
async fn small_calls_go_on(server: SocketAddr) {
    let value = "x".repeat(3_500);
    let body = format!("[\"{value}\"]");
    let http = post("/call/length", JSON, &body);
    assert!(reply_to(server, &http).await.ends_with("\r\n\r\n3500"));
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..3 {
        let call = format!("{{\"id\":1,\"method_name\":\"length\",\"method_args\":{body}}}");
        let (first, last) = call.split_at(2_000);
        stream.write_all(first.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(last.as_bytes()).await.unwrap();
        let mut reply = vec![0; "{\"id\":1,\"res\":3500}\n".len()];
        timeout(TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
        assert_eq!(reply, b"{\"id\":1,\"res\":3500}\n");
    }
}

fn letters() -> String {
    "x".repeat(LONG)
}

#[tokio::test(flavor = "multi_thread")]
async fn half_messages_are_bounded_in_sum_and_small_calls_go_on() {
    let server = serve().await;
    let half = format!("{{\"id\":1,\"method_name\":\"length\",\"method_args\":[\"{}", letters());
    let mut streams = fill(server, &half).await;
    small_calls_go_on(server).await;
    let mut refused = 0;
    for stream in &mut streams {
        refused += usize::from(rest(stream).await.contains("max_buffered_bytes"));
    }
    assert!(refused > 0, "none is told of the limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_bodies_are_bounded_in_sum_and_small_calls_go_on() {
    let server = serve().await;
    let half = format!(
        "POST /call/length HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n[\"{}",
        2 * LONG,
        letters()
    );
    let mut streams = fill(server, &half).await;
    small_calls_go_on(server).await;
    // One that comes now.
    assert!(reply_to(server, &half).await.starts_with("HTTP/1.1 "));
    let mut refused = 0;
    for stream in &mut streams {
        refused += usize::from(rest(stream).await.contains("max_buffered_bytes"));
    }
    assert!(refused > 0, "none is told of the limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_heads_are_bounded_in_sum_and_small_calls_go_on() {
    let server = serve().await;
    let half = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}", letters());
    let _streams = fill(server, &half).await;
    small_calls_go_on(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_calls_that_wait_are_bounded_in_sum_and_small_calls_go_on() {
    let server = serve().await;
    let call =
        format!("{{\"id\":1,\"method_name\":\"wait\",\"method_args\":[\"{}\"]}}\n", letters());
    let _streams = fill(server, &call).await;
    small_calls_go_on(server).await;
    let request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"length\",\"params\":[\"\"]}";
    let batch = format!("[{}]", vec![request; 100].join(","));
    let reply = reply_to(server, &post("/rpc", JSON, &batch)).await;
    assert!(reply.contains("\"id\":null") && reply.contains("max_buffered_bytes"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_that_nobody_reads_count_for_who_asked_for_them() {
    // One document of them is longer than what is copied of the lists of methods.
    let method = |number| Method::named(format!("method_{number}")).parameters([]).sync(|| 1);
    let server = harness::serve(Server::builder().methods((0..300).map(method))).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut unread = socket.connect(server).await.unwrap();
    let calls = "{\"id\":1,\"method_name\":\"rpc.stats\"}\n".repeat(500);
    unread.write_all(calls.as_bytes()).await.unwrap();
    let counts = async || metric(server, "rpc_server_buffered_bytes").await > 1 << 20;
    eventually("what it does not read is counted", counts).await;
}
