//! Lists of methods are kept once for all who read them, whatever they ask by and however slowly they read.

use std::net::SocketAddr;

use rpc_server::{Method, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::harness::{self, JSON, TIMEOUT, kept, metric, post};

/// More than the system takes for a peer that reads nothing.
const LIST_BYTES: usize = 6 << 20;
const READERS: usize = 2;

async fn serve() -> SocketAddr {
    let method = Method::named("long").doc("x".repeat(LIST_BYTES)).parameters([]).sync(|| 1);
    harness::serve(Server::builder().method(method)).await
}

/// A connection whose system takes little.
async fn connect(server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(server).await.unwrap()
}

fn get(path: &str) -> String {
    kept(&format!("GET {path}"), "Connection: close\r\n", "")
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
        (post("/call/rpc.discover", JSON, "[]"), "\r\n\r\n{", "}"),
        (post("/rpc", JSON, single), reply, "}}\n"),
        (post("/rpc", JSON, &batch), &many, "}}]\n"),
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
        let buffered = metric(server, "rpc_server_buffered_bytes").await;
        assert!(buffered < LIST_BYTES as u64 / 16, "{buffered} bytes are kept for {request}");
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
