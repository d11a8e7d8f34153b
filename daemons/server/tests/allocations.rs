//! A call of a synchronous method allocates nothing from its bytes to those of its reply.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use allocation_counter::measure;
use futures_util::FutureExt;
use rpc_server::{Server, builtin, rpc_method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CLASSIC: &str = r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
const SPACED: &str =
    r#"{"method_name": "add", "method_args": [1], "method_kwargs": {"b": 2, "c": 10}}"#;
const EXTENDED: &str = r#"{"id":7,"method_name":"add","method_args":[1,2],"method_kwargs":{},"meta":{"deadline_ms":2500}}"#;
/// White space that clients do not write: read by the framer and serde_json, not in one pass.
const GENERAL: &str =
    "{\n\"id\":7,\"method_name\":\"add\",\"method_args\":[1,2],\"method_kwargs\":{}}";
const TYPED: &str =
    r#"{"id":"x","method_name":"shift","method_args":[0.5,-2,true],"method_kwargs":{}}"#;

#[rpc_method]
fn shift(value: f64, by: i32, twice: bool) -> f64 {
    value + f64::from(by) * if twice { 2.0 } else { 1.0 }
}

#[test]
fn a_call_allocates_nothing_from_its_bytes_to_those_of_its_reply() {
    let server = Server::builder().methods(builtin::methods()).method(shift::method());
    let mut server = server.in_memory().unwrap();
    for (request, reply) in [
        (CLASSIC, "{\"res\":13}\n"),
        (SPACED, "{\"res\":13}\n"),
        (EXTENDED, "{\"id\":7,\"res\":13}\n"),
        (GENERAL, "{\"id\":7,\"res\":13}\n"),
        (TYPED, "{\"id\":\"x\",\"res\":-3.5}\n"),
    ] {
        for at_once in [1, 64] {
            let (requests, replies) = (request.repeat(at_once), reply.repeat(at_once));
            let mut call = || {
                let answered = server.answer(requests.as_bytes()).now_or_never();
                assert_eq!(answered, Some(replies.as_bytes()));
            };
            call();
            let count = measure(|| (0..10_000 / at_once).for_each(|_| call())).count_total;
            assert_eq!(count, 0, "{at_once} × {request}");
        }
    }
}

#[test]
fn over_a_socket_more_calls_take_no_more_allocations() {
    // Both sides run on one thread, and only its allocations are counted.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut stream = runtime.block_on(async {
        let server = Server::builder().methods(builtin::methods()).bind(([127, 0, 0, 1], 0));
        let server = server.await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        TcpStream::connect(address).await.unwrap()
    });
    let replies = b"{\"res\":13}\n".repeat(8);
    let (requests, mut input) = (CLASSIC.repeat(8), vec![0; replies.len()]);
    let mut calls = |times: usize| {
        let stream = &mut stream;
        let calls = async {
            for _ in 0..times {
                stream.write_all(requests.as_bytes()).await.unwrap();
                stream.read_exact(&mut input).await.unwrap();
                assert_eq!(input, replies);
            }
        };
        measure(|| runtime.block_on(calls)).count_total
    };
    calls(10);
    let (few, many) = (calls(10), calls(1000));
    assert_eq!(few, many);
}

#[cfg(feature = "http")]
#[test]
fn a_batch_over_http_that_waits_is_kept_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = std::sync::Arc::new(tokio::sync::Notify::new());
    let waits = rpc_server::Method::named("waits").parameters([]).asynchronous({
        let begun = begun.clone();
        move || {
            begun.notify_one();
            std::future::pending::<()>()
        }
    });
    let mut stream = runtime.block_on(async {
        let limits = rpc_server::Limits::default().max_calls_per_connection(1);
        let server = Server::builder().method(waits).limits(limits).bind(([127, 0, 0, 1], 0));
        let server = server.await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        TcpStream::connect(address).await.unwrap()
    });
    let call = r#"{"jsonrpc":"2.0","method":"waits","id":1}"#;
    let long = "x".repeat(1 << 20);
    let batch = format!(r#"[{call},{call},{{"jsonrpc":"2.0","method":"{long}"}}]"#);
    let request = format!(
        "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{batch}",
        batch.len()
    );
    let kept = measure(|| {
        runtime.block_on(async {
            stream.write_all(request.as_bytes()).await.unwrap();
            begun.notified().await;
            // By then the second one waits.
            tokio::task::yield_now().await;
        });
    });
    let kept = usize::try_from(kept.bytes_current).unwrap();
    assert!((batch.len()..batch.len() * 3 / 2).contains(&kept), "{kept} bytes");
}

#[test]
fn the_counter_counts() {
    let mut server = Server::builder().methods(builtin::methods()).in_memory().unwrap();
    let request = CLASSIC.replace("add", "subtract").replace("[1,2]", "[1]");
    let count = measure(|| assert!(server.answer(request.as_bytes()).now_or_never().is_some()));
    assert!(count.count_total > 0, "an error reply allocates");
}
