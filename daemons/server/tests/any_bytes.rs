//! Fuzz target: a server's replies to any bytes.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

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
