//! A connection on which a test sends every byte itself.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::soon;

/// A bare TCP connection.
pub struct Raw {
    stream: TcpStream,
    /// Received and not yet returned.
    buffer: Vec<u8>,
}

impl Raw {
    /// Connects.
    ///
    /// # Panics
    /// It cannot, as in every method here when the connection ends unexpectedly.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("the bytes are sent", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// One read of at most 1,024 bytes, as in older clients.
    pub async fn recv_1024(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1024];
        let length = soon("a reply", self.stream.read(&mut bytes)).await.unwrap();
        bytes.truncate(length);
        bytes
    }

    /// The next line, without its newline; `None` at the end of the stream.
    pub async fn line(&mut self) -> Option<String> {
        soon("a line", async {
            loop {
                if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                    let rest = self.buffer.split_off(end + 1);
                    let mut line = std::mem::replace(&mut self.buffer, rest);
                    line.pop();
                    return Some(String::from_utf8(line).unwrap());
                }
                if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                    assert!(self.buffer.is_empty(), "an unfinished line: {:?}", self.buffer);
                    return None;
                }
            }
        })
        .await
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Value {
        let line = self.line().await.expect("a reply, not the end of the connection");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Sends one message and reads one reply.
    pub async fn ask(&mut self, message: impl AsRef<[u8]>) -> Value {
        self.send(message).await;
        self.reply().await
    }

    /// Everything up to the end of the stream (or a reset).
    pub async fn rest(&mut self) -> Vec<u8> {
        let read =
            async { while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {} };
        soon("the connection is closed", read).await;
        std::mem::take(&mut self.buffer)
    }

    /// Closes the sending half.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Whether the peer closes within `limit`; bytes before that are dropped.
    pub async fn is_closed_within(&mut self, limit: Duration) -> bool {
        let read =
            async { while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {} };
        tokio::time::timeout(limit, read).await.is_ok()
    }

    /// The socket itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// A classic request as an older client writes it.
pub fn classic(method: &str, args: &Value) -> String {
    format!(r#"{{"method_name": "{method}", "method_args": {args}, "method_kwargs": {{}}}}"#)
}

/// An extended request.
pub fn extended(id: &Value, method: &str, args: &Value) -> String {
    format!(r#"{{"id":{id},"method_name":"{method}","method_args":{args}}}"#)
}
