//! The limits of an HTTP connection's time, and of what is sent to it and not read.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rpc_server::{Limits, Method, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::harness::{TIMEOUT, kept_call, open, rest, serve};

const SHORT: Duration = Duration::from_millis(400);

async fn start(limits: Limits) -> SocketAddr {
    let nap = Method::named("nap").parameters(["ms"]).asynchronous(async |ms: u64| {
        sleep(Duration::from_millis(ms)).await;
    });
    let drip = Method::named("drip").parameters(["ms"]).stream(|ms: u64| {
        stream::iter(1..=2).then(move |item| async move {
            sleep(Duration::from_millis(ms)).await;
            item
        })
    });
    serve(Server::builder().methods([nap, drip]).limits(limits)).await
}

/// What comes until the server closes, and when it does.
async fn timed_rest(stream: &mut TcpStream) -> (String, Duration) {
    let began = Instant::now();
    (rest(stream).await, began.elapsed())
}

#[tokio::test]
async fn a_connection_is_closed_when_the_next_head_is_not_whole_in_time() {
    let server = start(Limits::default().request_timeout(SHORT)).await;
    for head in ["POST /call/nap HT", "\r\n"] {
        // After a request that took longer than a head may.
        let mut stream = open(server, &kept_call("nap", "[600]")).await;
        let mut reply = vec![0; 4];
        stream.read_exact(&mut reply).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let (reply, after) = timed_rest(&mut stream).await;
        assert!(reply.ends_with("\r\n\r\nnull"), "{reply}");
        assert!(after > SHORT * 3 / 4 && after < SHORT * 10, "{after:?}");
    }
    let mut stream = open(server, "GET /healthz HTTP/1.1\r\nX: ").await;
    let (reply, after) = timed_rest(&mut stream).await;
    assert!(reply.is_empty() && after > SHORT * 3 / 4, "{after:?}: {reply}");
}

#[tokio::test]
async fn a_connection_may_be_idle_for_longer_than_a_head_may_take_and_not_for_ever() {
    let limits = Limits::default().request_timeout(SHORT).idle_timeout(SHORT * 4);
    let server = start(limits).await;
    let mut stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..2 {
        stream.write_all(kept_call("nap", "[1]").as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\nnull") {
            assert!(timeout(TIMEOUT, stream.read_buf(&mut reply)).await.unwrap().unwrap() > 0);
        }
        sleep(SHORT * 2).await;
    }
    let (more, after) = timed_rest(&mut stream).await;
    assert!(more.is_empty() && after > SHORT && after < SHORT * 20, "{after:?}: {more}");
}

/// An HTTP connection that has had a reply and is kept open.
async fn kept_open(server: SocketAddr) -> Option<TcpStream> {
    let mut stream = open(server, &kept_call("nap", "[0]")).await;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\nnull") {
        if timeout(TIMEOUT, stream.read_buf(&mut reply)).await.unwrap().unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(stream)
}

#[tokio::test]
async fn an_idle_connection_gives_its_place_to_another() {
    let limits = Limits::default().max_connections(1).idle_timeout(Duration::from_secs(20));
    let server = start(limits).await;
    let mut open = Vec::new();
    // There are some more for this machine.
    while let Some(stream) = kept_open(server).await {
        open.push(stream);
    }
    assert!(open.len() < 20);
    let began = Instant::now();
    while kept_open(server).await.is_none() {
        assert!(began.elapsed() < TIMEOUT, "none gave way");
        sleep(Duration::from_millis(100)).await;
    }
    let more = rest(&mut open[0]).await;
    assert!(more.is_empty(), "{more}");
    // One that is used again does not give way.
    let stream = open.last_mut().unwrap();
    stream.write_all(kept_call("nap", "[1]").as_bytes()).await.unwrap();
    assert!(timeout(TIMEOUT, stream.read(&mut [0; 100])).await.unwrap().unwrap() > 0);
}

#[tokio::test]
async fn a_stream_may_be_silent_for_longer_than_a_head_may_take() {
    let server = start(Limits::default().request_timeout(SHORT).idle_timeout(SHORT)).await;
    let mut stream = open(server, &kept_call("drip", "[900]")).await;
    let reply = rest(&mut stream).await;
    assert!(reply.ends_with("2\r\n1\n\r\n2\r\n2\n\r\n0\r\n\r\n"), "{reply}");
}

/// What a program gets that sends everything before it reads anything.
fn send_all_then_read(server: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    for part in body.chunks(64 * 1024) {
        stream.write_all(part).unwrap();
        // The server could not reply and close without the rest being noticed.
        thread::yield_now();
    }
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    String::from_utf8(reply).unwrap()
}

fn in_chunks(body: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let mut chunks: Vec<u8> = body.chunks(10_000).flat_map(chunk).collect();
    chunks.extend_from_slice(b"0\r\n\r\n");
    chunks
}

#[tokio::test]
async fn who_sends_a_body_that_is_too_large_before_reading_is_told_so() {
    let server = start(Limits::default()).await;
    let body = vec![b'7'; 10 << 20];
    let head = |path: &str, length: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{length}\r\n\r\n"
        )
    };
    let known = format!("Content-Length: {}", body.len());
    let chunked = "Transfer-Encoding: chunked";
    let chunks = in_chunks(&body);
    let ask = async |path: &str, length: &str, body: &[u8]| {
        let (head, body) = (head(path, length), body.to_vec());
        tokio::task::spawn_blocking(move || send_all_then_read(server, &head, &body)).await.unwrap()
    };
    for (length, body) in [(known.as_str(), &body), (chunked, &chunks)] {
        let reply = ask("/call/nap", length, body).await;
        assert!(reply.starts_with("HTTP/1.1 413 "), "{length}: {reply}");
        assert!(reply.contains("application/problem+json") && reply.contains("-32005"), "{reply}");
        let reply = ask("/rpc", length, body).await;
        assert!(
            reply.starts_with("HTTP/1.1 200 ") && reply.contains("-32005"),
            "{length}: {reply}"
        );
        // Nobody reads bodies here.
        let reply = ask("/nowhere", length, body).await;
        assert!(reply.starts_with("HTTP/1.1 404 "), "{length}: {reply}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_discarded_for_ever() {
    // Longer than a busy machine takes for a reply that is sent at once.
    const SHORT: Duration = Duration::from_millis(1500);
    let server = start(Limits::default().request_timeout(SHORT)).await;
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head = "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut reply = vec![0; 12];
    timeout(TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(reply, b"HTTP/1.1 404");
    assert!(began.elapsed() > SHORT * 3 / 4, "{:?}", began.elapsed());
    // One that waits to be asked for its body has its reply at once.
    let began = Instant::now();
    let mut stream = TcpStream::connect(server).await.unwrap();
    let head = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert_eq!(reply, b"HTTP/1.1 404");
    assert!(began.elapsed() < SHORT * 3 / 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_request_that_meets_the_end_of_the_server_is_told_so() {
    let nap = Method::named("nap").parameters(["ms"]).sync(|_: u64| ());
    let limits = Limits::default().close_timeout(TIMEOUT);
    let builder = Server::builder().method(nap).limits(limits);
    let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let rpc = r#"{"jsonrpc":"2.0","id":1,"method":"nap","params":[1]}"#;
    let rpc = kept_call("nap", rpc).replace("/call/nap", "/rpc");
    let open = [kept_open(address).await.unwrap(), kept_open(address).await.unwrap()];
    handle.stop();
    let requests = [(kept_call("nap", "[1]"), "HTTP/1.1 503"), (rpc, "HTTP/1.1 200")];
    for (mut stream, (request, told)) in open.into_iter().zip(requests) {
        let mut reply = String::new();
        while !reply.contains("-32003") {
            reply.clear();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut part = [0; 4096];
            let read = timeout(TIMEOUT, stream.read(&mut part)).await.unwrap().unwrap();
            reply.push_str(std::str::from_utf8(&part[..read]).unwrap());
            assert!(read > 0, "closed without a reply");
        }
        assert!(reply.starts_with(told), "{reply}");
        assert!(reply.contains("connection: close"), "{reply}");
        assert!(told.ends_with("200") || reply.contains("retry-after: 1"), "{reply}");
        let more = rest(&mut stream).await;
        assert!(more.is_empty(), "{more}");
    }
    timeout(TIMEOUT, serving).await.unwrap().unwrap().unwrap();
}
