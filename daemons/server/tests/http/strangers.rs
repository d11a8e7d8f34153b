//! What a stranger can make a server keep over HTTP is bounded.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_server::{Limits, Method, Server, ServerBuilder, builtin};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::harness::{
    JSON, TIMEOUT, eventually, kept, kept_call, metric, open, open_from, rpc, serve,
};

#[tokio::test]
async fn of_peers_that_read_no_replies_those_with_most_are_disconnected() {
    let large = Method::named("large").parameters([]).sync(|| "x".repeat(8_000_000));
    let limits = Limits::default().max_buffered_bytes(32 << 20).write_timeout(TIMEOUT * 3);
    let server = serve(Server::builder().limits(limits).method(large)).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"large"}"#;
    let requests = [kept_call("large", "[]"), kept("POST /rpc", JSON, call)];
    let mut lazy = Vec::new();
    for (host, request) in (2..14).zip(requests.iter().cycle()) {
        lazy.push(open_from(host, server, request).await);
    }
    let connections = async || metric(server, "rpc_server_connections").await;
    let kept = async || metric(server, "rpc_server_buffered_bytes").await;
    eventually("some are disconnected", async || connections().await < 13).await;
    eventually("the limit is kept", async || kept().await <= 32 << 20).await;
    assert!(connections().await > 3, "no more than needed");
    assert!(kept().await > 8 << 20, "{}", kept().await);
    // Who reads gets the replies.
    for _ in 0..3 {
        assert_eq!(rpc(server, call).await.json()["id"], 1);
    }
    drop(lazy);
    eventually("all is given back", async || kept().await == 0).await;
}

fn builtins() -> ServerBuilder {
    Server::builder().methods(builtin::methods())
}

/// The status of the reply to a GET with these headers.
async fn status(server: SocketAddr, headers: &str) -> String {
    let request = format!("GET /openrpc.json HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    let mut stream = open(server, &request).await;
    let mut bytes = Vec::new();
    // A peer that sends more than is read gets a reset after the reply.
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes).split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_foreign_page_cannot_read_a_server_on_this_machine() {
    let plain = serve(builtins()).await;
    let named = serve(builtins().allowed_hosts(["rpc.example.org".to_owned()])).await;
    for (headers, of_plain, of_named) in [
        ("", "200", "200"),
        ("Host: localhost:1\r\n", "200", "200"),
        ("Host: 127.0.0.1:1\r\n", "200", "200"),
        ("Host: rpc.example.org\r\n", "403", "200"),
        ("Host: rebind.attacker.example\r\n", "403", "403"),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", "403", "403"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", "403", "403"),
        ("Host: localhost\r\nOrigin: http://localhost\r\n", "200", "200"),
    ] {
        let got = (status(plain, headers).await, status(named, headers).await);
        assert_eq!((got.0.as_str(), got.1.as_str()), (of_plain, of_named), "{headers}");
    }
}

#[tokio::test]
async fn a_head_is_small() {
    let server = serve(builtins()).await;
    let head = |bytes: usize| format!("X: {}\r\n", "x".repeat(bytes));
    assert_eq!(status(server, &head(15_000)).await, "200");
    assert_ne!(status(server, &head(17_000)).await, "200");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let limits = Limits::default().write_timeout(Duration::from_millis(500));
    let server = serve(builtins().limits(limits)).await;
    let request = kept("GET /openrpc.json", "", "");
    let (_reader, mut writer) = open(server, "").await.into_split();
    tokio::spawn(async move {
        // The server does not read it all.
        let _ = writer.write_all(request.repeat(20_000).as_bytes()).await;
        std::future::pending::<()>().await;
    });
    let connections = async || metric(server, "rpc_server_connections").await;
    eventually("it is disconnected", async || connections().await == 1).await;
}
