//! An agent of `rpcd mcp`: one call of a tool after another, by lines to a child of its own, or by HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::library::Caller;

/// `add(1, 2)`, which is 13.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}"#;
const RESULT: &str = r#""structuredContent":{"result":13}"#;

/// Who makes the calls.
pub struct Agent {
    reader: BufReader<Box<dyn AsyncRead + Unpin>>,
    writer: Box<dyn AsyncWrite + Unpin>,
    request: String,
    is_http: bool,
    // Killed when dropped.
    _child: Option<Child>,
}

impl Agent {
    /// One that starts `rpcd mcp` for the server at that address.
    ///
    /// # Errors
    /// It does not start.
    pub fn by_lines(rpcd: &Path, server: SocketAddr) -> anyhow::Result<Self> {
        let (host, port) = (server.ip().to_string(), server.port().to_string());
        let mut child = Command::new(rpcd)
            .args(["mcp", "-i", &host, "-p", &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting rpcd mcp")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Self {
            reader: BufReader::new(Box::new(output.context("a child without output")?)),
            writer: Box::new(input.context("a child without input")?),
            request: format!("{CALL}\n"),
            is_http: false,
            _child: Some(child),
        })
    }

    /// One that connects to `rpcd mcp --listen`.
    ///
    /// # Errors
    /// It does not accept the connection.
    pub async fn by_http(gateway: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(gateway).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let length = CALL.len();
        Ok(Self {
            reader: BufReader::new(Box::new(reader)),
            writer: Box::new(writer),
            request: format!(
                "POST /mcp HTTP/1.1\r\nhost: {gateway}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{CALL}"
            ),
            is_http: true,
            _child: None,
        })
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line).await? > 0, "the gateway has ended");
        Ok(line)
    }

    async fn http_body(&mut self) -> anyhow::Result<String> {
        let mut length = 0;
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).await?;
        Ok(String::from_utf8(body)?)
    }
}

impl Caller for Agent {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.writer.write_all(self.request.as_bytes()).await?;
        let reply = if self.is_http { self.http_body().await? } else { self.line().await? };
        ensure!(reply.contains(RESULT), "another result: {reply}");
        Ok(())
    }

    fn beside(&self) -> Option<Self> {
        None
    }

    async fn close(self) {}
}
