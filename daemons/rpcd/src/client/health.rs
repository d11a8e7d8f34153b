//! `rpcd health`: the same HTTP request for servers and registries; an older server has no HTTP.

use std::io;
use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions, ErrorKind, Fault, Request, Rounded};
use rpc_wire::call::Reply;
use rpc_wire::paths::{ALL_YOUR_METHODS, HEALTHZ};
use rpc_wire::signature;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::failure::{Exit, Failure};
use crate::output;

/// Maximum reply; a real one is far shorter.
const MAX_REPLY: u64 = 4096;
/// How a reply begins.
const VERSION: &str = "HTTP/1.";

/// Checks the daemon at `address` (`host:port`) and prints `ok`, or as JSON what it says of itself.
///
/// # Errors
/// It is unhealthy ([`Exit::Failed`]), unreachable, or does not reply in time.
pub async fn health(address: &str, timeout: Duration, json: bool) -> Result<(), Failure> {
    let end = Instant::now() + timeout;
    let reply = match timeout_at(end, ask(address, json)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            let message = format!("cannot reach {address}: {error}; check that it is running");
            return Err(Failure::new(Exit::Unreachable, message));
        }
        Err(_) => {
            let message = format!(
                "no reply from {address} within {}; check the daemon, or raise --timeout",
                Rounded(timeout)
            );
            return Err(Failure::new(Exit::Timeout, message));
        }
    };
    let Some(code) = status(&reply) else {
        return match refusal(&reply) {
            Some(fault) => Err(refused(address, fault).into()),
            None => older(address, end, json).await,
        };
    };
    if json {
        output::json(&document(address, code, &reply).to_string())?;
    }
    match code {
        200 if json => Ok(()),
        200 => output::text("ok"),
        code => {
            let message = unhealthy(address, code, &reply);
            let failure = Failure::new(Exit::Failed, message);
            Err(if json { failure.printed() } else { failure })
        }
    }
}

fn unhealthy(address: &str, code: u16, reply: &[u8]) -> String {
    if body(reply).is_some_and(|said| said["status"] == "draining") {
        return format!(
            "{address} is draining: it takes no new calls and finishes those in flight; rpcd instances says why, \
             rpcd undrain brings back what an operator drained"
        );
    }
    format!("{address} is unhealthy: HTTP {code}; see its log")
}

/// A full server says so before it knows what it is asked.
fn refusal(reply: &[u8]) -> Option<Fault> {
    match Reply::parse(reply) {
        Ok(Reply::Done { id: None, outcome: Err(fault) }) if fault.code.is_retryable() => {
            Some(fault)
        }
        _ => None,
    }
}

fn refused(address: &str, fault: Fault) -> CallError {
    CallError::Refused { peer: address.to_owned(), fault: Box::new(fault) }
}

/// What does not speak HTTP may be an older server: it is up if it lists its methods.
async fn older(address: &str, end: Instant, json: bool) -> Result<(), Failure> {
    let listed = list(address, end.saturating_duration_since(Instant::now())).await?;
    match listed {
        Ok(list) if signature::from_classic(list.get()).is_ok() => {}
        // It closes what it accepts, or took too long.
        Err(error) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
            return Err(error.into());
        }
        _ => {
            return Err(Failure::new(
                Exit::Failed,
                format!("{address} is not an rpcd server or registry; check the address"),
            ));
        }
    }
    if json {
        let document =
            json!({"address": address, "healthy": true, "status": "up", "dialect": "classic"});
        return output::json(&document.to_string());
    }
    output::text("up (speaks the older dialect; no health of its own)")
}

/// The method list of an older server.
async fn list(
    address: &str,
    timeout: Duration,
) -> Result<Result<Box<RawValue>, CallError>, Failure> {
    let options = ClientOptions { timeout, connect_timeout: timeout, ..ClientOptions::default() };
    let client = Client::direct(address, options)?;
    let request = Request::new(ALL_YOUR_METHODS, ())?;
    let listed = client.request(request).await;
    super::close(client).await;
    Ok(listed.map(|reply| reply.value))
}

/// The address, whether it is healthy, and what it says: state, version, uptime.
fn document(address: &str, code: u16, reply: &[u8]) -> Value {
    let mut document = body(reply).filter(Value::is_object).unwrap_or_else(|| json!({}));
    document["address"] = address.into();
    document["healthy"] = (code == 200).into();
    document
}

fn body(reply: &[u8]) -> Option<Value> {
    let at = reply.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    serde_json::from_slice(reply.get(at + 4..)?).ok()
}

async fn ask(address: &str, whole: bool) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {HEALTHZ} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    let mut stream = stream.take(MAX_REPLY);
    // Do not wait for the peer to close: the status line decides, and a body that can be read is whole. That of a
    // 503 says whether it only drains.
    // What is not HTTP, an older server's error for example, may have no line break.
    let is_http = |reply: &[u8]| reply.iter().zip(VERSION.as_bytes()).all(|(is, must)| is == must);
    let is_whole = |reply: &[u8]| !reply.starts_with(b"{") || Reply::parse(reply).is_ok();
    let is_enough = |reply: &[u8]| {
        !is_http(reply) && is_whole(reply)
            || reply.contains(&b'\n')
                && (body(reply).is_some() || !whole && status(reply) != Some(503))
    };
    while !is_enough(&reply) && stream.read_buf(&mut reply).await? > 0 {}
    Ok(reply)
}

fn status(reply: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(reply.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = line.split_whitespace();
    words.next().filter(|version| version.starts_with(VERSION))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_status_line_counts() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\nx: y\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503 \r\n"), Some(503));
        for other in [&b""[..], b"{\"res\":1}\n", b"HTTP/1.1\r\n", b"\xff\n", b"SSH-2.0 200\r\n"] {
            assert_eq!(status(other), None);
        }
    }

    #[test]
    fn in_json_a_daemon_says_what_it_says() {
        let server =
            b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n{\"status\":\"ok\",\"version\":\"1\",\"uptime_ms\":5}";
        let said = json!({"address": "a:1", "healthy": true, "status": "ok", "version": "1", "uptime_ms": 5});
        assert_eq!(document("a:1", 200, server), said);
        let silent = b"HTTP/1.1 503 No\r\n\r\nsorry";
        assert_eq!(document("a:1", 503, silent), json!({"address": "a:1", "healthy": false}));
        assert!(unhealthy("a:1", 503, silent).ends_with("is unhealthy: HTTP 503; see its log"));
        let draining = b"HTTP/1.1 503 No\r\n\r\n{\"status\":\"draining\"}";
        assert!(unhealthy("a:1", 503, draining).starts_with("a:1 is draining: "));
    }
}
