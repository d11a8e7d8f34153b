//! Attacks on tools for agents: `POST /mcp`.

use serde_json::{Value, json};

use super::ground::Targets;
use super::stranger::{Piece, Replies, Stranger, piece};

/// Messages of 1 MiB without their last bytes, on 100 connections; echoes of 1 MiB of which nothing is read, on 100;
/// calls that sleep for a century, on 100; subscriptions, on 100; heads of 390 kB, on 50; and 100 connections that do
/// nothing.
pub(super) async fn messages(at: Targets, by: Stranger) {
    let sleeping = call("sleep", &json!({"seconds": 3e9}));
    let subscription = json!({
        "jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": {
            "notifications": {"toolsListChanged": true},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let of_subscription =
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
    let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(390_000));
    let (start, end) = echo();
    let letters = Piece::from(vec![b'x'; (1 << 20) - 512]);
    let length = start.len() + letters.len() + end.len();
    let unfinished = vec![head_of("", length), start, letters];
    let echo = [unfinished.clone(), vec![end]].concat();
    let requests = [
        vec![unfinished; 100],
        vec![[echo.clone(), echo].concat(); 100],
        vec![post("", &sleeping); 100],
        vec![post(of_subscription, &subscription); 100],
        vec![vec![piece(head)]; 50],
        vec![Vec::new(); 100],
    ];
    by.hold(at.gateway, requests.concat(), Replies::Unread).await;
}

/// A call of a tool, by an earlier version of the protocol.
pub(super) fn call(tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

/// A call of the tool `echo` up to its text, and what follows that.
fn echo() -> (Piece, Piece) {
    let whole = call("echo", &json!({"value": "x"})).to_string();
    let (start, end) = whole.split_once("\"x\"").unwrap_or_default();
    (piece(format!("{start}\"")), piece(format!("\"{end}")))
}

fn post(headers: &str, message: &Value) -> Vec<Piece> {
    let message = message.to_string();
    vec![head_of(headers, message.len()), piece(message)]
}

fn head_of(headers: &str, length: usize) -> Piece {
    piece(format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\n\r\n"
    ))
}
