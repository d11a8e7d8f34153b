//! Executed calls are never repeated; calls that certainly were not go to another instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_client::{Balance, CallError, Client, ClientOptions, Request, RetryOptions};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::json;

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, Peer, extended, failure, result};
use crate::options;

/// Two peers that share one script: the first call to either meets `first`, later ones succeed.
async fn pair(first: fn(&serde_json::Value) -> Do) -> ([Peer; 2], FakeRegistry, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let peer = || {
        let calls = Arc::clone(&calls);
        extended(move |request| {
            if request["method_name"] != "m" {
                // It says of no method that it may be repeated.
                return Do::Write(failure(request, -32601));
            }
            match calls.fetch_add(1, Ordering::SeqCst) {
                0 => first(request),
                _ => Do::Write(result(request, "1")),
            }
        })
    };
    let peers = [peer().await, peer().await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    (peers, registry, calls)
}

async fn call(registry: &FakeRegistry, idempotent: bool) -> Result<u32, CallError> {
    let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let request = Request { idempotent, ..Request::new("m", ()).unwrap() };
    client.request(request).await.map(|response| response.attempts)
}

#[tokio::test]
async fn a_call_refused_as_overloaded_or_draining_goes_to_the_other() {
    for first in [
        |request: &serde_json::Value| Do::Write(failure(request, -32002)),
        |request: &serde_json::Value| Do::Write(failure(request, -32003)),
    ] {
        let (peers, registry, calls) = pair(first).await;
        assert_eq!(call(&registry, false).await, Ok(2));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(peers.iter().all(|peer| peer.seen.calls().len() == 1), "not twice on the same");
    }
}

#[tokio::test]
async fn a_call_that_may_have_been_executed_is_never_repeated() {
    let firsts: [fn(&serde_json::Value) -> Do; 4] = [
        |_| Do::Close,
        |request| Do::WriteAndClose(format!("{{\"id\":{},", request["id"])),
        |_| Do::Write("garbage".to_owned()),
        |request| Do::Write(failure(request, -32603)),
    ];
    for first in firsts {
        let (_peers, registry, calls) = pair(first).await;
        call(&registry, false).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

/// As from a server at which the certificate of the connection has expired: another one shows the present one.
#[tokio::test]
async fn a_last_word_that_the_client_is_refused_loses_its_connection_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let peer = extended(move |request| match request["method_name"].as_str() {
        Some("m") if count.fetch_add(1, Ordering::SeqCst) == 1 => Do::WriteAndClose(
            "{\"res\":\"Error calling method: expired\",\"error\":{\"code\":-32004,\"message\":\"expired\"}}\n"
                .to_owned(),
        ),
        Some("m") => Do::Write(result(request, "1")),
        _ => Do::Write(failure(request, -32601)),
    })
    .await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    let lost = client.call("m", ()).await.unwrap_err();
    assert!(matches!(lost, CallError::ConnectionLost { .. }), "{lost:?}");
    assert!(lost.to_string().contains("expired"), "{lost}");
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    let has_id = |call: &serde_json::Value| call.get("id").is_some();
    assert!(peer.seen.calls().iter().all(has_id), "it is no older server");
}

#[tokio::test]
async fn an_idempotent_call_is_repeated() {
    let (_peers, registry, calls) = pair(|_| Do::Close).await;
    assert_eq!(call(&registry, true).await, Ok(2));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_idempotent_call_that_failed_in_its_method_is_made_where_calls_do_not_fail() {
    let peers = [
        extended(|request| Do::Write(failure(request, -32603))).await,
        extended(|request| Do::Write(result(request, "1"))).await,
    ];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    for idempotent in [true, false] {
        let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        let mut failed = 0;
        for _ in 0..4 {
            let request = Request { idempotent, ..Request::new("m", ()).unwrap() };
            failed += usize::from(client.request(request).await.is_err());
        }
        assert_eq!(failed, if idempotent { 0 } else { 2 });
    }
}

#[tokio::test]
async fn it_is_made_elsewhere_although_one_of_the_others_failed_a_moment_ago() {
    let fails = |method: &'static str| {
        extended(move |request| match &request["method_name"] {
            name if name == method => Do::Write(failure(request, -32603)),
            _ => Do::Write(result(request, "1")),
        })
    };
    let peers = [fails("before").await, fails("now").await, fails("never").await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let mut failed = 0;
    for _ in 0..6 {
        failed += usize::from(client.request(Request::new("before", ()).unwrap()).await.is_err());
    }
    assert_eq!(failed, 2);
    for _ in 0..3 {
        let request = Request { idempotent: true, ..Request::new("now", ()).unwrap() };
        client.request(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_method_that_fails_everywhere_has_given_its_answer_even_if_it_is_idempotent() {
    let peers = [
        extended(|request| Do::Write(failure(request, -32603))).await,
        extended(|request| Do::Write(failure(request, -32603))).await,
    ];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    for _ in 0..10 {
        let request = Request { idempotent: true, ..Request::new("m", ()).unwrap() };
        client.request(request).await.unwrap_err();
    }
    let executed = peers.iter().map(|peer| peer.seen.calls().len()).sum::<usize>();
    // Of the first one nobody can know.
    assert_eq!(executed, 11);
}

#[tokio::test]
async fn attempts_are_limited_and_the_last_failure_is_returned() {
    let mut peers = Vec::new();
    for _ in 0..5 {
        peers.push(extended(|request| Do::Write(failure(request, -32002))).await);
    }
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.iter().map(|peer| peer.address).collect::<Vec<_>>());
    let error = call(&registry, false).await.unwrap_err();
    assert!(matches!(error, CallError::Remote { .. }), "{error}");
    assert_eq!(peers.iter().map(|peer| peer.seen.calls().len()).sum::<usize>(), 3);
}

#[tokio::test]
async fn retries_stop_when_their_budget_is_used_up() {
    let peers = [
        extended(|request| Do::Write(failure(request, -32002))).await,
        extended(|request| Do::Write(failure(request, -32002))).await,
    ];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let retry = RetryOptions { ratio: 0.0, burst: 4, ..RetryOptions::default() };
    let client =
        Client::through_registry(&registry.url(), ClientOptions { retry, ..options() }).unwrap();
    for _ in 0..20 {
        client.call("m", ()).await.unwrap_err();
    }
    assert_eq!(client.stats().retries, 4);
    assert_eq!(peers.iter().map(|peer| peer.seen.calls().len()).sum::<usize>(), 24);
}

#[tokio::test]
async fn all_attempts_share_one_deadline() {
    // Each attempt would have time enough for itself, and the last refusal would be reported.
    const REFUSED_AFTER: Duration = Duration::from_millis(1200);
    const TIMEOUT: Duration = Duration::from_secs(2);
    let peers = [
        extended(|r| Do::WriteAfter(REFUSED_AFTER, failure(r, -32002))).await,
        extended(|r| Do::WriteAfter(REFUSED_AFTER, failure(r, -32002))).await,
        extended(|r| Do::WriteAfter(REFUSED_AFTER, failure(r, -32002))).await,
    ];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let request = Request { timeout: Some(TIMEOUT), ..Request::new("m", ()).unwrap() };
    let error = client.request(request).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    let left: Vec<u64> = peers
        .iter()
        .flat_map(|peer| peer.seen.calls())
        .map(|call| call["meta"]["deadline_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(left.len(), 2);
    let least = Duration::from_millis(*left.iter().min().unwrap());
    assert!(least <= TIMEOUT - REFUSED_AFTER, "the second knows the time left: {left:?}");
}

#[tokio::test]
async fn a_connection_lost_between_calls_costs_nobody_a_failure() {
    let peer = extended(|request| Do::Write(result(request, "1"))).await;
    let client = crate::direct(peer.address);
    for _ in 0..20 {
        client.call("m", ()).await.unwrap();
        peer.close_connections();
        crate::eventually("it is closed", || peer.seen.open() == 0).await;
        crate::let_notice().await;
    }
}

#[tokio::test]
async fn a_call_fails_over_from_an_instance_that_does_not_accept_in_time() {
    let silent = crate::fakes::scripted(|_, socket, _| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let living = extended(|request| Do::Write(result(request, "1"))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[silent.address, living.address]);
    let failover_after = Duration::from_millis(500);
    let client =
        Client::through_registry(&registry.url(), ClientOptions { failover_after, ..options() })
            .unwrap();
    for _ in 0..20 {
        let response = client.request(Request::new("m", ()).unwrap()).await.unwrap();
        assert_eq!(response.peer, living.name());
    }
    assert_eq!(client.stats().retries, 1);
    assert_eq!(
        client.instances().iter().filter(|known| !known.health.state.gets_calls()).count(),
        1
    );
}

#[tokio::test]
async fn many_concurrent_calls_to_a_dead_instance_all_fail_over() {
    let living = extended(|request| Do::Write(result(request, "1"))).await;
    let registry = FakeRegistry::new_style().await;
    let dead = ReservedPort::new();
    registry.list(&[dead.address(), living.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let calls = (0..500).map(|_| client.call_as::<i64>("m", ()));
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(|result| *result == Ok(1)), "{results:?}");
}

/// No retry has a budget.
fn without_budget() -> ClientOptions {
    let retry = RetryOptions { ratio: 0.0, burst: 0, ..RetryOptions::default() };
    // The list is refreshed when a call needs it only.
    let refresh_interval = Duration::from_secs(3600);
    ClientOptions { retry, refresh_interval, balance: Balance::RoundRobin, ..options() }
}

#[tokio::test]
async fn refusals_of_servers_that_end_take_no_budget_and_count_as_no_attempts() {
    let mut peers = Vec::new();
    for _ in 0..5 {
        peers.push(extended(|request| Do::Write(failure(request, -32003))).await);
    }
    peers.push(extended(|request| Do::Write(result(request, "1"))).await);
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.iter().map(|peer| peer.address).collect::<Vec<_>>());
    let client = Client::through_registry(&registry.url(), without_budget()).unwrap();
    let response = client.request(Request::new("m", ()).unwrap()).await.unwrap();
    assert_eq!(response.peer, peers[5].name());
    assert!(response.attempts > 3, "{response:?}");
    assert!(peers.iter().all(|peer| peer.seen.calls().len() <= 1), "not twice on the same");
}

#[tokio::test]
async fn calls_lost_with_their_connection_are_repeated_once_without_a_budget() {
    const CALLS: usize = 100;
    let received = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&received);
    // It ends with as many calls in flight.
    let ends = extended(move |request| match request["method_name"].as_str() {
        Some("m") if count.fetch_add(1, Ordering::SeqCst) + 1 < CALLS => Do::Nothing,
        _ => Do::Close,
    });
    let stays = extended(|request| Do::Write(result(request, "1")));
    let (ends, stays) = (ends.await, stays.await);
    let registry = FakeRegistry::new_style().await;
    registry.list(&[ends.address, stays.address]);
    let client = Client::through_registry(&registry.url(), without_budget()).unwrap();
    let call = || client.request(Request::new("m", ()).unwrap().idempotent());
    let results = futures_util::future::join_all((0..2 * CALLS).map(|_| call())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(ends.seen.calls().len(), CALLS);
}

#[tokio::test]
async fn calls_not_sent_to_a_server_that_ends_go_to_another() {
    // The first call is answered after the word; the others wait behind it.
    let ends =
        extended(|request| Do::Write(format!("{{\"draining\":true}}\n{}", result(request, "1"))))
            .await;
    let stays = extended(|request| Do::Write(result(request, "2"))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[ends.address, stays.address]);
    let options = ClientOptions { max_in_flight: 1, ..without_budget() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let calls = (0..20).map(|_| client.call_as::<u32>("m", ()));
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(ends.seen.calls().len(), 1, "no call after its word");
    assert_eq!(stays.seen.calls().len(), 19);
    crate::eventually("the client closes its side", || ends.seen.open() == 0).await;
}

#[tokio::test]
async fn a_call_whose_reply_is_none_is_repeated_only_if_it_is_idempotent() {
    for (idempotent, executions) in [(false, 1), (true, 2)] {
        let (_peers, registry, calls) = pair(|_| Do::Write("no JSON\n".to_owned())).await;
        assert_eq!(call(&registry, idempotent).await.is_ok(), idempotent);
        assert_eq!(calls.load(Ordering::SeqCst), executions);
    }
}

#[tokio::test]
async fn an_abandoned_call_is_repeated_only_if_it_is_idempotent() {
    for (idempotent, executions) in [(false, 1), (true, 2)] {
        let (_peers, registry, calls) = pair(|request| Do::Write(failure(request, -32006))).await;
        assert_eq!(call(&registry, idempotent).await.is_ok(), idempotent);
        assert_eq!(calls.load(Ordering::SeqCst), executions);
    }
}

#[tokio::test]
async fn when_all_refuse_a_call_waits_for_the_next_look_into_the_registry() {
    let mut old = Vec::new();
    for _ in 0..2 {
        old.push(extended(|request| match request["method_name"].as_str() {
            Some("m") => Do::Write(failure(request, -32003)),
            _ => Do::Write(result(request, "0")),
        }));
    }
    let old = futures_util::future::join_all(old).await;
    let new = extended(|request| Do::Write(result(request, "1"))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[old[0].address, old[1].address]);
    let client = Client::through_registry(&registry.url(), without_budget()).unwrap();
    client.call("first", ()).await.unwrap();
    registry.list(&[new.address]);
    let response = client.request(Request::new("m", ()).unwrap()).await.unwrap();
    assert_eq!((response.peer, response.attempts), (new.name(), 3));
}

#[tokio::test]
async fn a_call_that_may_be_repeated_waits_for_the_next_look_when_the_only_instance_is_lost() {
    for (idempotent, replies) in [(false, false), (true, true)] {
        let old = extended(|request| match request["method_name"].as_str() {
            Some("m") => Do::Close,
            _ => Do::Write(result(request, "0")),
        })
        .await;
        let new = extended(|request| Do::Write(result(request, "1"))).await;
        let registry = FakeRegistry::new_style().await;
        registry.list(&[old.address]);
        // The list is refreshed when a call needs it only.
        let refresh_interval = Duration::from_secs(3600);
        let options = ClientOptions { refresh_interval, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        client.call("first", ()).await.unwrap();
        registry.list(&[new.address]);
        let request = Request { idempotent, ..Request::new("m", ()).unwrap() };
        let made = client.request(request).await;
        assert_eq!(made.is_ok(), replies, "{made:?}");
        assert_eq!(new.seen.calls().len(), usize::from(replies));
    }
}

#[tokio::test]
async fn a_call_fails_when_the_next_look_finds_nobody_else() {
    let dead = ReservedPort::new();
    let registry = FakeRegistry::new_style().await;
    registry.list(&[dead.address()]);
    let client = Client::through_registry(&registry.url(), without_budget()).unwrap();
    let error = client.call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
}
