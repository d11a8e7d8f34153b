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
use rpc_server::{Call, InMemory, Limits, LogRing, Method, Server, ServerBuilder, Share, builtin};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

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

/// The value of a metric.
async fn metric(server: SocketAddr, name: &str) -> u64 {
    let mut peer = Peer::connect(server, 1).await;
    peer.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    let mut text = String::new();
    peer.stream.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Sends in the background: the server may not read it all.
fn send_in_background(mut stream: OwnedWriteHalf, bytes: Vec<u8>) {
    tokio::spawn(async move {
        let _ = stream.write_all(&bytes).await;
        // It stays open.
        sleep(TIMEOUT).await;
    });
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

#[tokio::test]
async fn unfinished_requests_of_many_peers_are_refused_in_sum_and_small_calls_go_on() {
    let limits = Limits::default()
        .max_request_bytes(1 << 20)
        .max_buffered_bytes(4 << 20)
        .request_timeout(Duration::from_secs(2));
    let server = serve(with_limits(limits)).await;
    let mut replies = Vec::new();
    for host in 2..18 {
        let (reader, writer) = Peer::connect(server, host).await.stream.into_split();
        let mut request = br#"{"method_name":"echo","method_args":[""#.to_vec();
        request.resize((1 << 20) - 100, b'x');
        send_in_background(writer, request);
        replies.push(reader);
    }
    eventually("the limit is reached", async || {
        metric(server, "rpc_server_buffered_bytes").await > 4 << 20
    })
    .await;
    assert!(metric(server, "rpc_server_buffered_bytes").await < 8 << 20, "little more is kept");
    let mut other = Peer::connect(server, 100).await;
    assert_eq!(other.ask(call(1, "add", &json!([1, 2]))).await["res"], 13);
    let mut refused = 0;
    for mut reader in replies {
        let mut text = String::new();
        let _ = timeout(TIMEOUT, reader.read_to_string(&mut text)).await.unwrap();
        refused += usize::from(text.contains("(max_buffered_bytes)"));
    }
    assert!(refused > 0);
    eventually("all is given back", async || {
        metric(server, "rpc_server_buffered_bytes").await == 0
    })
    .await;
    let large = "x".repeat(1_000_000);
    assert_eq!(other.ask(call(1, "echo", &json!([large]))).await["res"], large);
}

#[tokio::test]
async fn of_peers_that_read_no_replies_those_with_most_are_disconnected() {
    let large = Method::named("large").parameters([]).sync(|| "x".repeat(1_000_000));
    let limits = Limits::default().max_buffered_bytes(8 << 20);
    let server = serve(with_limits(limits).method(large)).await;
    let mut lazy = Vec::new();
    for host in 2..8 {
        let (reader, writer) = Peer::connect(server, host).await.stream.into_split();
        send_in_background(writer, call(1, "large", &json!([])).repeat(60).into_bytes());
        lazy.push(reader);
    }
    let connections = async || metric(server, "rpc_server_connections").await;
    eventually("some are disconnected", async || connections().await < 7).await;
    let kept = async || metric(server, "rpc_server_buffered_bytes").await;
    eventually("the limit is kept", async || kept().await <= 8 << 20).await;
    assert!(connections().await > 1, "no more than needed");
    // Who reads gets the replies.
    let mut other = Peer::connect(server, 100).await;
    for id in 0..20 {
        assert_eq!(other.ask(call(id, "large", &json!([]))).await["id"], id);
    }
}

#[tokio::test]
async fn results_of_others_that_wait_for_room_count_as_kept_for_their_peer() {
    // Made by a task that goes on whether or not the peer reads, as a program behind the server does.
    let large = Method::named("large").parameters([]).asynchronous(async |call: Call| {
        let (send, made) = oneshot::channel();
        tokio::spawn(async move {
            let result = "x".repeat(1_000_000);
            let kept = call.keep(result.len());
            let _ = send.send((result, kept));
        });
        made.await.map(|(result, _kept)| result).unwrap()
    });
    let limits = Limits::default().max_buffered_bytes(16 << 20).max_unwritten_bytes(64 << 10);
    let server = serve(with_limits(limits).method(large)).await;
    let mut lazy = Vec::new();
    for host in 2..6 {
        let (reader, writer) = Peer::connect(server, host).await.stream.into_split();
        send_in_background(writer, call(1, "large", &json!([])).repeat(60).into_bytes());
        lazy.push(reader);
    }
    let connections = async || metric(server, "rpc_server_connections").await;
    eventually("all that keep too much are disconnected", async || connections().await == 1).await;
    eventually("all is given back", async || {
        metric(server, "rpc_server_buffered_bytes").await == 0
    })
    .await;
    // Who reads gets the results.
    let mut other = Peer::connect(server, 100).await;
    for id in 0..3 {
        assert_eq!(other.ask(call(id, "large", &json!([]))).await["id"], id);
    }
}

#[tokio::test]
async fn replies_that_wait_for_others_of_their_batches_are_bounded_in_sum() {
    const LARGE: usize = 1_000_000;
    let now = Method::named("now").parameters([]).sync(|| "x".repeat(LARGE));
    let later = Method::named("later").parameters([]).asynchronous(async || {
        tokio::task::yield_now().await;
        "x".repeat(LARGE)
    });
    let (release, held) = watch::channel(false);
    let hold = Method::named("hold").parameters([]).asynchronous(move || {
        let mut held = held.clone();
        async move { held.wait_for(|released| *released).await.is_ok() }
    });
    let limits = Limits::default().max_buffered_bytes(8 << 20);
    let server = serve(with_limits(limits).methods([now, later, hold])).await;
    let mut waiting = Vec::new();
    for host in 2..42 {
        let large = if host % 4 < 2 { "now" } else { "later" };
        let of = |id: u8, method| json!({"jsonrpc": "2.0", "id": id, "method": method});
        let batch = json!([of(2, "hold"), of(1, large)]).to_string();
        let is_http = host % 2 == 0;
        let request = match is_http {
            true => format!(
                "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n{batch}",
                batch.len()
            ),
            false => batch,
        };
        let mut peer = Peer::connect(server, host).await;
        peer.send(request).await;
        waiting.push((peer, is_http));
    }
    let held = async || metric(server, "rpc_server_calls_in_flight").await;
    eventually("all wait", async || held().await == 40).await;
    let kept = async || metric(server, "rpc_server_buffered_bytes").await;
    let most = 8 << 20;
    eventually("the limit is reached", async || kept().await > most).await;
    assert!(kept().await < most + (4 << 20), "{}", kept().await);
    // A batch that waits for nothing is answered, and what is short is kept.
    let mut other = Peer::connect(server, 100).await;
    for method in ["now", "later"] {
        let alone = json!([{"jsonrpc": "2.0", "id": 3, "method": method}]).to_string();
        assert_eq!(other.ask(alone).await[0]["result"].as_str().map(str::len), Some(LARGE));
    }
    release.send(true).unwrap();
    let (mut whole, mut lost) = (0, 0);
    for (mut peer, is_http) in waiting {
        let replies = match is_http {
            true => {
                let mut text = String::new();
                timeout(TIMEOUT, peer.stream.read_to_string(&mut text)).await.unwrap().unwrap();
                serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
            }
            false => peer.reply().await.unwrap(),
        };
        let of = |id: u8| replies.as_array().unwrap().iter().find(|reply| reply["id"] == id);
        assert_eq!(of(2).unwrap()["result"], true);
        let large = of(1).unwrap();
        whole += usize::from(large["result"].as_str().is_some_and(|text| text.len() == LARGE));
        let told = large["error"]["message"].as_str().unwrap_or_default();
        let is_told = told.contains("was executed") && told.contains("(max_buffered_bytes)");
        lost += usize::from(large["error"]["code"] == -32005 && is_told);
    }
    assert!(whole >= 6 && lost >= 20 && whole + lost == 40, "{whole} whole, {lost} lost");
    eventually("all is given back", async || kept().await == 0).await;
}

#[tokio::test]
async fn classic_calls_that_wait_are_bounded_in_bytes() {
    let limits = Limits::default().max_request_bytes(1 << 20);
    let server = serve(with_limits(limits)).await;
    let (_reader, writer) = Peer::connect(server, 2).await.stream.into_split();
    let classic = |method: &str, args: &Value| {
        format!(r#"{{"method_name":"{method}","method_args":{args},"method_kwargs":{{}}}}"#)
    };
    let echo = classic("echo", &json!(["x".repeat(1_000_000)]));
    let requests = classic("sleep", &json!([60])) + &echo.repeat(50);
    send_in_background(writer, requests.into_bytes());
    let kept = async || metric(server, "rpc_server_buffered_bytes").await;
    eventually("calls wait", async || kept().await > 1 << 20).await;
    // Two wait at most, and one is in the input.
    for _ in 0..20 {
        assert!(kept().await < 6 << 20);
    }
}

#[tokio::test]
async fn classic_calls_that_wait_are_calls_in_flight() {
    let mut server = in_memory(Limits::default().max_calls(3));
    let sleep = |seconds: f64| {
        format!(r#"{{"method_name":"sleep","method_args":[{seconds}],"method_kwargs":{{}}}}"#)
    };
    let requests = [0.1, 0.01, 0.02, 0.03].map(sleep).concat();
    let replies = replies(&mut server, &requests).await;
    assert_eq!(replies[..3], [json!({"res": 0.1}), json!({"res": 0.01}), json!({"res": 0.02})]);
    assert!(replies[3]["res"].as_str().unwrap().contains("(max_calls)"), "{replies:?}");
}

#[tokio::test]
async fn a_stream_without_a_deadline_ends_when_its_reader_takes_nothing() {
    let endless =
        Method::named("endless").parameters([]).stream(|| stream::repeat("x".repeat(10_000)));
    // Long enough to see both.
    let limits = Limits::default().idle_timeout(Duration::from_secs(4));
    let server = serve(with_limits(limits).method(endless)).await;
    let mut lazy = Peer::connect(server, 2).await;
    lazy.send(r#"{"id":1,"method_name":"endless","meta":{"stream":true}}"#).await;
    let mut reader = Peer::connect(server, 3).await;
    reader.send(r#"{"id":1,"method_name":"endless","meta":{"stream":true}}"#).await;
    let in_flight = async || metric(server, "rpc_server_calls_in_flight").await;
    eventually("both streams are open", async || in_flight().await == 2).await;
    eventually("one has ended", async || {
        reader.reply().await.expect("who reads stays");
        in_flight().await == 1
    })
    .await;
}

#[tokio::test]
async fn white_space_does_not_keep_a_connection_open() {
    let idle = Duration::from_millis(500);
    let server = serve(with_limits(Limits::default().idle_timeout(idle))).await;
    let mut called = Peer::connect(server, 2).await;
    assert_eq!(called.ask(call(1, "add", &json!([1, 2]))).await["res"], 13);
    for mut peer in [called, Peer::connect(server, 2).await] {
        let sending = async {
            while peer.stream.write_all(b" ").await.is_ok() {
                sleep(idle / 10).await;
            }
        };
        timeout(TIMEOUT, sending).await.expect("the connection is closed");
    }
}

#[tokio::test]
async fn one_peer_cannot_take_the_places_for_all_connections() {
    // This machine, which all peers of a test are on, has 8 beyond.
    let limits = Limits::default().max_connections(4).max_connections_per_peer(Share::AtMost(1));
    let server = serve(with_limits(limits)).await;
    let mut inside = Vec::new();
    for host in [2; 9].into_iter().chain([3; 3]) {
        let mut peer = Peer::connect(server, host).await;
        assert_eq!(peer.ask(call(1, "add", &json!([1, 2]))).await["res"], 13);
        inside.push(peer);
    }
    let add = call(1, "add", &json!([1, 2]));
    let share = Peer::connect(server, 2).await.ask(&add).await;
    assert!(is_refused(&share, "max_connections_per_peer"), "{share}");
    let whole = Peer::connect(server, 4).await.ask(&add).await;
    assert!(is_refused(&whole, "max_connections"), "{whole}");
}

#[tokio::test]
async fn a_connection_without_a_request_gives_way_and_one_with_a_call_does_not() {
    let limits = Limits::default().max_connections(1).idle_timeout(Duration::from_secs(5));
    let server = serve(with_limits(limits)).await;
    let mut busy = Peer::connect(server, 2).await;
    busy.send(call(1, "sleep", &json!([2]))).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(Peer::connect(server, 2).await);
    }
    for _ in 0..4 {
        let mut peer = Peer::connect(server, 2).await;
        assert_eq!(peer.ask(call(1, "add", &json!([1, 2]))).await["res"], 13);
        silent.push(peer);
    }
    let mut served = Vec::new();
    eventually("all silent ones have given way", async || {
        let mut peer = Peer::connect(server, 3).await;
        let reply = peer.ask(call(1, "add", &json!([1, 2]))).await;
        if reply["res"] == 13 {
            served.push(peer);
        }
        served.len() == 8
    })
    .await;
    for mut peer in silent {
        assert_eq!(peer.reply().await, None);
    }
    assert_eq!(busy.reply().await.unwrap()["error"], Value::Null);
}
