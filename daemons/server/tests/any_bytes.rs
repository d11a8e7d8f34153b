//! Fuzz targets: a server's replies to any bytes, on a connection and as the body of a request.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use futures_util::FutureExt;
use rpc_server::{Limits, Server, builtin};
use serde_json::Value;

/// All replies to `bytes` sent in pieces of this size.
fn replies(bytes: &[u8], piece: usize) -> String {
    // All but sleep(), which would have to be waited for.
    let methods = builtin::methods().into_iter().filter(|m| m.signature().name != "sleep");
    let limits = Limits::default().max_request_bytes(2048).max_nesting(20);
    let mut server = Server::builder().methods(methods).limits(limits).in_memory().unwrap();
    let mut replies = Vec::new();
    for piece in bytes.chunks(piece) {
        replies.extend_from_slice(server.answer(piece).now_or_never().unwrap());
    }
    String::from_utf8(replies).unwrap()
}

#[test]
fn any_bytes_get_the_same_json_lines_however_they_are_split() {
    rpc_fuzz::bytes("call", |bytes| {
        let at_once = replies(bytes, bytes.len().max(1));
        for line in at_once.lines() {
            let reply: Value = serde_json::from_str(line).unwrap();
            let is_batch =
                reply.as_array().is_some_and(|replies| replies.iter().all(Value::is_object));
            assert!(reply.is_object() || is_batch, "{line}");
        }
        for piece in [1, 7] {
            assert_eq!(replies(bytes, piece), at_once, "in pieces of {piece}");
        }
    });
}

/// The status and the body of the response to a request with this body.
#[cfg(feature = "http")]
fn post(address: SocketAddr, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[cfg(feature = "http")]
#[test]
fn any_bytes_as_a_body_get_a_result_or_an_error_of_their_sender() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let methods = builtin::methods().into_iter().filter(|m| m.signature().name != "sleep");
    let limits = Limits::default().max_request_bytes(2048).max_nesting(20);
    let server = Server::builder().methods(methods).limits(limits);
    let server = runtime.block_on(server.bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = server.local_addr();
    runtime.spawn(server.serve(std::future::pending()));
    rpc_fuzz::bytes("call_body", |bytes| {
        let (status, body) = post(address, "/call/add", bytes);
        assert!([200, 400, 413, 500].contains(&status), "{status} {body}");
        let reply: Value = serde_json::from_str(&body).unwrap();
        // A number may be one that nothing holds.
        assert!(status != 500 || reply["code"] == -32603, "{body}");
        let (status, body) = post(address, "/rpc", bytes);
        match status {
            204 => assert!(body.is_empty(), "{body}"),
            _ => {
                let reply: Value = serde_json::from_str(&body).unwrap();
                assert!(
                    status == 200 && (reply.is_object() || reply.is_array()),
                    "{status} {body}"
                );
            }
        }
    });
}
