//! Hedging: a second attempt at a read-only call while the first is pending.

use std::time::Duration;

use rpc_client::{
    AttemptEnd, AttemptLog, AttemptReason, Balance, Client, ClientOptions, Hedge, Request,
    RetryOptions,
};
use rpc_wire::signature::to_openrpc;
use serde_json::Value;

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, Peer, extended, failure, result};
use crate::offering::{read_only, signatures};
use crate::options;

/// Longer than any call of a test takes.
const LATE: Duration = Duration::from_secs(60);
const DELAY: Duration = Duration::from_millis(30);

/// A server whose methods are `get`, which reads, and `set`, which does not.
async fn server(reply: impl Fn(&Value) -> Do + Send + Sync + 'static) -> Peer {
    let methods = [signatures(&["set"]), vec![read_only("get")]].concat();
    let document = to_openrpc("t", "1", &methods).to_string();
    extended(move |request| match request["method_name"].as_str() {
        Some("rpc.discover") => Do::Write(result(request, &document)),
        Some("get" | "set") => reply(request),
        _ => Do::Write(failure(request, -32601)),
    })
    .await
}

async fn late() -> Peer {
    server(|request| Do::WriteAfter(LATE, result(request, "1"))).await
}

async fn prompt() -> Peer {
    server(|request| Do::Write(result(request, "2"))).await
}

/// A client that calls the peers in turn and knows their methods.
async fn hedging(peers: &[&Peer], retry: RetryOptions) -> (Client, FakeRegistry) {
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.iter().map(|peer| peer.address).collect::<Vec<_>>());
    let options = ClientOptions { balance: Balance::RoundRobin, retry, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    client.catalog().await.unwrap();
    (client, registry)
}

fn after_delay() -> RetryOptions {
    RetryOptions { hedge: Hedge::After(DELAY), ..RetryOptions::default() }
}

fn calls(peer: &Peer, method: &str) -> usize {
    peer.seen.calls().iter().filter(|call| call["method_name"] == method).count()
}

#[tokio::test]
async fn a_call_that_only_reads_is_made_elsewhere_when_the_first_has_not_replied() {
    let (late, prompt) = (late().await, prompt().await);
    let (client, _registry) = hedging(&[&late, &prompt], after_delay()).await;
    // In turn: one of two calls meets the late one first.
    let mut hedged = 0;
    for _ in 0..4 {
        let log = AttemptLog::new();
        let request = Request::new("get", ()).unwrap().attempts(log.clone());
        let response = client.request(request).await.unwrap();
        assert_eq!(response.peer, prompt.name());
        let attempts = log.attempts();
        if let [first, second] = &attempts[..] {
            hedged += 1;
            assert_eq!(second.reason, AttemptReason::Hedge);
            assert_eq!([&first.end, &second.end], [&AttemptEnd::Cancelled, &AttemptEnd::Replied]);
            assert!(second.began >= DELAY && response.attempts == 2, "{attempts:?}");
        }
    }
    assert!(hedged >= 1, "no call met the late one first");
    let cancelled = || late.seen.cancels() == calls(&late, "get");
    crate::eventually("the attempts that lost are cancelled", cancelled).await;
}

#[tokio::test]
async fn the_first_reply_counts_whoever_sends_it() {
    let slow = server(|request| Do::WriteAfter(4 * DELAY, result(request, "1"))).await;
    let late = late().await;
    let (client, _registry) = hedging(&[&slow, &late], after_delay()).await;
    for _ in 0..4 {
        let log = AttemptLog::new();
        let request = Request::new("get", ()).unwrap().attempts(log.clone());
        let response = client.request(request).await.unwrap();
        assert_eq!((response.peer, response.value.get()), (slow.name(), "1"));
        let replied = log.attempts().into_iter().find(|it| it.end == AttemptEnd::Replied);
        assert_eq!(replied.unwrap().instance, slow.name());
    }
}

#[tokio::test]
async fn an_attempt_that_fails_leaves_the_other_to_reply() {
    let fails = server(|request| Do::WriteAfter(2 * DELAY, failure(request, -32002))).await;
    let slow = server(|request| Do::WriteAfter(6 * DELAY, result(request, "3"))).await;
    let (client, _registry) = hedging(&[&fails, &slow], after_delay()).await;
    for _ in 0..4 {
        assert_eq!(client.call_as::<u32>("get", ()).await, Ok(3));
    }
    assert!(calls(&slow, "get") == 4, "none was made a third time");
}

#[tokio::test]
async fn a_call_that_may_change_something_is_not_hedged() {
    let slow = |request: &Value| Do::WriteAfter(3 * DELAY, result(request, "1"));
    let peers = [server(slow).await, server(slow).await];
    let (client, _registry) = hedging(&[&peers[0], &peers[1]], after_delay()).await;
    for _ in 0..4 {
        client.request(Request::new("set", ()).unwrap().idempotent()).await.unwrap();
    }
    assert_eq!(peers.iter().map(|peer| calls(peer, "set")).sum::<usize>(), 4);
}

#[tokio::test]
async fn hedging_is_off_by_default() {
    let slow = |request: &Value| Do::WriteAfter(3 * DELAY, result(request, "1"));
    let peers = [server(slow).await, server(slow).await];
    let (client, _registry) = hedging(&[&peers[0], &peers[1]], RetryOptions::default()).await;
    for _ in 0..4 {
        client.call("get", ()).await.unwrap();
    }
    assert_eq!(peers.iter().map(|peer| calls(peer, "get")).sum::<usize>(), 4);
}

#[tokio::test]
async fn second_attempts_take_from_the_retry_budget() {
    let slow = |request: &Value| Do::WriteAfter(2 * DELAY, result(request, "1"));
    let peers = [server(slow).await, server(slow).await];
    let retry = RetryOptions { ratio: 0.0, burst: 2, ..after_delay() };
    let (client, _registry) = hedging(&[&peers[0], &peers[1]], retry).await;
    for _ in 0..6 {
        client.call("get", ()).await.unwrap();
    }
    assert_eq!(peers.iter().map(|peer| calls(peer, "get")).sum::<usize>(), 6 + 2);
}

#[tokio::test]
async fn the_percentile_of_the_latest_calls_can_decide_when() {
    let usual = |request: &Value| match request["method_args"][0].as_bool() {
        Some(true) => Do::Nothing,
        _ => Do::Write(result(request, "1")),
    };
    // Only one of them never replies to a call that asks for it.
    let (silent, serves) = (server(usual).await, prompt().await);
    let retry = RetryOptions { hedge: Hedge::P95, ..RetryOptions::default() };
    let (client, _registry) = hedging(&[&silent, &serves], retry).await;
    for _ in 0..40 {
        client.call("get", (false,)).await.unwrap();
    }
    for _ in 0..4 {
        client.call("get", (true,)).await.unwrap();
    }
}
