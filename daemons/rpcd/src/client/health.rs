//! `rpcd health`: the same HTTP request for servers and registries.

use std::io;
use std::time::Duration;

use rpc_wire::paths::HEALTHZ;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Exit, Failure};
use crate::output;

/// Maximum reply; a status line is far shorter.
const MAX_REPLY: u64 = 4096;

/// Checks the daemon at `address` (`host:port`) and prints `ok`.
///
/// # Errors
/// It is unhealthy ([`Exit::Failed`]), unreachable, or does not reply in time.
pub async fn health(address: &str, timeout: Duration) -> Result<(), Failure> {
    let reply = match tokio::time::timeout(timeout, ask(address)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            let message = format!("cannot reach {address}: {error}; check that it is running");
            return Err(Failure::new(Exit::Unreachable, message));
        }
        Err(_) => {
            let message = format!(
                "no reply from {address} within {timeout:?}; check the daemon, or raise --timeout"
            );
            return Err(Failure::new(Exit::Timeout, message));
        }
    };
    match status(&reply) {
        Some(200) => output::line("ok"),
        Some(code) => Err(Failure::new(
            Exit::Failed,
            format!("{address} is unhealthy: HTTP {code}; see its log"),
        )),
        None => Err(Failure::new(
            Exit::Failed,
            format!("{address} is not an rpcd server or registry; check the address"),
        )),
    }
}

async fn ask(address: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {HEALTHZ} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    let mut stream = stream.take(MAX_REPLY);
    // The status line decides; do not wait for the peer to close.
    while !reply.contains(&b'\n') && stream.read_buf(&mut reply).await? > 0 {}
    Ok(reply)
}

fn status(reply: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(reply.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = line.split_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
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
}
