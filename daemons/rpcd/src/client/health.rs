//! `rpcd health`: is a daemon well? Server and registry answer the same HTTP question.

use std::io;
use std::time::Duration;

use rpc_wire::paths::HEALTHZ;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::{Exit, Failure};
use crate::output;

/// A status line is far shorter; who sends more is not one of ours.
const MAX_ANSWER: u64 = 4096;

/// Asks the daemon at `address` (`host:port`) and prints `ok`.
///
/// # Errors
/// It is not well ([`Exit::Failed`]), cannot be reached, or does not answer in time.
pub async fn health(address: &str, timeout: Duration) -> Result<(), Failure> {
    let answer = match tokio::time::timeout(timeout, ask(address)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            let message = format!("cannot reach {address}: {error}; check that it is running");
            return Err(Failure::new(Exit::Unreachable, message));
        }
        Err(_) => {
            let message = format!("{address} did not answer within {timeout:?}");
            return Err(Failure::new(Exit::Timeout, message));
        }
    };
    match status(&answer) {
        Some(200) => output::line("ok"),
        Some(code) => {
            Err(Failure::new(Exit::Failed, format!("{address} is not well: HTTP {code}")))
        }
        None => Err(Failure::new(
            Exit::Failed,
            format!(
                "{address} answered, but not as a server or registry of ours; check the address"
            ),
        )),
    }
}

async fn ask(address: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {HEALTHZ} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(MAX_ANSWER);
    // The status line decides; who keeps the connection open afterwards is not waited for.
    while !answer.contains(&b'\n') && stream.read_buf(&mut answer).await? > 0 {}
    Ok(answer)
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer.split(|byte| *byte == b'\n').next()?).ok()?;
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
