//! Lists of methods are kept once for all who read them, whatever they ask by and however slowly they read.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rpc_server::{Method, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(20);
/// More than the system takes for a peer that reads nothing.
const LIST_BYTES: usize = 6 << 20;
const READERS: usize = 2;

async fn serve() -> SocketAddr {
    let method = Method::named("long").doc("x".repeat(LIST_BYTES)).parameters([]).sync(|| 1);
    let server = Server::builder().method(method).bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

/// A connection whose system takes little.
async fn connect(server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(server).await.unwrap()
}

async fn buffered(server: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    timeout(TIMEOUT, stream.read_to_string(&mut page)).await.unwrap().unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("rpc_server_buffered_bytes "));
    line.unwrap().parse().unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_methods_are_kept_once_for_all_who_read_them() {
    let server = serve().await;
    let single = r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#;
    let batch = format!(r#"[{{"jsonrpc":"2.0","id":2,"method":"long"}},{single}]"#);
    let reply = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{";
    let many = format!("[{{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}},{reply}");
    let doors = [
        (get("/openrpc.json"), "\r\n\r\n{", "}"),
        (get("/openapi.json"), "\r\n\r\n{", "}"),
        (post("/call/rpc.discover", "[]"), "\r\n\r\n{", "}"),
        (post("/rpc", single), reply, "}}\n"),
        (post("/rpc", &batch), &many, "}}]\n"),
        (single.to_owned(), reply, "}}\n"),
        (batch.clone(), &many, "}}]\n"),
        (r#"{"id":1,"method_name":"rpc.discover"}"#.to_owned(), "{\"id\":1,\"res\":{", "}}\n"),
        (
            r#"{"id":1,"method_name":"rpc.discover","meta":{"stream":true}}"#.to_owned(),
            "{\"id\":1,\"item\":{",
            "}}\n{\"id\":1,\"end\":true}\n",
        ),
    ];
    for (request, begin, end) in doors {
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let mut stream = connect(server).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut reply = vec![0];
            timeout(TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
            readers.push((stream, reply));
        }
        let buffered = buffered(server).await;
        assert!(buffered < LIST_BYTES / 16, "{buffered} bytes are kept for {request}");
        for (mut stream, mut reply) in readers {
            if !request.contains("HTTP") {
                stream.shutdown().await.unwrap();
            }
            timeout(TIMEOUT, stream.read_to_end(&mut reply)).await.unwrap().unwrap();
            let reply = String::from_utf8(reply).unwrap();
            assert!(reply.len() > LIST_BYTES, "{} bytes of {request}", reply.len());
            assert!(reply.contains(begin) && reply.ends_with(end), "{request}");
        }
    }
}
