//! A registry under test, and a peer that sends exactly the given bytes.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_registry::{Registry, RegistryError, RegistryOptions};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Timeout of everything in these tests, for a loaded machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, what).await.expect("timed out")
}

/// A registry serving on a free port.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RegistryError>>,
}

impl Running {
    pub(crate) async fn start(options: RegistryOptions) -> Self {
        Self::start_in(Span::none(), options).await
    }

    /// The same within a span.
    pub(crate) async fn start_in(span: Span, options: RegistryOptions) -> Self {
        let registry = Registry::bind("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
        let address = registry.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = registry.serve(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(serving.instrument(span));
        Self { address, stop, task }
    }

    pub(crate) async fn default() -> Self {
        Self::start(RegistryOptions::default()).await
    }

    /// Shuts it down.
    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap();
    }

    pub(crate) async fn peer(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// One request on its own connection, as older clients do.
    pub(crate) async fn ask(&self, request: &str) -> Reply {
        let mut peer = self.peer().await;
        peer.send(request).await;
        peer.reply().await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask(&get(target, "")).await
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Reply {
        self.ask(&post(target, "", body)).await
    }

    pub(crate) async fn register(&self, port: u16) -> Reply {
        self.post("/myRegistry/register?proto=json", &instance(port)).await
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }
}

/// An instance in the older shape, as Python's json.dumps writes it.
pub(crate) fn instance(port: u16) -> String {
    format!(
        r#"{{"protocol": "json", "host": "127.0.0.1", "port": {port}, "status": true, "parameters": {{}}}}"#
    )
}

/// A POST as Python's http.client sends it.
pub(crate) fn post(target: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:9999\r\nAccept-Encoding: identity\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// A GET as Python's http.client sends it.
pub(crate) fn get(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:9999\r\nAccept-Encoding: identity\r\n{headers}\r\n"
    )
}

/// A connection.
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(within(TcpStream::connect(address)).await.unwrap()) }
    }

    /// From another address of this machine.
    pub(crate) async fn connect_from(from: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        Self { stream: BufReader::new(within(socket.connect(address)).await.unwrap()) }
    }

    pub(crate) async fn send(&mut self, bytes: &str) {
        within(self.stream.write_all(bytes.as_bytes())).await.unwrap();
    }

    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// What comes until the other side ends the connection.
    pub(crate) async fn end(&mut self) -> String {
        let mut text = String::new();
        within(self.stream.read_to_string(&mut text)).await.unwrap();
        text
    }

    /// Reads a whole reply: with a Content-Length, in chunks, or without a body.
    pub(crate) async fn reply(&mut self) -> Reply {
        let head = self.head().await;
        let body = match head.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()).await,
            None if head.header("transfer-encoding") == Some("chunked") => self.chunks().await,
            None => String::new(),
        };
        Reply { body, ..head }
    }

    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let length = self.line().await.expect("the size of a chunk");
            let chunk = self.exactly(usize::from_str_radix(&length, 16).unwrap()).await;
            assert_eq!(self.line().await.as_deref(), Some(""), "the end of a chunk");
            if chunk.is_empty() {
                return body;
            }
            body += &chunk;
        }
    }

    async fn exactly(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        within(self.stream.read_exact(&mut bytes)).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads the head of a reply.
    pub(crate) async fn head(&mut self) -> Reply {
        let status = self.line().await.expect("no reply");
        let status = status.split(' ').nth(1).expect("a status line").parse().unwrap();
        let mut headers = Vec::new();
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header");
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Reply { status, headers, body: String::new() }
    }

    /// The next line without its end; `None` at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match within(self.stream.read_line(&mut line)).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = within(self.stream.read_to_end(&mut rest)).await;
        String::from_utf8(rest).unwrap()
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|header| header.0 == name);
        found.map(|header| header.1.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// It is a JSON object with only an `error` that contains `what`.
    pub(crate) fn refuses(&self, status: u16, what: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json"));
        let error = self.json();
        assert_eq!(error.as_object().unwrap().len(), 1, "{error}");
        let text = error["error"].as_str().unwrap();
        assert!(text.contains(what), "{text:?} does not contain {what:?}");
    }
}

/// An event stream, read over HTTP/1.0 so that it has no chunks.
pub(crate) struct Events {
    pub(crate) peer: Peer,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    /// The `data:` lines, joined.
    pub(crate) data: String,
    pub(crate) lines: usize,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

impl Events {
    pub(crate) async fn open(registry: &Running, target: &str, headers: &str) -> Self {
        let mut peer = registry.peer().await;
        peer.send(&format!("GET {target} HTTP/1.0\r\n{headers}\r\n")).await;
        let head = peer.head().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Self { peer }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.peer.line().await?;
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => {
                    event.data.push_str(data);
                    event.lines += 1;
                }
                _ if line.is_empty() && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }
}
