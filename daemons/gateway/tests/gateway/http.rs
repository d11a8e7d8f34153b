//! A gateway as a client meets it by HTTP, with a server behind it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rpc_gateway::{Endpoint, GatewayOptions, HttpOptions};
use rpc_host::shares::Share;
use rpc_security::{Access, AuditLog, Auth, Guard, Role, TokenFile, secret};
use rpc_server::{Call, Failure, Method, ServerHandle, rpc_method};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::harness::{self, TIMEOUT, double, gateway, methods_with};

/// The trace context of the call.
#[rpc_method(read_only)]
fn trace(call: Call) -> Option<String> {
    call.traceparent().map(str::to_owned)
}

/// Tells that a call of [`hold`] has begun.
static HELD: Notify = Notify::const_new();

/// The same, for one test that is told when it begins.
#[rpc_method(read_only)]
async fn hold() -> Result<(), Failure> {
    HELD.notify_one();
    std::future::pending().await
}

/// A gateway and the server behind it.
struct Fixture {
    address: SocketAddr,
    server: ServerHandle,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// What came back.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(GatewayOptions::default(), HttpOptions::default()).await
    }

    async fn with(options: GatewayOptions, http: HttpOptions) -> Self {
        let (gateway, server) =
            gateway(methods_with([hold::method(), trace::method()]), options).await;
        let endpoint = Endpoint::bind((Ipv4Addr::LOCALHOST, 0).into(), gateway, http).unwrap();
        let address = endpoint.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(endpoint.serve(async move {
            let _ = stopped.await;
        }));
        Self { address, server, stop: Some(stop), serving }
    }

    async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, request: &str) -> Reply {
        let mut stream = self.open(request).await;
        let mut bytes = Vec::new();
        timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    async fn post(&self, headers: &str, message: &Value) -> Reply {
        self.ask(&post(headers, &message.to_string())).await
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn legacy(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A stateless request, with the headers that go with it.
fn modern(method: &str, params: Value) -> (String, Value) {
    let mut headers = format!("mcp-protocol-version: 2026-07-28\r\nMcp-Method: {method}\r\n");
    if let Some(name) = params["name"].as_str() {
        headers.push_str(&format!("Mcp-Name: {name}\r\n"));
    }
    (headers, harness::modern(1, method, params))
}

/// The messages among events.
fn messages(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Reads until what was read contains `word`.
async fn read_until(stream: &mut TcpStream, word: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(word) {
        let count = timeout(TIMEOUT, stream.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "it ended: {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

#[tokio::test]
async fn both_eras_are_answered_at_the_same_place() {
    let fixture = Fixture::new().await;
    let (headers, message) =
        modern("tools/call", json!({"name": "double", "arguments": {"number": 4}}));
    let reply = fixture.post(&headers, &message).await;
    assert_eq!((reply.status, &reply.json()["result"]["structuredContent"]), (200, &json!(8)));
    let initialize = legacy("initialize", json!({"protocolVersion": "2025-11-25"}));
    let reply = fixture.post("", &initialize).await;
    assert_eq!(reply.json()["result"]["capabilities"], json!({"tools": {}}));
    assert!(!reply.head.contains("mcp-session-id"), "{}", reply.head);
    let call = legacy("tools/call", json!({"name": "double", "arguments": {"number": 4}}));
    let reply =
        fixture.post("MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: x\r\n", &call).await;
    assert_eq!(reply.json()["result"]["structuredContent"], json!({"result": 8}));
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let reply = fixture.post("", &ready).await;
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let fixture = Fixture::new().await;
    let (headers, message) =
        modern("tools/call", json!({"name": "double", "arguments": {"number": 4}}));
    for wrong in [
        headers.replace("2026-07-28", "2025-11-25"),
        headers.replace("Mcp-Method: tools/call", "Mcp-Method: tools/list"),
        headers.replace("Mcp-Name: double", "Mcp-Name: wait"),
        headers.replace("Mcp-Name: double\r\n", ""),
        headers.replace("Mcp-Method: tools/call\r\n", ""),
        format!("{headers}Mcp-Name: double\r\n"),
        String::new(),
    ] {
        let reply = fixture.post(&wrong, &message).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (400, &json!(-32020)),
            "{wrong}"
        );
    }
    let padded = headers.replace("Mcp-Name: double", "mcp-name:   double  ");
    assert_eq!(fixture.post(&padded, &message).await.status, 200);
    let unknown = message.to_string().replace("2026-07-28", "2030-01-01");
    let headers = headers.replace("2026-07-28", "2030-01-01");
    let reply = fixture.ask(&post(&headers, &unknown)).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["data"]["supported"], json!(["2026-07-28"]));
}

#[tokio::test]
async fn only_post_at_one_path_is_served() {
    let fixture = Fixture::new().await;
    for method in ["GET", "DELETE", "PUT"] {
        let head =
            format!("{method} /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let reply = fixture.ask(&head).await;
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.head.contains("allow: post"), "{}", reply.head);
    }
    let elsewhere = post("", "{}").replace("/mcp", "/");
    assert_eq!(fixture.ask(&elsewhere).await.status, 404);
    let as_form = post("", "{}").replace("application/json", "text/plain");
    assert_eq!(fixture.ask(&as_form).await.status, 415);
    let (headers, message) = modern("prompts/list", json!({}));
    let reply = fixture.post(&headers, &message).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn foreign_pages_and_hosts_are_refused_and_allowed_ones_are_served() {
    let http = HttpOptions {
        allowed_origins: vec!["https://app.example".to_owned()],
        ..HttpOptions::default()
    };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let ping = legacy("ping", json!({}));
    for origin in ["https://evil.example", "null"] {
        let reply = fixture.post(&format!("origin: {origin}\r\n"), &ping).await;
        assert_eq!((reply.status, reply.json().get("id")), (403, None), "{origin}");
    }
    let rebound = post("", &ping.to_string()).replace("host: localhost", "host: evil.example");
    assert_eq!(fixture.ask(&rebound).await.status, 403);
    let reply = fixture.post("origin: https://app.example\r\n", &ping).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.head.contains("access-control-allow-origin: https://app.example"),
        "{}",
        reply.head
    );
}

#[tokio::test]
async fn a_stream_tells_its_progress_and_then_its_result() {
    let fixture = Fixture::new().await;
    let (headers, mut message) =
        modern("tools/call", json!({"name": "count", "arguments": {"to": 3, "milliseconds": 100}}));
    message["params"]["_meta"]["progressToken"] = json!("p");
    let reply = fixture.post(&headers, &message).await;
    assert!(
        reply.head.contains("text/event-stream") && reply.head.contains("x-accel-buffering: no")
    );
    let messages = messages(&reply.body);
    let progress: Vec<_> =
        messages.iter().filter_map(|it| it["params"]["progress"].as_u64()).collect();
    assert_eq!(progress, [1, 2, 3]);
    assert_eq!(messages.last().unwrap()["result"]["structuredContent"], json!([1, 2, 3]));
    // Who takes no events gets the result alone.
    let reply = fixture.post(&format!("{headers}accept: application/json\r\n"), &message).await;
    assert_eq!(reply.json()["result"]["structuredContent"], json!([1, 2, 3]));
}

#[tokio::test]
async fn a_closed_connection_cancels_its_call() {
    let options = GatewayOptions { max_calls: 1, ..GatewayOptions::default() };
    let fixture = Fixture::with(options, HttpOptions::default()).await;
    let (headers, message) = modern("tools/call", json!({"name": "hold", "arguments": {}}));
    let double = modern("tools/call", json!({"name": "double", "arguments": {"number": 1}}));
    let is_busy =
        async || fixture.post(&double.0, &double.1).await.json()["result"]["isError"] == true;
    let stream = fixture.open(&post(&headers, &message.to_string())).await;
    timeout(TIMEOUT, HELD.notified()).await.unwrap();
    assert!(is_busy().await);
    drop(stream);
    timeout(TIMEOUT, async { while is_busy().await {} }).await.unwrap();
}

#[tokio::test]
async fn a_subscription_tells_changes_and_ends_with_the_gateway() {
    let mut fixture = Fixture::new().await;
    let (headers, message) =
        modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut stream = fixture.open(&post(&headers, &message.to_string())).await;
    let first = read_until(&mut stream, "acknowledged").await;
    assert!(first.contains("text/event-stream"), "{first}");
    fixture.server.replace_methods(vec![double::method()]).unwrap();
    let changed = read_until(&mut stream, "list_changed").await;
    assert!(changed.contains(r#""io.modelcontextprotocol/subscriptionId":1"#), "{changed}");
    drop(fixture.stop.take());
    read_until(&mut stream, r#""resultType":"complete""#).await;
    timeout(TIMEOUT, fixture.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_silent_subscription_gives_signs_of_life() {
    let http =
        HttpOptions { keepalive_interval: Duration::from_millis(20), ..HttpOptions::default() };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let (headers, message) = modern("subscriptions/listen", json!({}));
    let mut stream = fixture.open(&post(&headers, &message.to_string())).await;
    read_until(&mut stream, "\n:\n\n").await;
}

#[tokio::test]
async fn a_call_in_flight_at_the_end_has_its_time_and_no_more() {
    let http = HttpOptions { drain_timeout: Duration::from_secs(1), ..HttpOptions::default() };
    let mut fixture = Fixture::with(GatewayOptions::default(), http).await;
    let (headers, message) =
        modern("tools/call", json!({"name": "count", "arguments": {"to": 1, "milliseconds": 100}}));
    let (wait_headers, wait) = modern("tools/call", json!({"name": "wait", "arguments": {}}));
    // The tools are known.
    fixture.post("", &legacy("tools/list", json!({}))).await;
    let mut short = fixture.open(&post(&headers, &message.to_string())).await;
    let mut long = fixture.open(&post(&wait_headers, &wait.to_string())).await;
    sleep(Duration::from_millis(50)).await;
    drop(fixture.stop.take());
    read_until(&mut short, "structuredContent").await;
    let mut rest = Vec::new();
    let ended = timeout(TIMEOUT, long.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    timeout(TIMEOUT, fixture.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn slow_and_large_requests_are_refused_and_idle_connections_closed() {
    let http = HttpOptions {
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        ..HttpOptions::default()
    };
    let options = GatewayOptions { max_message_bytes: 1000, ..GatewayOptions::default() };
    let fixture = Fixture::with(options, http).await;
    let long = fixture.ask(&post("", &format!("\"{}\"", "x".repeat(2000)))).await;
    assert_eq!(long.status, 413);
    let slow = post("", "{}").replace("content-length: 2", "content-length: 20");
    assert_eq!(fixture.ask(&slow).await.status, 408);
    let mut idle = fixture.open("POST /mcp HTTP/1.1\r\nhost: ").await;
    let mut rest = Vec::new();
    let _ = timeout(TIMEOUT, idle.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn who_sends_a_message_over_the_limit_before_it_reads_is_told_so() {
    let fixture = Fixture::new().await;
    let length = 10_000_000;
    let mut stream = fixture.open(&post("", &"x".repeat(length))).await;
    let mut reply = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("larger than 1048576 bytes (max_message_bytes)"), "{reply}");
    // Without a length it is read as far as the limit.
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n",
        "x".repeat(length)
    );
    let reply = fixture.ask(&chunked).await;
    assert!(reply.status == 413 && reply.body.contains("max_message_bytes"), "{}", reply.body);
}

#[tokio::test]
async fn a_call_is_made_in_the_trace_context_of_its_request() {
    let fixture = Fixture::new().await;
    let call = |meta: Value| legacy("tools/call", json!({"name": "trace", "_meta": meta}));
    let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let reply = fixture.post(&format!("traceparent: {context}\r\n"), &call(json!({}))).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["result"], context);
    let reply = fixture.post("", &call(json!({"traceparent": context}))).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["result"], context);
}

#[tokio::test]
async fn one_connection_more_than_the_limit_is_told_so() {
    let http = HttpOptions { max_connections: 1, ..HttpOptions::default() };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let _first = fixture.open("POST").await;
    let reply = loop {
        let reply = fixture.post("", &legacy("ping", json!({}))).await;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("max_connections"), "{}", reply.body);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_loses_its_connection() {
    let http = HttpOptions {
        max_connections: 1,
        write_timeout: Duration::from_millis(200),
        ..HttpOptions::default()
    };
    let options = GatewayOptions { max_result_bytes: 32 << 20, ..GatewayOptions::default() };
    let fixture = Fixture::with(options, http).await;
    let (headers, message) =
        modern("tools/call", json!({"name": "text", "arguments": {"bytes": 16 << 20}}));
    let _silent = fixture.open(&post(&headers, &message.to_string())).await;
    let is_served = async || fixture.post("", &legacy("ping", json!({}))).await.status == 200;
    timeout(TIMEOUT, async { while !is_served().await {} }).await.unwrap();
}

#[tokio::test]
async fn all_who_read_a_list_share_its_room_and_one_that_is_still_read_keeps_it_from_the_next() {
    let http = HttpOptions { max_buffered_bytes: 16 << 20, ..HttpOptions::default() };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let list = |from: usize| {
        let doc = "x".repeat(12 << 10);
        let method = |at| Method::named(format!("m{at}")).doc(doc.clone()).read_only();
        let methods = (from..from + 500).map(method).map(|it| it.parameters([]).sync(|| 1));
        fixture.server.replace_methods(methods).unwrap();
    };
    let request = post("", &legacy("tools/list", json!({})).to_string());
    let is_listed = async |tool: &str| {
        timeout(TIMEOUT, async { while !fixture.ask(&request).await.body.contains(tool) {} })
            .await
            .unwrap();
    };
    list(1000);
    is_listed("m1000").await;
    let mut readers = Vec::new();
    for _ in 0..8 {
        // What it does not read is kept.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut reader = socket.connect(fixture.address).await.unwrap();
        reader.write_all(request.as_bytes()).await.unwrap();
        assert!(read_until(&mut reader, "\r\n").await.contains(" 200 "));
        readers.push(reader);
    }
    list(2000);
    let reply = timeout(TIMEOUT, async {
        loop {
            let reply = fixture.ask(&request).await;
            if reply.status != 200 {
                break reply;
            }
        }
    });
    let reply = reply.await.unwrap();
    assert!(reply.status == 503 && reply.body.contains("max_buffered_bytes"), "{}", reply.body);
    for reader in &mut readers {
        let mut rest = Vec::new();
        timeout(TIMEOUT, reader.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert!(rest.len() > 500 * (12 << 10) && rest.ends_with(b"}]}}"));
    }
    is_listed("m2000").await;
}

#[tokio::test]
async fn of_each_connection_a_few_kibibytes_are_kept_whatever_room_there_is() {
    let http = HttpOptions { max_buffered_bytes: 0, ..HttpOptions::default() };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let ping = |bytes: usize| legacy("ping", json!({"x": "x".repeat(bytes)}));
    assert_eq!(fixture.post("", &ping(1 << 10)).await.status, 200);
    let long = fixture.post("", &ping(6 << 10)).await;
    assert!(long.status == 503 && long.body.contains("max_buffered_bytes"), "{}", long.body);
    let head = |bytes: usize| format!("x: {}\r\n", "x".repeat(bytes));
    assert_eq!(fixture.post(&head(12 << 10), &ping(0)).await.status, 200);
    let mut stream = fixture.open(&post(&head(17 << 10), "")).await;
    assert!(read_until(&mut stream, "\r\n").await.contains(" 431 "));
}

/// A gateway that asks for tokens, and the header with one that may call.
async fn guarded(http: HttpOptions) -> (Fixture, String) {
    use rpc_security::secret::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let secret = secret::generate();
    std::fs::write(&path, secret::line("ci", &[Role::Call], &secret) + "\n").unwrap();
    let access = Access { auth: Auth::Required, ..Access::default() };
    let guard = Guard::new(access, Some(TokenFile::load(&path).unwrap()));
    let fixture = Fixture::with(GatewayOptions::default(), HttpOptions { guard, ..http }).await;
    (fixture, format!("authorization: Bearer {}\r\n", secret.expose_secret()))
}

async fn connect_from(host: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn strangers_of_one_address_keep_nobody_out() {
    let http = HttpOptions {
        max_connections: 12,
        max_unidentified_connections: Share::AtMost(4),
        max_unidentified_connections_per_peer: Share::AtMost(3),
        unidentified_timeout: Duration::from_secs(3600),
        ..HttpOptions::default()
    };
    let (fixture, bearer) = guarded(http).await;
    let double = legacy("tools/call", json!({"name": "double", "arguments": {"number": 4}}));
    let request = post(&bearer, &double.to_string()).replace("connection: close\r\n", "");
    let mut known = connect_from(7, fixture.address).await;
    known.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut known, "structuredContent").await;
    let mut flood = Vec::new();
    for _ in 0..10 {
        for first in ["", "POST /mcp HTTP/1.1\r\nho"] {
            let mut stream = connect_from(66, fixture.address).await;
            stream.write_all(first.as_bytes()).await.unwrap();
            flood.push(stream);
        }
        assert_eq!(fixture.post(&bearer, &double).await.status, 200);
    }
    for mut stream in flood.drain(..15) {
        let mut rest = Vec::new();
        // It may have been reset: its bytes were not read.
        let _ = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }
    known.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut known, "structuredContent").await;
}

#[tokio::test]
async fn a_connection_on_which_nobody_shows_who_it_is_is_closed_soon_and_others_stay() {
    let patience = Duration::from_secs(1);
    let (fixture, bearer) =
        guarded(HttpOptions { unidentified_timeout: patience, ..HttpOptions::default() }).await;
    let double = legacy("tools/call", json!({"name": "double", "arguments": {"number": 4}}));
    let request = post(&bearer, &double.to_string()).replace("connection: close\r\n", "");
    let mut known = fixture.open(&request).await;
    read_until(&mut known, "structuredContent").await;
    let strangers = [
        fixture.open("").await,
        fixture.open("POST /mcp HTTP/1.1\r\nho").await,
        fixture.open("GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n").await,
    ];
    for mut stream in strangers {
        let mut rest = Vec::new();
        let _ = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap();
    }
    sleep(patience).await;
    known.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut known, "structuredContent").await;
}

#[tokio::test]
async fn a_caller_shows_a_token_and_sees_what_it_may_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let secrets = ["ci", "other", "watcher"].map(|name| (name, secret::generate()));
    let line = |at: usize, role| secret::line(secrets[at].0, &[role], &secrets[at].1);
    let lines = [
        format!("{} services=numbers", line(0, Role::Call)),
        format!("{} services=letters", line(1, Role::Call)),
        line(2, Role::Observe),
    ];
    std::fs::write(&path, lines.map(|line| line + "\n").concat()).unwrap();
    let access = Access { auth: Auth::Required, ..Access::default() };
    let guard = Guard::new(access, Some(TokenFile::load(&path).unwrap()));
    let http = HttpOptions { guard, ..HttpOptions::default() };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let bearer = |at: usize| {
        use rpc_security::secret::ExposeSecret;
        format!("authorization: Bearer {}\r\n", secrets[at].1.expose_secret())
    };
    let (headers, message) = modern("tools/list", json!({}));
    let stranger = fixture.post(&headers, &message).await;
    assert_eq!(stranger.status, 401);
    assert!(stranger.head.contains("www-authenticate: bearer"), "{}", stranger.head);
    let wrong = format!("{headers}authorization: Bearer {}\r\n", "x".repeat(40));
    assert_eq!(fixture.post(&wrong, &message).await.status, 401);
    assert_eq!(fixture.post(&format!("{headers}{}", bearer(2)), &message).await.status, 403);
    // The server of a direct client has no service that is known.
    let limited = fixture.post(&format!("{headers}{}", bearer(1)), &message).await;
    assert_eq!(limited.json()["result"]["tools"], json!([]));
    assert_eq!(limited.json()["result"]["cacheScope"], "private");
    // A subscription ends with its token.
    let (headers, message) = modern("subscriptions/listen", json!({}));
    let request = post(&format!("{headers}{}", bearer(0)), &message.to_string());
    let mut stream = fixture.open(&request).await;
    read_until(&mut stream, "acknowledged").await;
    std::fs::write(&path, line(2, Role::Observe) + "\n").unwrap();
    let mut rest = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_call_and_refusal_is_in_the_audit_log_and_without_it_no_tool_is_called() {
    use rpc_security::secret::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let (tokens, inner) = (folder.path().join("tokens"), folder.path().join("inner"));
    let path = inner.join("audit");
    std::fs::create_dir(&inner).unwrap();
    let secret = secret::generate();
    std::fs::write(&tokens, secret::line("ci", &[Role::Call], &secret) + "\n").unwrap();
    let access = Access { auth: Auth::Required, ..Access::default() };
    let http = HttpOptions {
        guard: Guard::new(access, Some(TokenFile::load(&tokens).unwrap())),
        audit: Some(AuditLog::open(&path).unwrap()),
        ..HttpOptions::default()
    };
    let fixture = Fixture::with(GatewayOptions::default(), http).await;
    let bearer = format!("authorization: Bearer {}\r\n", secret.expose_secret());
    let call =
        |tool: &str, arguments| legacy("tools/call", json!({"name": tool, "arguments": arguments}));
    let double = call("double", json!({"number": 4711}));
    fixture.post(&bearer, &double).await;
    fixture.post(&bearer, &call("double", json!({"number": "x"}))).await;
    assert_eq!(fixture.post("", &double).await.status, 401);
    let mut stream = call("count", json!({"to": 1000, "milliseconds": 100}));
    stream["params"]["_meta"] = json!({"progressToken": 1});
    let mut cancelled = fixture.open(&post(&bearer, &stream.to_string())).await;
    read_until(&mut cancelled, "progress").await;
    drop(cancelled);
    let text = || std::fs::read_to_string(&path).unwrap();
    let whole = async {
        while !text().contains("cancelled") {
            sleep(Duration::from_millis(10)).await
        }
    };
    timeout(TIMEOUT, whole).await.unwrap();
    let lines: Vec<Value> = text().lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let said: Vec<_> = lines
        .iter()
        .map(|line| ["deed", "who", "from", "what", "outcome"].map(|key| line[key].as_str()))
        .collect();
    let here = Some("127.0.0.1");
    let of_call = |tool, outcome| [Some("called"), Some("ci"), here, Some(tool), Some(outcome)];
    let refusal = "POST /mcp: this needs a token with the role call";
    assert_eq!(said[0], of_call("double", "ok"));
    assert_eq!(said[1], of_call("double", "bad_arguments"));
    assert_eq!(said[2][..3], [Some("refused"), None, here]);
    assert!(said[2][3].unwrap().starts_with(refusal), "{}", text());
    assert_eq!(said[3], of_call("count", "cancelled"));
    assert!(!text().contains("4711") && !text().contains(secret.expose_secret()), "{}", text());

    std::fs::remove_dir_all(&inner).unwrap();
    assert_eq!(fixture.post(&bearer, &double).await.json()["result"]["isError"], json!(false));
    let refused = fixture.post(&bearer, &double).await.json();
    let advice = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert!(advice.contains("double was not called") && advice.contains("audit log"), "{advice}");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(fixture.post(&bearer, &double).await.json()["result"]["isError"], json!(false));
    assert_eq!(text().lines().count(), 3, "what could not be written is kept: {}", text());
}
