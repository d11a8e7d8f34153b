//! Common queries of tests: a daemon's statistics, and the registered instances.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::{eventually, soon};
use crate::raw::Raw;

/// A server's `rpc.stats`, over a separate connection.
///
/// # Panics
/// It does not reply.
pub async fn stats(server: SocketAddr) -> Value {
    let mut raw = Raw::connect(server).await;
    let mut reply = raw.ask(r#"{"id":"stats","method_name":"rpc.stats"}"#).await;
    assert_eq!(reply["error"], Value::Null, "{reply}");
    reply["res"].take()
}

/// Calls in flight of one method.
pub async fn in_flight(server: SocketAddr, method: &str) -> u64 {
    let stats = stats(server).await;
    let methods = stats["methods"].as_array().expect("a list of methods");
    let found = methods.iter().find(|entry| entry["name"] == method);
    found.and_then(|entry| entry["in_flight"].as_u64()).unwrap_or(0)
}

/// Waits until that many calls of a method are in flight.
///
/// # Panics
/// They are not in time.
pub async fn has_in_flight(server: SocketAddr, method: &str, number: u64) {
    let what = format!("{number} calls of {method} in flight");
    eventually(&what, async || in_flight(server, method).await == number).await;
}

/// An HTTP request on a connection of its own: status and body. Hand-written, so that it can also
/// send requests that no HTTP client would.
///
/// # Panics
/// The peer does not reply.
pub async fn http(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String) {
    soon(head, async {
        let reply = exchange(address, head, body).await.unwrap();
        parse(&reply).unwrap_or_else(|| panic!("no HTTP reply: {reply:?}"))
    })
    .await
}

/// The same of a peer that may not be there yet.
pub async fn http_or_none(address: SocketAddr, head: &str) -> Option<(u16, String)> {
    let reply = tokio::time::timeout(Duration::from_secs(2), exchange(address, head, b"")).await;
    parse(&reply.ok()?.ok()?)
}

async fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    // A peer that refuses a large body may reply and close before it has read it all.
    let _ = stream.write_all(body).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn parse(reply: &str) -> Option<(u16, String)> {
    let status = reply.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
    Some((status, body.to_owned()))
}

/// The registered instances, as older clients read them; sorted.
///
/// # Panics
/// The registry does not reply.
pub async fn find_all(registry: SocketAddr) -> Vec<SocketAddr> {
    let (status, body) = http(registry, "GET /myRegistry/findAllInstances?proto=json", b"").await;
    assert_eq!(status, 200, "{body}");
    let list: Vec<Value> = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{body}: {e}"));
    let address = |instance: &Value| {
        assert_eq!(instance["status"], true, "{instance}");
        let host = instance["host"].as_str().unwrap().parse().unwrap();
        SocketAddr::new(host, u16::try_from(instance["port"].as_u64().unwrap()).unwrap())
    };
    let mut found: Vec<_> = list.iter().map(address).collect();
    found.sort();
    found
}

/// Waits until the registry lists exactly these.
///
/// # Panics
/// It does not in time.
pub async fn lists(registry: SocketAddr, expected: &[SocketAddr]) {
    let mut expected = expected.to_vec();
    expected.sort();
    let what = format!("the registry lists {expected:?}");
    eventually(&what, async || find_all(registry).await == expected).await;
}
