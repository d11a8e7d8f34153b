//! Attacks on a server.

use std::time::Duration;

use rpc_tests::raw::{classic, extended};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ground::Targets;
use super::stranger::{Piece, Replies, Stranger, letters, piece};

/// Ids of 4 MiB, of calls that sleep, on one connection (H1 a).
pub(super) async fn long_ids(at: Targets, by: Stranger) {
    let (letters, end) =
        (letters(), piece("\",\"method_name\":\"sleep\",\"method_args\":[600]}\n"));
    let request = (0..60).flat_map(|number| {
        [piece(format!("{{\"id\":\"{number}")), Piece::clone(&letters), Piece::clone(&end)]
    });
    by.hold(at.server, [request.collect()], Replies::Read).await;
}

/// Classic calls of 4 MiB behind one that sleeps, on one connection (H1 b).
pub(super) async fn queue(at: Targets, by: Stranger) {
    let first = piece(classic("sleep", &json!([600])));
    let echo = echo();
    let rest = (0..120).flat_map(|_| echo.clone());
    by.hold(at.server, [[first].into_iter().chain(rest).collect()], Replies::Read).await;
}

/// Log streams that search for texts of 4 MiB, on one connection (H1 c).
pub(super) async fn needles(at: Targets, by: Stranger) {
    let (letters, end) = (letters(), piece("\"},\"meta\":{\"stream\":true}}\n"));
    let request = (0..100).flat_map(|number| {
        let start = format!(
            "{{\"id\":{number},\"method_name\":\"rpc.logs\",\"method_kwargs\":{{\"contains\":\""
        );
        [piece(start), Piece::clone(&letters), Piece::clone(&end)]
    });
    by.hold(at.server, [request.collect()], Replies::Read).await;
}

/// Requests of 4 MiB without their last bytes, on 150 connections (H1 d).
pub(super) async fn unfinished(at: Targets, by: Stranger) {
    let request = echo()[..2].to_vec();
    by.hold(at.server, vec![request; 150], Replies::Unread).await;
}

/// Two echoes of 4 MiB on each of 100 connections; nothing is read (H1 e).
pub(super) async fn unread(at: Targets, by: Stranger) {
    let request = [echo(), echo()].concat();
    by.hold(at.server, vec![request; 100], Replies::Unread).await;
}

/// 16 times 256 calls that sleep for a century, with a deadline beyond it (H2).
pub(super) async fn endless(at: Targets, by: Stranger) {
    let call = |number: u64| {
        format!(
            "{{\"id\":{number},\"method_name\":\"sleep\",\"method_args\":[3e9],\
             \"meta\":{{\"deadline_ms\":{}}}}}\n",
            u64::MAX
        )
    };
    let request = vec![piece((0..256).map(call).collect::<String>())];
    by.hold(at.server, vec![request; 16], Replies::Read).await;
}

/// Connections that do nothing, at server and registry (M1).
pub(super) async fn idle(at: Targets, by: Stranger) {
    /// More than a quarter of the places, and no more than this process may open.
    const CONNECTIONS: usize = 3_000;
    tokio::join!(
        by.hold(at.server, vec![Vec::new(); CONNECTIONS], Replies::Unread),
        by.hold(at.registry, vec![Vec::new(); CONNECTIONS], Replies::Unread),
    );
}

/// HTTP replies that nobody reads, and heads of 390 kB (M2).
pub(super) async fn unread_http(at: Targets, by: Stranger) {
    let unread = piece("GET /openrpc.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2_000));
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(390_000));
    let head = piece(head);
    let requests = [vec![vec![unread]; 150], vec![vec![head]; 500]].concat();
    by.hold(at.server, requests, Replies::Unread).await;
}

/// Synchronous calls of 4 MB, one after another, on four connections (M5).
pub(super) async fn long_calls(at: Targets, by: Stranger) {
    let text = "0123456789".repeat(400_000);
    let request = piece(extended(&json!(1), "reverse_string", &json!([text])) + "\n");
    let mut connections = JoinSet::<()>::new();
    for _ in 0..4 {
        let request = Piece::clone(&request);
        connections.spawn(async move {
            loop {
                let Ok(mut stream) = by.connect(at.server).await else {
                    sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let mut input = vec![0; 256 << 10];
                while stream.write_all(&request).await.is_ok() {
                    let replied = loop {
                        match stream.read(&mut input).await {
                            Ok(read @ 1..) if input[..read].ends_with(b"\n") => break true,
                            Ok(1..) => {}
                            _ => break false,
                        }
                    };
                    if !replied {
                        break;
                    }
                }
            }
        });
    }
    connections.join_all().await;
}

/// JSON-RPC batches: of a thousand calls that sleep for a century, on 16 connections; of echoes of 4 MiB in all, of which
/// nothing is read, on 50; and without their end, on 50.
pub(super) async fn batches(at: Targets, by: Stranger) {
    let batch = |requests: String| [piece("["), piece(requests), piece("]")];
    let request = |number: usize, method: &str, args: &str| {
        format!(
            "{}{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"{method}\",\"params\":[{args}]}}",
            if number == 0 { "" } else { "," }
        )
    };
    let sleeping = batch((0..1_000).map(|number| request(number, "sleep", "3e9")).collect());
    let text = format!("\"{}\"", "x".repeat(4_000));
    let echoing = batch((0..1_000).map(|number| request(number, "echo", &text)).collect());
    let unfinished = echoing[..2].to_vec();
    let requests = [
        vec![sleeping.to_vec(); 16],
        vec![[echoing.clone(), echoing].concat(); 50],
        vec![unfinished; 50],
    ];
    by.hold(at.server, requests.concat(), Replies::Unread).await;
}

/// `POST /call/METHOD` and `POST /rpc`: bodies of 4 MiB without their end, on 100 connections; echoes of which nothing is
/// read, on 50; calls that sleep for a century, on 300; streams of the log, on 100.
pub(super) async fn post_calls(at: Targets, by: Stranger) {
    let post = |path: &str, headers: &str, length: usize| {
        piece(format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {length}\r\n\r\n"
        ))
    };
    let letters = letters();
    let length = letters.len() + 4;
    let (start, end) = (piece("[\""), piece("\"]"));
    let echo = vec![post("/call/echo", "", length), start, letters, end];
    let unfinished = echo[..3].to_vec();
    let rpc = vec![post("/rpc", "", length), Piece::clone(&echo[1]), Piece::clone(&echo[2])];
    let sleeping = vec![post("/call/sleep", "Timeout: 1e9\r\n", 5), piece("[3e9]")];
    let stream = vec![post("/call/rpc.logs", "", 2), piece("[]")];
    let requests = [
        vec![unfinished; 50],
        vec![rpc; 50],
        vec![[echo.clone(), echo].concat(); 50],
        vec![sleeping; 300],
        vec![stream; 100],
    ];
    by.hold(at.server, requests.concat(), Replies::Unread).await;
}

/// Calls of a worker's method, which takes one at a time: a thousand at once, on 16 connections; with arguments of 4 MiB,
/// on 50, of which nothing is read.
pub(super) async fn worker_calls(at: Targets, by: Stranger) {
    let many: String = (0..1_000)
        .map(|number| extended(&json!(number), "shout", &json!(["x".repeat(1_000)])) + "\n")
        .collect();
    let start = piece("{\"id\":1,\"method_name\":\"shout\",\"method_args\":[\"");
    let large = vec![start, letters(), piece("\"]}\n")];
    let requests = [vec![vec![piece(many)]; 16], vec![[large.clone(), large].concat(); 50]];
    by.hold(at.server, requests.concat(), Replies::Unread).await;
}

/// A classic echo of 4 MiB; the third piece is its end.
fn echo() -> Vec<Piece> {
    let start = "{\"method_name\": \"echo\", \"method_args\": [\"";
    vec![piece(start), letters(), piece("\"], \"method_kwargs\": {}}")]
}
