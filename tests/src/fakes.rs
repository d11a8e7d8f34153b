//! Peers that send exact bytes: extended, older and scripted ones.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A peer on its own port; dropping it closes the port and its connections.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it received.
    pub seen: Arc<Seen>,
    accepting: AbortHandle,
}

/// What a peer received.
#[derive(Default)]
pub struct Seen {
    messages: Mutex<Vec<Value>>,
    /// Reads that were not one whole message where one was expected.
    pub garbled: AtomicUsize,
    /// Connections accepted.
    pub accepted: AtomicUsize,
    /// Connections open now.
    pub open: AtomicUsize,
    /// Most connections open at once.
    pub most_open: AtomicUsize,
    /// Reads that returned bytes.
    pub reads: AtomicUsize,
    connections: Mutex<Vec<AbortHandle>>,
}

/// What a peer does with a message.
#[derive(Debug)]
pub enum Do {
    /// Writes these bytes.
    Write(String),
    /// The same, later; other messages are read meanwhile.
    WriteAfter(Duration, String),
    /// Continues to read.
    Nothing,
    /// Closes the connection.
    Close,
    /// Writes these bytes, then closes.
    WriteAndClose(String),
}

impl Peer {
    /// Its address as text.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Closes every connection; the listener stays open.
    ///
    /// # Panics
    /// Never, unless a test panicked before, as in every method here.
    pub fn close_connections(&self) {
        self.seen.connections.lock().unwrap().drain(..).for_each(|handle| handle.abort());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.close_connections();
    }
}

#[expect(clippy::missing_panics_doc, reason = "only after a test panicked")]
impl Seen {
    /// Calls received, without probes and cancels.
    pub fn calls(&self) -> Vec<Value> {
        let is_call = |message: &&Value| {
            message["method_name"] != "rpc.health" && message.get("cancel").is_none()
        };
        self.messages.lock().unwrap().iter().filter(is_call).cloned().collect()
    }

    /// Records a message.
    pub fn note(&self, message: &Value) {
        self.messages.lock().unwrap().push(message.clone());
    }

    /// Everything received.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.lock().unwrap().clone()
    }

    /// Cancels received.
    pub fn cancels(&self) -> usize {
        self.messages().iter().filter(|message| message.get("cancel").is_some()).count()
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Connections accepted.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Seen>);

impl Open {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.accepted.fetch_add(1, Ordering::SeqCst);
        let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_open.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Each connection is handled by `serve`, which gets its number, from 0.
pub async fn scripted<F>(serve: impl Fn(usize, TcpStream, Arc<Seen>) -> F + Send + 'static) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    scripted_on("127.0.0.1:0", serve).await
}

/// The same at a given address.
///
/// # Panics
/// It is in use.
pub async fn scripted_on<F>(
    address: &str,
    serve: impl Fn(usize, TcpStream, Arc<Seen>) -> F + Send + 'static,
) -> Peer
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let mine = Arc::clone(&seen);
    let accepting = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            socket.set_nodelay(true).unwrap();
            let before = mine.accepted();
            let open = Open::new(&mine);
            let served = serve(before, socket, Arc::clone(&mine));
            let task = tokio::spawn(async move {
                served.await;
                drop(open);
            });
            mine.connections.lock().unwrap().push(task.abort_handle());
        }
    });
    Peer { address, seen, accepting: accepting.abort_handle() }
}

/// What a peer does with each message.
pub type Handler = Arc<dyn Fn(&Value) -> Do + Send + Sync>;

/// A peer of the extended dialect: one message a line; it replies to probes.
pub async fn extended(handler: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Peer {
    extended_on("127.0.0.1:0", handler).await
}

/// The same at a given address.
pub async fn extended_on(
    address: &str,
    handler: impl Fn(&Value) -> Do + Send + Sync + 'static,
) -> Peer {
    let handler: Handler = Arc::new(handler);
    scripted_on(address, move |_, socket, seen| speak_extended(socket, seen, Arc::clone(&handler)))
        .await
}

/// The extended dialect on one connection.
///
/// # Panics
/// A message is not JSON.
pub async fn speak_extended(socket: TcpStream, seen: Arc<Seen>, handler: Handler) {
    let (mut reader, writer) = socket.into_split();
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut buffer = Vec::new();
    loop {
        buffer.reserve(64 << 10);
        if reader.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return;
        }
        seen.reads.fetch_add(1, Ordering::SeqCst);
        let Some(end) = buffer.iter().rposition(|&byte| byte == b'\n') else { continue };
        let rest = buffer.split_off(end + 1);
        let mut out = String::new();
        for line in buffer.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let message: Value = serde_json::from_slice(line).unwrap();
            seen.note(&message);
            let reaction = match message["method_name"].as_str() {
                Some("rpc.health") => Do::Write(result(&message, r#"{"status":"ok"}"#)),
                None => Do::Nothing,
                Some(_) => handler(&message),
            };
            match reaction {
                Do::Write(text) => out.push_str(&text),
                Do::WriteAfter(delay, text) => {
                    let writer = Arc::clone(&writer);
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _ = writer.lock().await.write_all(text.as_bytes()).await;
                    });
                }
                Do::Nothing => {}
                Do::Close => return,
                Do::WriteAndClose(text) => {
                    let _ = writer.lock().await.write_all(text.as_bytes()).await;
                    return;
                }
            }
        }
        let _ = writer.lock().await.write_all(out.as_bytes()).await;
        buffer = rest;
    }
}

/// An older peer: each `recv(1024)` is one message.
pub async fn classic(handler: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Peer {
    classic_on("127.0.0.1:0", handler).await
}

/// The same at a given address.
pub async fn classic_on(
    address: &str,
    handler: impl Fn(&Value) -> Do + Send + Sync + 'static,
) -> Peer {
    let handler: Handler = Arc::new(handler);
    scripted_on(address, move |_, socket, seen| speak_classic(socket, seen, Arc::clone(&handler)))
        .await
}

/// The older dialect on one connection.
///
/// # Panics
/// Never, unless a test panicked before.
pub async fn speak_classic(mut socket: TcpStream, seen: Arc<Seen>, handler: Handler) {
    let mut buffer = [0; 1024];
    loop {
        let count = socket.read(&mut buffer).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(&buffer[..count]) else {
            seen.garbled.fetch_add(1, Ordering::SeqCst);
            continue;
        };
        seen.note(&message);
        let reaction = match message["method_name"].as_str() {
            Some("rpc.health") => {
                Do::Write(r#"{"res": "No service found for: rpc.health"}"#.to_owned())
            }
            _ => handler(&message),
        };
        match reaction {
            Do::Write(text) => drop(socket.write_all(text.as_bytes()).await),
            Do::WriteAfter(delay, text) => {
                tokio::time::sleep(delay).await;
                let _ = socket.write_all(text.as_bytes()).await;
            }
            Do::Nothing => {}
            Do::Close => return,
            Do::WriteAndClose(text) => {
                let _ = socket.write_all(text.as_bytes()).await;
                return;
            }
        }
    }
}

/// The extended reply to `request`.
pub fn result(request: &Value, value: &str) -> String {
    format!("{{\"id\":{},\"res\":{value}}}\n", request["id"])
}

/// The extended error reply to `request`.
pub fn failure(request: &Value, code: i64) -> String {
    format!(
        "{{\"id\":{},\"res\":\"Error calling method: x\",\"error\":{{\"code\":{code},\
         \"message\":\"x\",\"retryable\":false}}}}\n",
        request["id"]
    )
}

/// Adds the positional arguments, in either dialect.
///
/// # Panics
/// There are none.
pub fn sum(request: &Value) -> i64 {
    request["method_args"].as_array().unwrap().iter().filter_map(Value::as_i64).sum()
}

/// A peer that adds the arguments of every call.
pub async fn adder() -> Peer {
    extended(|request| Do::Write(result(request, &sum(request).to_string()))).await
}
