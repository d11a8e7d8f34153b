//! Servers whose only method, `tick`, counts its calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{self, Do, Peer, failure, result, scripted};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The counts of `tick`.
#[derive(Default)]
pub(crate) struct Ticks {
    calls: AtomicUsize,
    in_flight: AtomicUsize,
    /// Most calls in flight at once.
    most: AtomicUsize,
    /// Connections that had calls.
    connections: AtomicUsize,
}

impl Ticks {
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(SeqCst)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Waits for that many calls.
    pub(crate) async fn received(&self, number: usize) {
        eventually(&format!("{number} calls"), async || self.calls() >= number).await;
    }

    fn began(&self, first_of_connection: bool) {
        self.calls.fetch_add(1, SeqCst);
        self.most.fetch_max(self.in_flight.fetch_add(1, SeqCst) + 1, SeqCst);
        self.connections.fetch_add(usize::from(first_of_connection), SeqCst);
    }

    /// Counted before the reply is written, or the next call might arrive first.
    fn ended(&self) {
        self.in_flight.fetch_sub(1, SeqCst);
    }
}

/// Whether a message is a call of `tick`.
pub(crate) fn is_tick(message: &Value) -> bool {
    message["method_name"] == "tick"
}

/// An extended server that the console can watch, and its handler of `tick`.
pub(crate) async fn instance(tick: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Peer {
    instance_on("127.0.0.1:0", tick).await
}

/// The same, which says that `tick` only reads.
pub(crate) async fn reading_instance(tick: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Peer {
    let methods = r#"{"methods":[{"name":"tick","params":[],"x-read-only":true}]}"#;
    fakes::extended(move |message| match message["method_name"].as_str() {
        Some("rpc.discover") => Do::Write(result(message, methods)),
        _ => reply_to(message, &tick),
    })
    .await
}

/// The same at a given address.
pub(crate) async fn instance_on(
    address: &str,
    tick: impl Fn(&Value) -> Do + Send + Sync + 'static,
) -> Peer {
    fakes::extended_on(address, move |message| reply_to(message, &tick)).await
}

/// The action of such a server on a message.
pub(crate) fn reply_to(message: &Value, tick: impl Fn(&Value) -> Do) -> Do {
    if is_tick(message) { tick(message) } else { Do::Write(reserved(message)) }
}

/// The reply to anything but a call of `tick`.
fn reserved(message: &Value) -> String {
    match message["method_name"].as_str() {
        Some("rpc.health") => result(message, r#"{"status":"ok"}"#),
        Some("rpc.discover") => result(message, r#"{"methods":[{"name":"tick","params":[]}]}"#),
        _ => failure(message, -32601),
    }
}

/// An extended server that replies once no further call has arrived for the time of `hold`.
pub(crate) async fn extended(hold: Duration) -> (Peer, Arc<Ticks>) {
    let ticks = Arc::new(Ticks::default());
    let counted = Arc::clone(&ticks);
    let peer = scripted(move |_, socket, _| speak_extended(socket, Arc::clone(&counted), hold));
    (peer.await, ticks)
}

async fn speak_extended(socket: TcpStream, ticks: Arc<Ticks>, hold: Duration) {
    let (reader, mut writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut held = VecDeque::new();
    let mut first = true;
    loop {
        let reply: String = tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let message: Value = serde_json::from_str(&line).unwrap();
                if is_tick(&message) {
                    ticks.began(std::mem::take(&mut first));
                    held.push_back(result(&message, "1"));
                    continue;
                }
                if message["method_name"].is_null() {
                    continue;
                }
                reserved(&message)
            }
            () = sleep(hold), if !held.is_empty() => {
                held.iter().for_each(|_| ticks.ended());
                held.drain(..).collect()
            }
        };
        if writer.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An older server that replies after the time of `hold`.
pub(crate) async fn classic(hold: Duration) -> (Peer, Arc<Ticks>) {
    let ticks = Arc::new(Ticks::default());
    let counted = Arc::clone(&ticks);
    let peer = scripted(move |_, mut socket, seen| {
        let ticks = Arc::clone(&counted);
        async move {
            let mut buffer = [0; 1024];
            let mut first = true;
            while let Ok(count @ 1..) = socket.read(&mut buffer).await {
                let message: Value = serde_json::from_slice(&buffer[..count]).unwrap();
                seen.note(&message);
                let reply = match message["method_name"].as_str() {
                    Some("tick") => {
                        ticks.began(std::mem::take(&mut first));
                        sleep(hold).await;
                        ticks.ended();
                        r#"{"res": 1}"#
                    }
                    Some("all_your_methods") => {
                        r#"{"res": [{"method_name": "tick", "method_args": [], "method_kwargs": {}}]}"#
                    }
                    _ => r#"{"res": "No service found for: that"}"#,
                };
                if socket.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    });
    (peer.await, ticks)
}

/// How often a server's dialect was probed.
pub(crate) fn probes(peer: &Peer) -> usize {
    let messages = peer.seen.messages();
    messages.iter().filter(|message| message["method_name"] == "rpc.health").count()
}
