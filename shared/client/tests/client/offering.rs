//! Peers that offer named methods and say so: of this product, and older ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_tests::fakes::{self, Do, Peer, result};
use rpc_wire::signature::{Effect, Signature, contract, to_classic, to_openrpc};
use serde_json::{Value, json};

use crate::fake_registry::entry;

/// A peer whose methods can be changed; each returns the peer's address.
pub struct Offering {
    pub peer: Peer,
    methods: Arc<Mutex<Vec<Signature>>>,
    /// How long `rpc.discover` takes.
    delay: Arc<Mutex<Duration>>,
}

pub fn signatures(names: &[&str]) -> Vec<Signature> {
    let signature = |name: &&str| Signature { name: (*name).to_owned(), ..Signature::default() };
    names.iter().map(signature).collect()
}

pub fn read_only(name: &str) -> Signature {
    Signature { name: name.to_owned(), effect: Effect::ReadOnly, ..Signature::default() }
}

impl Offering {
    pub async fn new(names: &[&str]) -> Self {
        Self::of("127.0.0.1:0", signatures(names)).await
    }

    pub async fn of(address: &str, methods: Vec<Signature>) -> Self {
        let methods = Arc::new(Mutex::new(methods));
        let delay = Arc::new(Mutex::new(Duration::ZERO));
        let (mine, wait) = (Arc::clone(&methods), Arc::clone(&delay));
        let reply = move |request: &Value| {
            let methods = mine.lock().unwrap();
            match request["method_name"].as_str().unwrap() {
                "rpc.discover" => {
                    let document = to_openrpc("t", "1", &*methods).to_string();
                    Do::WriteAfter(*wait.lock().unwrap(), result(request, &document))
                }
                name if methods.iter().any(|known| known.name == name) => {
                    Do::Write(result(request, "1"))
                }
                name => Do::Write(no_such_method(request, name)),
            }
        };
        Self { peer: fakes::extended_on(address, reply).await, methods, delay }
    }

    /// An older server, without a digest.
    pub async fn classic(names: &[&str]) -> Self {
        let methods = Arc::new(Mutex::new(signatures(names)));
        let mine = Arc::clone(&methods);
        let reply = move |request: &Value| {
            let methods = mine.lock().unwrap();
            Do::Write(match request["method_name"].as_str().unwrap() {
                "all_your_methods" => format!("{{\"res\": {}}}", to_classic(&*methods)),
                name if methods.iter().any(|known| known.name == name) => {
                    r#"{"res": 1}"#.to_owned()
                }
                name => format!("{{\"res\": \"No service found for: {name}\"}}"),
            })
        };
        Self { peer: fakes::classic(reply).await, methods, delay: Arc::default() }
    }

    pub fn offer(&self, names: &[&str]) {
        *self.methods.lock().unwrap() = signatures(names);
    }

    pub fn discover_after(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    pub fn address(&self) -> SocketAddr {
        self.peer.address
    }

    pub fn contract(&self) -> String {
        contract(&*self.methods.lock().unwrap())
    }

    /// As a registry lists it, with the digest of what it offers.
    pub fn entry(&self, service: &str) -> Value {
        entry(self.address(), json!({"service": service, "contract": self.contract(), "wire": 1}))
    }

    /// As a registry lists an older one.
    pub fn plain_entry(&self) -> Value {
        entry(self.address(), json!({}))
    }

    /// Calls of that method that it received.
    pub fn count(&self, method: &str) -> usize {
        let calls = self.peer.seen.calls();
        calls.iter().filter(|call| call["method_name"] == method).count()
    }
}

pub fn no_such_method(request: &Value, name: &str) -> String {
    let text = format!("No service found for: {name}");
    json!({"id": request["id"], "res": text,
           "error": {"code": -32601, "message": text, "retryable": false}})
    .to_string()
        + "\n"
}
