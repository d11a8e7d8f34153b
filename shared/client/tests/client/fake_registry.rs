//! Registries that speak exact bytes: the older one (HTTP/1.0, no length) and a newer one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A registry on its own port; it stops when dropped.
pub struct FakeRegistry {
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct State {
    old: bool,
    list: Mutex<String>,
    revision: AtomicUsize,
    pub requests: Mutex<Vec<String>>,
    not_modified: AtomicUsize,
    open: AtomicUsize,
    /// Sent instead of any other reply.
    reply: Mutex<Option<String>>,
    connections: Mutex<Vec<AbortHandle>>,
}

impl FakeRegistry {
    pub async fn old_style() -> Self {
        Self::start("127.0.0.1:0", true).await
    }

    pub async fn new_style() -> Self {
        Self::start("127.0.0.1:0", false).await
    }

    pub async fn start(address: &str, old: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let list = Mutex::new("[]".to_owned());
        let state = Arc::new(State { old, list, ..State::default() });
        let mine = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let state = Arc::clone(&mine);
                let task = tokio::spawn(async move {
                    let _open = Open::new(&state);
                    serve(socket, &state).await;
                });
                mine.connections.lock().unwrap().push(task.abort_handle());
            }
        });
        Self { address, state, accepting: accepting.abort_handle() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lists replicas of one contract at these addresses.
    pub fn list(&self, addresses: &[SocketAddr]) {
        let parameters = json!({"contract": "0123456789abcdef0123456789abcdef"});
        let entry = |address: &SocketAddr| entry(*address, parameters.clone());
        self.list_json(&Value::from(addresses.iter().map(entry).collect::<Vec<_>>()));
    }

    pub fn list_json(&self, list: &Value) {
        *self.state.list.lock().unwrap() = list.to_string();
        self.state.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Replies to everything with these bytes from now on.
    pub fn reply(&self, reply: impl Into<String>) {
        *self.state.reply.lock().unwrap() = Some(reply.into());
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    pub fn not_modified(&self) -> usize {
        self.state.not_modified.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.connections.lock().unwrap().drain(..).for_each(|handle| handle.abort());
    }
}

/// An entry of a list.
pub fn entry(address: SocketAddr, parameters: Value) -> Value {
    json!({"protocol": "json", "host": address.ip().to_string(), "port": address.port(),
           "status": true, "parameters": parameters})
}

struct Open<'a>(&'a State);

impl<'a> Open<'a> {
    fn new(state: &'a State) -> Self {
        state.open.fetch_add(1, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut socket: TcpStream, state: &State) {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut socket, &mut buffer).await {
        state.requests.lock().unwrap().push(request.clone());
        let given = state.reply.lock().unwrap().clone();
        let reply = given.clone().unwrap_or_else(|| reply(&request, state));
        let written = socket.write_all(reply.as_bytes()).await;
        if state.old || given.is_some() || written.is_err() {
            let _ = socket.shutdown().await;
            // Until the client has read it and closed too.
            while socket.read(&mut [0; 1024]).await.unwrap_or(0) > 0 {}
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some(head) = text.find("\r\n\r\n").map(|end| end + 4) {
            let length = text[..head]
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if buffer.len() >= head + length {
                buffer.drain(..head + length);
                return Some(text[..head + length].to_owned());
            }
        }
        if socket.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn reply(request: &str, state: &State) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let etag = format!("\"e.{}\"", state.revision.load(Ordering::SeqCst));
    let (status, body) = if head.contains("/myRegistry/findAllInstances") {
        if !state.old && head.contains(&etag) {
            state.not_modified.fetch_add(1, Ordering::SeqCst);
            return format!("HTTP/1.1 304 Not Modified\r\netag: {etag}\r\n\r\n");
        }
        ("200 OK", state.list.lock().unwrap().clone())
    } else if head.contains("/myRegistry/") {
        let mut instance: Value = serde_json::from_str(body).unwrap();
        instance["status"] = json!(!head.contains("unregister"));
        ("200 OK", instance.to_string())
    } else {
        ("404 Not Found", r#"{"error": "Not Found"}"#.to_owned())
    };
    if state.old {
        return format!("HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n{body}");
    }
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\netag: {etag}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
