//! A server and a registry of an earlier build, which know only what was recorded of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::recordings::{Conversation, REGISTRY, Recording, SERVER, Side, bytes_with_ports};

/// Both of them; dropping it closes their ports and connections.
pub struct Replayed {
    /// The server.
    pub server: SocketAddr,
    /// The registry.
    pub registry: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    complaints: Vec<String>,
    posts: Vec<(String, Value)>,
}

/// Everything recorded of a build, by request.
struct Known {
    calls: Vec<Call>,
    pages: Vec<Page>,
    ports: [(u16, SocketAddr); 2],
}

/// A call over TCP: the request, and its replies, each a line as it was sent.
struct Call {
    request: Value,
    replies: Vec<String>,
}

/// An HTTP request: its first line, whether the connection was kept, the bytes of the reply.
struct Page {
    line: String,
    keeps: bool,
    reply: Vec<u8>,
}

impl Replayed {
    /// On free ports.
    ///
    /// # Panics
    /// A recording is not as expected, as in every method here.
    pub async fn start(recordings: &[Recording]) -> Self {
        let [server, registry] = [listener().await, listener().await];
        let ports = [(SERVER, server.1), (REGISTRY, registry.1)];
        let both = || recordings.iter().flat_map(|one| one.server.iter().chain(&one.registry));
        let known = Arc::new(Known {
            calls: both().filter(|one| is_json(one)).flat_map(calls).collect(),
            pages: both().filter(|one| !is_json(one)).flat_map(pages).collect(),
            ports,
        });
        let seen = Arc::new(Mutex::new(Seen::default()));
        let addresses = (server.1, registry.1);
        let mut tasks = JoinSet::new();
        for (listener, _) in [server, registry] {
            tasks.spawn(accept(listener, Arc::clone(&known), Arc::clone(&seen)));
        }
        Self { server: addresses.0, registry: addresses.1, seen, _tasks: tasks }
    }

    /// The real ports of the recorded ones.
    pub fn ports(&self) -> [(u16, SocketAddr); 2] {
        [(SERVER, self.server), (REGISTRY, self.registry)]
    }

    /// The bodies that were posted so far, each with the last part of its path.
    pub fn posts(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().posts.clone()
    }

    /// What was received that the earlier build would not have understood.
    pub fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().complaints)
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Whether a connection carried messages, not HTTP.
pub fn is_json(conversation: &Conversation) -> bool {
    conversation.first().is_some_and(|(_, bytes)| bytes.starts_with(b"{"))
}

/// The messages in recorded bytes, one a line.
pub fn messages(bytes: &[u8]) -> Vec<(String, Value)> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(|line| (line.to_owned(), serde_json::from_str(line).unwrap())).collect()
}

fn calls(conversation: &Conversation) -> Vec<Call> {
    let sent_by = |side: Side| {
        let entries = conversation.iter().filter(move |entry| entry.0 == side);
        // An entry may end in the middle of a message.
        messages(&entries.flat_map(|entry| entry.1.clone()).collect::<Vec<u8>>())
    };
    let replies = sent_by(Side::Server);
    let requests = sent_by(Side::Client).into_iter().map(|(_, request)| request);
    requests
        .filter(|request| request["method_name"].is_string())
        .map(|request| {
            let own = replies.iter().filter(|(_, reply)| reply["id"] == request["id"]);
            let replies = own.map(|(line, _)| line.clone()).collect();
            Call { request, replies }
        })
        .collect()
}

fn pages(conversation: &Conversation) -> Vec<Page> {
    let exchanges = conversation.chunks_exact(2);
    let page = |pair: &[(Side, Vec<u8>)]| {
        let head = String::from_utf8_lossy(&pair[0].1).into_owned();
        let keeps = !head.to_lowercase().contains("connection: close");
        Page { line: head.lines().next().unwrap().to_owned(), keeps, reply: pair[1].1.clone() }
    };
    exchanges.map(page).collect()
}

async fn accept(listener: TcpListener, known: Arc<Known>, seen: Arc<Mutex<Seen>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (known, seen) = (Arc::clone(&known), Arc::clone(&seen));
        connections.spawn(async move {
            let mut first = [0];
            if matches!(stream.peek(&mut first).await, Ok(1)) {
                if first == *b"{" {
                    converse(stream, known, &seen).await;
                } else {
                    serve_pages(stream, &known, &seen).await;
                }
            }
        });
    }
}

/// Messages over TCP.
async fn converse(stream: TcpStream, known: Arc<Known>, seen: &Mutex<Seen>) {
    let (mut reading, writing) = stream.into_split();
    let writing = Arc::new(tokio::sync::Mutex::new(writing));
    let cancelled = Arc::new(Notify::new());
    let mut replying = JoinSet::new();
    let mut received = Vec::new();
    while matches!(reading.read_buf(&mut received).await, Ok(1..)) {
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            let Ok(message) = serde_json::from_slice::<Value>(&line) else {
                let text = String::from_utf8_lossy(&line);
                seen.lock().unwrap().complaints.push(format!("not a message: {text}"));
                return;
            };
            if message.get("cancel").is_some() {
                cancelled.notify_waiters();
                continue;
            }
            let replies = known.replies(&message).unwrap_or_else(|complaint| {
                seen.lock().unwrap().complaints.push(complaint);
                Vec::new()
            });
            let (writing, cancelled) = (Arc::clone(&writing), Arc::clone(&cancelled));
            replying.spawn(async move {
                for reply in replies {
                    wait_for_cause(&reply, &message, &cancelled).await;
                    let _ = writing.lock().await.write_all(reply.as_bytes()).await;
                }
            });
        }
    }
}

/// A call that was cancelled, or whose deadline passed, does not say so at once. The client has given up
/// by then: otherwise which of the two errors it reports would be chance.
async fn wait_for_cause(reply: &str, request: &Value, cancelled: &Notify) {
    if reply.contains(r#""code":-32001"#) {
        cancelled.notified().await;
    } else if reply.contains(r#""code":-32000"#) {
        let deadline = request["meta"]["deadline_ms"].as_u64().unwrap_or(10_000);
        tokio::time::sleep(Duration::from_millis(deadline + 1000)).await;
    }
}

impl Known {
    /// The recorded replies with the id of this request.
    fn replies(&self, message: &Value) -> Result<Vec<String>, String> {
        let same = |call: &&Call| {
            ["method_name", "method_args", "method_kwargs"]
                .iter()
                .all(|key| is_same(&call.request[*key], &message[*key]))
                && call.request["meta"]["stream"] == message["meta"]["stream"]
        };
        // One that was cut off has no replies.
        let found = self.calls.iter().filter(same).max_by_key(|call| call.replies.len());
        let id = &message["id"];
        if let Some(call) = found {
            let old = format!(r#"{{"id":{},"#, call.request["id"]);
            let with_id = |reply: &String| {
                let rest = reply.strip_prefix(&old).unwrap_or_else(|| panic!("{reply}"));
                let bytes = bytes_with_ports(rest.as_bytes(), &self.ports);
                format!("{{\"id\":{id},{}\n", String::from_utf8(bytes).unwrap())
            };
            return Ok(call.replies.iter().map(with_id).collect());
        }
        let name = message["method_name"].as_str().unwrap_or_default();
        if self.calls.iter().any(|call| call.request["method_name"] == name) {
            return Err(format!("never recorded: {message}"));
        }
        let text = format!("No service found for: {name}");
        let error = json!({"code": -32601, "message": text, "retryable": false});
        Ok(vec![format!("{}\n", json!({"id": id, "res": text, "error": error}))])
    }

    /// The recorded reply to a request. Keys of the query that are new are passed over, as the registry
    /// does.
    fn page(&self, line: &str, keeps: bool) -> Option<Vec<u8>> {
        let matching = self.pages.iter().filter(|page| line_matches(&page.line, line));
        let found = matching.min_by_key(|page| page.keeps != keeps)?;
        Some(bytes_with_ports(&found.reply, &self.ports))
    }
}

/// Arguments that are empty may be left out.
fn is_same(recorded: &Value, received: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    recorded == received || is_empty(recorded) && is_empty(received)
}

fn line_matches(recorded: &str, received: &str) -> bool {
    let parts = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let keys: Vec<String> = query.split('&').map(str::to_owned).collect();
        ((method, path.to_owned()), keys)
    };
    let ((before, keys), (now, more)) = (parts(recorded), parts(received));
    before == now && keys.iter().all(|key| more.contains(key))
}

/// HTTP.
async fn serve_pages(mut stream: TcpStream, known: &Known, seen: &Mutex<Seen>) {
    let mut received = Vec::new();
    loop {
        let Some((head, body)) = request(&mut stream, &mut received).await else { return };
        let line = head.lines().next().unwrap_or_default().to_owned();
        let keeps = !head.to_lowercase().contains("connection: close");
        if let Ok(body) = serde_json::from_slice::<Value>(&body) {
            let path = line.split([' ', '?']).nth(1).unwrap_or_default();
            let action = path.rsplit('/').next().unwrap_or_default().to_owned();
            seen.lock().unwrap().posts.push((action, body));
        }
        let Some(reply) = known.page(&line, keeps) else {
            seen.lock().unwrap().complaints.push(format!("never recorded: {line}"));
            return;
        };
        if stream.write_all(&reply).await.is_err() || !keeps {
            return;
        }
    }
}

/// The head and the body of the next request.
async fn request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if received.len() >= end + 4 + length {
                let head = String::from_utf8_lossy(&received[..end]).into_owned();
                let body = received[end + 4..end + 4 + length].to_vec();
                received.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if !matches!(stream.read_buf(received).await, Ok(1..)) {
            return None;
        }
    }
}
