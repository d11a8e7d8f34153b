//! What a stranger can make a server keep is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use rpc_server::{InMemory, Limits, Server, builtin};
use serde_json::{Value, json};

fn in_memory(limits: Limits) -> InMemory {
    Server::builder().methods(builtin::methods()).limits(limits).in_memory().unwrap()
}

/// The replies to these requests.
async fn replies(server: &mut InMemory, requests: &str) -> Vec<Value> {
    let replies = String::from_utf8(server.answer(requests.as_bytes()).await.to_vec()).unwrap();
    replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_id_that_is_too_long_is_refused_without_it() {
    let mut server = in_memory(Limits::default());
    let call = |id: &str| format!(r#"{{"id":"{id}","method_name":"sleep","method_args":[0]}}"#);
    let longest = "x".repeat(126);
    assert_eq!(replies(&mut server, &call(&longest)).await[0]["id"], longest);
    let long = "x".repeat(127);
    let cancel = format!(r#"{{"cancel":"{long}"}}"#);
    let no_method = format!(r#"{{"id":"{long}"}}"#);
    for request in [call(&long), cancel, no_method] {
        let refused = replies(&mut server, &request).await;
        let text = "Error calling method: id is longer than 128 bytes (max_id_bytes)";
        assert_eq!(refused, [json!({ "res": text })], "{request}");
    }
}
