//! A gateway, and the server behind it with what it is asked for.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use rpc_client::{Client, ClientOptions};
use rpc_gateway::{Gateway, GatewayOptions};
use rpc_server::{Failure, Method, Server, ServerHandle, rpc_method};
use serde_json::{Value, json};
use tokio::time::sleep;

/// What takes longer does not happen.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

#[rpc_method(read_only)]
pub(crate) fn double(number: i64) -> i64 {
    number * 2
}

/// Waits until it is cancelled.
#[rpc_method(read_only)]
pub(crate) async fn wait() -> Result<(), Failure> {
    std::future::pending().await
}

#[rpc_method(read_only)]
pub(crate) fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[rpc_method(stream, read_only)]
pub(crate) fn count(to: u64, #[default(5)] milliseconds: u64) -> impl Stream<Item = u64> {
    stream::iter(1..=to).then(move |number| async move {
        sleep(Duration::from_millis(milliseconds)).await;
        number
    })
}

/// Those above, and others.
pub(crate) fn methods_with(others: impl IntoIterator<Item = Method>) -> Vec<Method> {
    let mut methods = vec![double::method(), wait::method(), text::method(), count::method()];
    methods.extend(others);
    methods
}

pub(crate) async fn gateway(
    methods: Vec<Method>,
    options: GatewayOptions,
) -> (Gateway, ServerHandle) {
    let server = Server::builder().name("numbers").bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    handle.replace_methods(methods).unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    let long_lists = ClientOptions { max_method_list_bytes: 32 << 20, ..ClientOptions::default() };
    let client = Client::direct(address.to_string(), long_lists).unwrap();
    (Gateway::new(client, options), handle)
}

/// A stateless request.
pub(crate) fn modern(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}
