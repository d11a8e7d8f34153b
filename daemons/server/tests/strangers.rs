//! What a stranger can make a server keep is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::stream;
use rpc_server::{InMemory, Limits, LogRing, Method, Server, ServerBuilder, Share, builtin};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(20);

/// A server on a free port, until the test ends.
async fn serve(builder: ServerBuilder) -> SocketAddr {
    let server = builder.methods(builtin::methods()).bind((Ipv4Addr::UNSPECIFIED, 0)).await;
    let server = server.unwrap();
    let port = server.local_addr().port();
    tokio::spawn(server.serve(std::future::pending()));
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn with_limits(limits: Limits) -> ServerBuilder {
    Server::builder().limits(limits)
}

/// A connection from 127.0.0.`host`: each is another peer.
struct Peer {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Peer {
    async fn connect(server: SocketAddr, host: u8) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from([127, 0, 0, host]), 0).into()).unwrap();
        Self { stream: socket.connect(server).await.unwrap(), seen: Vec::new() }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn ask(&mut self, request: impl AsRef<[u8]>) -> Value {
        self.send(request).await;
        self.reply().await.expect("a reply, not the end")
    }

    /// The next reply; `None` at the end.
    async fn reply(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let read = timeout(TIMEOUT, self.stream.read_buf(&mut self.seen)).await.unwrap();
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }
}

fn call(id: u32, method: &str, args: &Value) -> String {
    format!(r#"{{"id":{id},"method_name":"{method}","method_args":{args}}}"#)
}

fn is_refused(reply: &Value, option: &str) -> bool {
    let message = reply["error"]["message"].as_str().unwrap_or_default();
    reply["error"]["code"] == -32002 && message.contains(&format!("({option})"))
}

fn in_memory(limits: Limits) -> InMemory {
    Server::builder().methods(builtin::methods()).limits(limits).in_memory().unwrap()
}

/// The replies to these requests.
async fn replies(server: &mut InMemory, requests: &str) -> Vec<Value> {
    let replies = String::from_utf8(server.answer(requests.as_bytes()).await.to_vec()).unwrap();
    replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_id_that_is_too_long_is_refused_without_it() {
    let mut server = in_memory(Limits::default());
    let call = |id: &str| format!(r#"{{"id":"{id}","method_name":"sleep","method_args":[0]}}"#);
    let longest = "x".repeat(126);
    assert_eq!(replies(&mut server, &call(&longest)).await[0]["id"], longest);
    let long = "x".repeat(127);
    let cancel = format!(r#"{{"cancel":"{long}"}}"#);
    let no_method = format!(r#"{{"id":"{long}"}}"#);
    for request in [call(&long), cancel, no_method] {
        let refused = replies(&mut server, &request).await;
        let text = "Error calling method: id is longer than 128 bytes (max_id_bytes)";
        assert_eq!(refused, [json!({ "res": text })], "{request}");
    }
}

#[tokio::test]
async fn no_caller_waits_longer_than_the_longest_deadline() {
    let limits = Limits::default().max_deadline(Duration::from_millis(100));
    let endless = Method::named("endless").parameters([]).stream(stream::pending::<u8>);
    let server = Server::builder().methods(builtin::methods()).method(endless).limits(limits);
    let mut server = server.in_memory().unwrap();
    for (method, args) in [("sleep", "[3e9]"), ("endless", "[]")] {
        let request = format!(
            r#"{{"id":1,"method_name":"{method}","method_args":{args},"meta":{{"deadline_ms":{},"stream":true}}}}"#,
            u64::MAX
        );
        let reply = timeout(TIMEOUT, replies(&mut server, &request)).await.unwrap();
        assert_eq!(reply[0]["error"]["code"], -32000, "{reply:?}");
    }
}

#[tokio::test]
async fn one_peer_cannot_take_the_places_for_all_calls_or_streams() {
    let limits = Limits::default()
        .max_calls(6)
        .max_calls_per_peer(Share::AtMost(3))
        .max_streams(2)
        .max_streams_per_peer(Share::AtMost(1));
    let endless = Method::named("endless").parameters([]).stream(stream::pending::<u8>);
    let server = serve(with_limits(limits).method(endless)).await;
    let open = r#"{"id":1,"method_name":"endless","meta":{"stream":true}}"#;
    let sleep = |id| call(id, "sleep", &json!([60]));
    // Its connections share.
    let (mut one, mut two) = (Peer::connect(server, 2).await, Peer::connect(server, 2).await);
    one.send(open.to_owned() + &sleep(2)).await;
    assert_eq!(one.ask(call(3, "add", &json!([1, 2]))).await["res"], 13);
    assert!(is_refused(&two.ask(open).await, "max_streams_per_peer"));
    assert!(is_refused(&two.ask(sleep(1) + &sleep(2)).await, "max_calls_per_peer"));
    let mut other = Peer::connect(server, 3).await;
    other.send(open.to_owned() + &sleep(2) + &sleep(3)).await;
    assert_eq!(other.ask(call(4, "add", &json!([1, 2]))).await["res"], 13);
    let mut third = Peer::connect(server, 4).await;
    assert!(is_refused(&third.ask(sleep(1)).await, "max_calls"));
    other.send(r#"{"cancel":3}"#).await;
    assert_eq!(other.reply().await.unwrap()["error"]["code"], -32001);
    assert!(is_refused(&third.ask(open).await, "max_streams"));
}

#[tokio::test]
async fn the_log_has_places_of_its_own() {
    let limits = Limits::default().max_calls(1).max_log_streams(2);
    let ring = LogRing::new(10);
    let server = serve(with_limits(limits).log_ring(ring)).await;
    let follow = r#"{"id":2,"method_name":"rpc.logs","meta":{"stream":true}}"#;
    let mut stranger = Peer::connect(server, 2).await;
    stranger.send(call(1, "sleep", &json!([60])) + follow).await;
    assert!(is_refused(&stranger.ask(follow).await, "max_log_streams_per_peer"));
    let mut operator = Peer::connect(server, 3).await;
    assert!(is_refused(&operator.ask(call(1, "sleep", &json!([0]))).await, "max_calls"));
    operator.send(follow).await;
    assert_eq!(operator.ask(call(1, "add", &json!([1, 2]))).await["res"], 13);
    let mut other = Peer::connect(server, 4).await;
    assert!(is_refused(&other.ask(follow).await, "max_log_streams"));
}

#[tokio::test]
async fn the_text_that_a_log_is_searched_for_is_short() {
    let mut server = Server::builder().log_ring(LogRing::new(10)).in_memory().unwrap();
    let text = "x".repeat(1025);
    let request = format!(
        r#"{{"id":1,"method_name":"rpc.logs","method_kwargs":{{"contains":"{text}"}},"meta":{{"stream":true}}}}"#
    );
    let refused = replies(&mut server, &request).await;
    assert_eq!(refused[0]["error"]["code"], -32602, "{refused:?}");
}
