//! A registry that records its requests, and can misbehave: it replies like the older one
//! (HTTP/1.0, no Content-Length), with errors, or never.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::eventually::eventually;

/// How it handles requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Correctly.
    Polite,
    /// 500 for every request.
    Failing,
    /// Reads requests and never replies.
    Hanging,
}

/// A recorded request.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The last part of the path: `register`, `unregister`, `findAllInstances` or another.
    pub action: String,
    /// The body; `null` if there is none.
    pub body: Value,
    /// When the request was complete.
    pub at: Instant,
    /// The header `Authorization`, if there is one.
    pub authorization: Option<String>,
}

/// The registry; dropping it closes its port and its connections.
pub struct RecordingRegistry {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    _tasks: JoinSet<()>,
}

struct Shared {
    manner: Manner,
    requests: Vec<RecordedRequest>,
    instances: Vec<Value>,
}

impl RecordingRegistry {
    /// On a free port.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// On a given port, which was in use just before.
    ///
    /// # Panics
    /// It is in use.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            manner: Manner::Polite,
            requests: Vec::new(),
            instances: Vec::new(),
        }));
        let mut tasks = JoinSet::new();
        let state = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(converse(stream, Arc::clone(&state)));
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Handles requests in this manner from now on.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn behave(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// Lists instances at these addresses from now on, whatever is registered.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn list(&self, addresses: &[SocketAddr]) {
        self.list_with(addresses.iter().map(|address| (*address, json!({}))));
    }

    /// The same with the parameters of each.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn list_with(&self, instances: impl IntoIterator<Item = (SocketAddr, Value)>) {
        let instances = instances.into_iter().map(|(at, parameters)| instance(at, parameters));
        self.shared.lock().unwrap().instances = instances.collect();
    }

    /// The requests so far, in order.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().unwrap().requests.clone()
    }

    /// Number of requests of `action`.
    pub fn count(&self, action: &str) -> usize {
        self.requests().iter().filter(|request| request.action == action).count()
    }

    /// Waits until there were `number` requests of `action`.
    ///
    /// # Panics
    /// There were not in time.
    pub async fn has_received(&self, action: &str, number: usize) {
        let what = format!("{number} times {action}");
        eventually(&what, async || self.count(action) >= number).await;
    }
}

fn instance(address: SocketAddr, parameters: Value) -> Value {
    json!({"protocol": "json", "host": address.ip().to_string(), "port": address.port(),
           "parameters": parameters, "status": true})
}

async fn converse(stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut stream = BufReader::new(stream);
    let Some((path, authorization, body)) = read_request(&mut stream).await else { return };
    let action = path.split('?').next().and_then(|p| p.rsplit('/').next()).unwrap_or("").to_owned();
    let (manner, reply) = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push(RecordedRequest {
            action: action.clone(),
            body: body.clone(),
            at: Instant::now(),
            authorization,
        });
        let key = |instance: &Value| (instance["host"].clone(), instance["port"].clone());
        if shared.manner == Manner::Polite && action.ends_with("register") {
            shared.instances.retain(|other| key(other) != key(&body));
        }
        let reply = match action.as_str() {
            "register" if shared.manner == Manner::Polite => {
                shared.instances.push(body.clone());
                Some(with_status(body, true))
            }
            "unregister" => Some(with_status(body, false)),
            "findAllInstances" => Some(Value::Array(shared.instances.clone())),
            _ => None,
        };
        (shared.manner, reply)
    };
    let (status, reply) = match (manner, reply) {
        (Manner::Hanging, _) => return std::future::pending().await,
        (Manner::Failing, _) => ("500 Internal Server Error", json!({"error": "on purpose"})),
        (Manner::Polite, Some(reply)) => ("200 OK", reply),
        (Manner::Polite, None) => ("404 Not Found", json!({"error": "Not Found"})),
    };
    let reply = format!("HTTP/1.0 {status}\r\nContent-type: application/json\r\n\r\n{reply}");
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn with_status(mut instance: Value, status: bool) -> Value {
    instance["status"] = json!(status);
    instance
}

/// Path, token and body; `None` if the peer closed.
async fn read_request(
    stream: &mut BufReader<TcpStream>,
) -> Option<(String, Option<String>, Value)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let path = head.first()?.split(' ').nth(1)?.to_owned();
    let header = |wanted: &str| {
        head.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let authorization = header("authorization");
    Some((path, authorization, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
