//! A registry that remembers what it was asked, and can misbehave: it answers as the older one
//! (HTTP/1.0, no Content-Length), with errors, or never.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::eventually::eventually;

/// How it treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Polite,
    /// 500 to everything.
    Failing,
    /// Takes requests and never answers.
    Hanging,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `register`, `unregister`, `findAllInstances` or another last part of the path.
    pub action: String,
    /// The body, `null` without one.
    pub body: Value,
    /// When the request was complete.
    pub at: Instant,
}

/// The registry; dropping it closes its port and its connections.
pub struct RecordingRegistry {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    _tasks: JoinSet<()>,
}

struct Shared {
    manner: Manner,
    asked: Vec<Asked>,
    instances: Vec<Value>,
}

impl RecordingRegistry {
    /// On a free port.
    ///
    /// # Panics
    /// There is none.
    pub async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// On that port, which another has just left.
    ///
    /// # Panics
    /// It is taken.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            manner: Manner::Polite,
            asked: Vec::new(),
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

    /// From now on it treats requests so.
    ///
    /// # Panics
    /// Never, apart from a test that panicked before.
    pub fn behave(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// From now on it lists instances at these addresses, whoever registers.
    ///
    /// # Panics
    /// Never, apart from a test that panicked before.
    pub fn list(&self, addresses: &[SocketAddr]) {
        let instance = |address: &SocketAddr| {
            json!({"protocol": "json", "host": address.ip().to_string(), "port": address.port(),
                   "parameters": {}, "status": true})
        };
        self.shared.lock().unwrap().instances = addresses.iter().map(instance).collect();
    }

    /// What it was asked so far, in order.
    ///
    /// # Panics
    /// Never, apart from a test that panicked before.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// How often it was asked for `action`.
    pub fn count(&self, action: &str) -> usize {
        self.asked().iter().filter(|asked| asked.action == action).count()
    }

    /// Waits until `action` was asked for `number` times.
    ///
    /// # Panics
    /// It was not, soon.
    pub async fn was_asked(&self, action: &str, number: usize) {
        let what = format!("{number} times {action}");
        eventually(&what, async || self.count(action) >= number).await;
    }
}

async fn converse(stream: TcpStream, shared: Arc<Mutex<Shared>>) {
    let mut stream = BufReader::new(stream);
    let Some((path, body)) = read_request(&mut stream).await else { return };
    let action = path.split('?').next().and_then(|p| p.rsplit('/').next()).unwrap_or("").to_owned();
    let (manner, answer) = {
        let mut shared = shared.lock().unwrap();
        shared.asked.push(Asked { action: action.clone(), body: body.clone(), at: Instant::now() });
        let key = |instance: &Value| (instance["host"].clone(), instance["port"].clone());
        if shared.manner == Manner::Polite && action.ends_with("register") {
            shared.instances.retain(|other| key(other) != key(&body));
        }
        let answer = match action.as_str() {
            "register" if shared.manner == Manner::Polite => {
                shared.instances.push(body.clone());
                Some(with_status(body, true))
            }
            "unregister" => Some(with_status(body, false)),
            "findAllInstances" => Some(Value::Array(shared.instances.clone())),
            _ => None,
        };
        (shared.manner, answer)
    };
    let (status, answer) = match (manner, answer) {
        (Manner::Hanging, _) => return std::future::pending().await,
        (Manner::Failing, _) => ("500 Internal Server Error", json!({"error": "on purpose"})),
        (Manner::Polite, Some(answer)) => ("200 OK", answer),
        (Manner::Polite, None) => ("404 Not Found", json!({"error": "Not Found"})),
    };
    let answer = format!("HTTP/1.0 {status}\r\nContent-type: application/json\r\n\r\n{answer}");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn with_status(mut instance: Value, status: bool) -> Value {
    instance["status"] = json!(status);
    instance
}

/// Path and body; `None` when the peer went away.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
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
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
