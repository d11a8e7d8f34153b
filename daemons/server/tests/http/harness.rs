//! Servers that tests start, and requests to them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rpc_server::ServerBuilder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// What takes longer does not happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// A server on a free port, until the test ends.
pub(crate) async fn serve(builder: ServerBuilder) -> SocketAddr {
    let server = builder.bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    let port = server.local_addr().port();
    tokio::spawn(server.serve(std::future::pending()));
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A request after which the connection stays open.
pub(crate) fn kept(start: &str, headers: &str, body: &str) -> String {
    format!(
        "{start} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    kept(&format!("POST {path}"), &format!("Connection: close\r\n{headers}"), body)
}

/// A call after which the connection stays open.
pub(crate) fn kept_call(method: &str, arguments: &str) -> String {
    kept(&format!("POST /call/{method}"), JSON, arguments)
}

pub(crate) async fn open(server: SocketAddr, request: &str) -> TcpStream {
    open_from(1, server, request).await
}

/// From 127.0.0.`host`: each is another peer.
pub(crate) async fn open_from(host: u8, server: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::from([127, 0, 0, host]), 0).into()).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// What comes until the server closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    String::from_utf8(rest).unwrap()
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.body))
    }
}

pub(crate) async fn send(server: SocketAddr, request: &str) -> Reply {
    let whole = rest(&mut open(server, request).await).await;
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_ascii_lowercase();
    let body = if head.contains("chunked") { unchunked(body) } else { body.to_owned() };
    Reply { status, head, body }
}

/// The content of chunks, as far as they are whole.
fn unchunked(mut rest: &str) -> String {
    let mut content = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        content += &after[..length];
        rest = &after[length + 2..];
    }
    content
}

pub(crate) async fn rpc(server: SocketAddr, body: &str) -> Reply {
    send(server, &post("/rpc", "Content-Type: application/json; charset=utf-8\r\n", body)).await
}

/// The value of a metric.
pub(crate) async fn metric(server: SocketAddr, name: &str) -> u64 {
    let text = send(server, &kept("GET /metrics", "Connection: close\r\n", "")).await.body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
