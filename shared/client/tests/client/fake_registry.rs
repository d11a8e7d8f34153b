//! Registries that speak exact bytes: the older one (HTTP/1.0, no length) and a newer one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
    /// Replies to `wait=` only when the list changes or that time is over.
    waits: bool,
    hangs: AtomicBool,
    /// Sent with every reply that is no 304.
    header: Mutex<String>,
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

    /// A newer one that takes long polls.
    pub async fn waiting() -> Self {
        Self::with("127.0.0.1:0", State { waits: true, ..State::default() }).await
    }

    pub async fn start(address: &str, old: bool) -> Self {
        Self::with(address, State { old, ..State::default() }).await
    }

    async fn with(address: &str, state: State) -> Self {
        let listener = bound(address).await;
        let address = listener.local_addr().unwrap();
        let list = Mutex::new("[]".to_owned());
        let state = Arc::new(State { list, ..state });
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

    /// Replies to nothing from now on.
    pub fn hang(&self) {
        self.state.hangs.store(true, Ordering::SeqCst);
    }

    /// Replies to everything with these bytes from now on.
    pub fn reply(&self, reply: impl Into<String>) {
        *self.state.reply.lock().unwrap() = Some(reply.into());
    }

    /// Says from now on that it has just started.
    pub fn is_warming(&self) {
        *self.state.header.lock().unwrap() = "rpcd-warming: 5\r\n".to_owned();
    }

    /// The requests for the list.
    pub fn looks(&self) -> usize {
        self.requests().iter().filter(|request| request.contains("findAllInstances")).count()
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

/// The one that was there before may still be ending.
async fn bound(address: &str) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
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
        if state.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if given.is_none() && state.waits {
            until_changed(&request, state).await;
        }
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

/// Waits as long as the request says, or until the list has another tag than it names.
async fn until_changed(request: &str, state: &State) {
    let Some((_, wait)) = request.split_once("wait=") else { return };
    let digits: String = wait.chars().take_while(char::is_ascii_digit).collect();
    assert!(wait[digits.len()..].starts_with("ms"), "{request}");
    let over = Instant::now() + Duration::from_millis(digits.parse().unwrap());
    let is_same = || request.contains(&tag(state));
    while is_same() && Instant::now() < over {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn tag(state: &State) -> String {
    format!("\"e.{}\"", state.revision.load(Ordering::SeqCst))
}

fn reply(request: &str, state: &State) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let etag = tag(state);
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
    let header = state.header.lock().unwrap();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{header}etag: {etag}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
