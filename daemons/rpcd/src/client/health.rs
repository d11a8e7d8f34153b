//! `rpcd health`: the same HTTP request for servers and registries; an older server and one of JSON-RPC have no HTTP.

use std::io;
use std::pin::pin;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

use rpc_client::{
    CallError, Client, ClientOptions, ClientTlsOptions, Dialect, ErrorKind, Fault, Request, Rounded,
};
use rpc_wire::call::Reply;
use rpc_wire::paths::{ALL_YOUR_METHODS, HEALTHZ};
use rpc_wire::signature;
#[cfg(feature = "tls")]
use rpc_wire::target::parse_address;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::HealthPlan;

/// Maximum reply; a real one is far shorter.
const MAX_REPLY: u64 = 4096;
/// What has not replied for this long, or a quarter of the time, is asked in other protocols as well.
const OTHERWISE_AFTER: Duration = Duration::from_secs(1);
/// How a reply begins.
const VERSION: &str = "HTTP/1.";

/// Checks a daemon and prints `ok`, or as JSON what it says of itself.
///
/// # Errors
/// It is unhealthy ([`Exit::Failed`]), unreachable or not who it should be, or does not reply in time.
pub async fn health(plan: &HealthPlan) -> Result<(), Failure> {
    let HealthPlan { address, timeout, json, .. } = plan;
    let (timeout, json) = (*timeout, *json);
    let end = Instant::now() + timeout;
    let mut asked = pin!(timeout_at(end, ask(plan)));
    let asked = tokio::select! {
        reply = &mut asked => reply,
        () = sleep(OTHERWISE_AFTER.min(timeout / 4)) => tokio::select! {
            biased;
            reply = asked => reply,
            // Many servers of JSON-RPC ignore what is none.
            Ok((Some(dialect @ Dialect::JsonRpc), _)) = list(plan, end) => return up(plan, dialect),
        }
    };
    let reply = match asked {
        Ok(reply) => reply?,
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
            None => other(plan, end).await,
        };
    };
    if code == 403 && plan.tls.is_none() && is_of_tls_only(&reply) {
        return Err(Failure::new(
            Exit::Unreachable,
            format!(
                "{address} takes TLS only; add --tls, and --tls-ca FILE if its authority is your own"
            ),
        ));
    }
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
            "{address} is draining: it takes no new calls and finishes those in flight; rpcd instances says which \
             operator drained it, for rpcd undrain, and otherwise its log (rpcd logs) says why"
        );
    }
    match code {
        404 | 405 => format!(
            "{address} has no {HEALTHZ} (HTTP {code}), so that it is no rpcd server or registry; check the address"
        ),
        _ => format!("{address} is unhealthy: HTTP {code}; see its log"),
    }
}

/// Whether a daemon refuses plain text, which says nothing of its health.
fn is_of_tls_only(reply: &[u8]) -> bool {
    // A registry says so in JSON, a server in text.
    String::from_utf8_lossy(reply).contains(" takes TLS only")
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

/// What does not speak HTTP may be an older server, which is up if it lists its methods, or one of JSON-RPC, which is
/// if it answers.
async fn other(plan: &HealthPlan, end: Instant) -> Result<(), Failure> {
    let address = &plan.address;
    match list(plan, end).await? {
        (Some(dialect @ Dialect::JsonRpc), _) => up(plan, dialect),
        (_, Ok(list)) if signature::from_classic(list.get()).is_ok() => up(plan, Dialect::Classic),
        // It closes what it accepts, or took too long.
        (_, Err(error)) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Timeout) => {
            Err(error.into())
        }
        _ => Err(Failure::new(
            Exit::Failed,
            format!("{address} is not an rpcd server or registry; check the address"),
        )),
    }
}

/// Says that a server without a health of its own is up.
fn up(plan: &HealthPlan, dialect: Dialect) -> Result<(), Failure> {
    if plan.json {
        let document = json!({
            "address": plan.address, "healthy": true, "status": "up", "dialect": dialect.to_string(),
        });
        return output::json(&document.to_string());
    }
    let what = match dialect {
        Dialect::JsonRpc => "JSON-RPC 2.0",
        _ => "the older dialect",
    };
    output::text(&format!("up (speaks {what}; no health of its own)"))
}

/// What a server speaks, and the method list of an older one.
async fn list(
    plan: &HealthPlan,
    end: Instant,
) -> Result<(Option<Dialect>, Result<Box<RawValue>, CallError>), Failure> {
    let timeout = end.saturating_duration_since(Instant::now());
    let (tls, tls_files) = (plan.tls.is_some(), plan.tls.clone().unwrap_or_default());
    let connect_timeout = timeout;
    let options =
        ClientOptions { timeout, connect_timeout, tls, tls_files, ..ClientOptions::default() };
    let client = Client::direct(&*plan.address, options)?;
    let request = Request::new(ALL_YOUR_METHODS, ())?;
    let listed = client.request(request).await;
    let dialect = client.dialect();
    super::close(client).await;
    Ok((dialect, listed.map(|reply| reply.value)))
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

async fn ask(plan: &HealthPlan) -> Result<Vec<u8>, Failure> {
    let unreachable = |error: io::Error| {
        let message = format!("cannot reach {}: {error}; check that it is running", plan.address);
        Failure::new(Exit::Unreachable, message)
    };
    let stream = TcpStream::connect(&plan.address).await.map_err(unreachable)?;
    match &plan.tls {
        None => get(stream, plan).await.map_err(unreachable),
        Some(files) => ask_by_tls(stream, plan, files, unreachable).await,
    }
}

#[cfg(feature = "tls")]
async fn ask_by_tls(
    stream: TcpStream,
    plan: &HealthPlan,
    files: &ClientTlsOptions,
    unreachable: impl Fn(io::Error) -> Failure,
) -> Result<Vec<u8>, Failure> {
    use rpc_client::{ClientError, tls};
    use rpc_security::tls::{ClientTls, ServerIdentity};

    let trust = ClientTls::load(files).map_err(|error| Failure::from(ClientError::Tls(error)))?;
    let (host, _) = parse_address(&plan.address)?;
    let expected = ServerIdentity::Host(host.trim_matches(['[', ']']));
    let socket = tls::secure(&Arc::new(trust), stream, expected, &plan.address).await?;
    get(socket, plan).await.map_err(|error| match tls::of_connection(&plan.address, &error) {
        Some(refused) => refused.into(),
        None => unreachable(error),
    })
}

#[cfg(not(feature = "tls"))]
async fn ask_by_tls(
    _: TcpStream,
    _: &HealthPlan,
    _: &ClientTlsOptions,
    _: impl Fn(io::Error) -> Failure,
) -> Result<Vec<u8>, Failure> {
    Err(Failure::usage("this rpcd was built without TLS"))
}

async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    plan: &HealthPlan,
) -> io::Result<Vec<u8>> {
    let HealthPlan { address, json: whole, .. } = plan;
    let whole = *whole;
    let request = format!("GET {HEALTHZ} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    let mut stream = stream.take(MAX_REPLY);
    // Do not wait for the peer to close: the status line decides, and a body that can be read is whole. That of a
    // 503 says whether it only drains, that of a 403 whether it takes TLS only.
    // What is not HTTP, an older server's error for example, may have no line break.
    let is_http = |reply: &[u8]| reply.iter().zip(VERSION.as_bytes()).all(|(is, must)| is == must);
    // A server that reads lines says what is wrong with each.
    let is_whole = |reply: &[u8]| !reply.starts_with(b"{") || has_value(reply);
    let is_enough = |reply: &[u8]| {
        !is_http(reply) && is_whole(reply)
            || reply.contains(&b'\n')
                && (body(reply).is_some() || !whole && !matches!(status(reply), Some(403 | 503)))
    };
    while !is_enough(&reply) && stream.read_buf(&mut reply).await? > 0 {}
    Ok(reply)
}

/// Whether it begins with a whole JSON value.
fn has_value(reply: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(reply).into_iter::<Value>();
    values.next().is_some_and(|value| value.is_ok())
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
