//! Calls through a registry: lists kept, lost and found; instances ejected and restored.

use std::collections::HashSet;
use std::time::Duration;

use rpc_client::{Balance, CallError, Client, ClientOptions, ErrorKind, Request};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::json;

use crate::fake_registry::FakeRegistry;
use crate::fakes::{self, Do, adder, extended, result};
use crate::{eventually, options};

async fn replying_peer(client: &Client) -> String {
    client.request(Request::new("add", (1, 2)).unwrap()).await.unwrap().peer
}

#[tokio::test]
async fn calls_reach_every_instance_through_both_kinds_of_registry() {
    for registry in [FakeRegistry::old_style().await, FakeRegistry::new_style().await] {
        let peers = [adder().await, adder().await, adder().await];
        registry.list(&peers.each_ref().map(|peer| peer.address));
        let client = Client::through_registry(&registry.url(), options()).unwrap();
        let mut reached = HashSet::new();
        for _ in 0..60 {
            reached.insert(replying_peer(&client).await);
        }
        assert_eq!(reached.len(), 3);
        assert_eq!(client.instances().len(), 3);
    }
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let peers = [adder().await, adder().await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    replying_peer(&client).await;
    for _ in 0..9 {
        replying_peer(&client).await;
    }
    assert_eq!(peers.each_ref().map(|peer| peer.seen.calls().len()), [5, 5]);
}

#[tokio::test]
async fn weights_come_from_the_parameters() {
    let peers = [adder().await, adder().await];
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([
        {"protocol": "json", "host": "127.0.0.1", "port": peers[0].address.port(), "parameters": {"weight": 0}},
        {"protocol": "json", "host": "127.0.0.1", "port": peers[1].address.port(), "parameters": {"weight": 3}},
    ]));
    let options = ClientOptions { balance: Balance::WeightedRandom, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    for _ in 0..20 {
        assert_eq!(replying_peer(&client).await, peers[1].name());
    }
}

#[tokio::test]
async fn an_instance_that_registers_its_dialect_is_not_probed() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([
        {"protocol": "json", "host": "127.0.0.1", "port": peer.address.port(), "parameters": {"wire": 1}},
    ]));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    replying_peer(&client).await;
    assert_eq!(peer.seen.messages().len(), 1, "no probe");
}

#[tokio::test]
async fn an_unchanged_list_is_requested_by_its_etag() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    eventually("an unchanged list is confirmed", || registry.not_modified() >= 2).await;
    replying_peer(&client).await;
    assert!(!client.instances()[0].stale);
}

#[tokio::test]
async fn changes_of_the_list_are_followed_and_connections_kept() {
    let (one, two) = (adder().await, adder().await);
    let registry = FakeRegistry::old_style().await;
    registry.list(&[one.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    assert_eq!(replying_peer(&client).await, one.name());
    registry.list(&[one.address, two.address]);
    eventually("the second is known", || client.instances().len() == 2).await;
    while replying_peer(&client).await != one.name() {}
    assert_eq!(one.seen.accepted(), 1, "the connection outlives the new list");
    registry.list(&[two.address]);
    eventually("the first is forgotten", || client.instances().len() == 1).await;
    for _ in 0..10 {
        assert_eq!(replying_peer(&client).await, two.name());
    }
    eventually("its connection is closed", || one.seen.open() == 0).await;
}

#[tokio::test]
async fn an_unreachable_registry_leaves_the_last_good_list_and_is_used_again() {
    let (one, two) = (adder().await, adder().await);
    let place = ReservedPort::new();
    let registry = FakeRegistry::start(&place.address().to_string(), true).await;
    registry.list(&[one.address]);
    let url = registry.url();
    let client = Client::through_registry(&url, options()).unwrap();
    replying_peer(&client).await;
    drop(registry);
    eventually("the list is stale", || client.instances()[0].stale).await;
    assert_eq!(replying_peer(&client).await, one.name());
    let registry = FakeRegistry::start(&place.address().to_string(), false).await;
    registry.list(&[two.address]);
    eventually("the new list is known", || {
        client
            .instances()
            .iter()
            .all(|known| !known.stale && known.instance.port == two.address.port())
    })
    .await;
    assert_eq!(replying_peer(&client).await, two.name());
}

#[tokio::test]
async fn an_invalid_list_leaves_the_last_good_one() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    replying_peer(&client).await;
    registry.reply("HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n");
    eventually("the list is stale", || client.instances()[0].stale).await;
    assert_eq!(replying_peer(&client).await, peer.name());
}

#[tokio::test]
async fn without_instances_a_call_fails_at_once() {
    let registry = FakeRegistry::new_style().await;
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(error.to_string().contains("lists none; start a server"), "{error}");
    registry.list_json(&json!([{"host": 1}, 7]));
    eventually("the invalid entries are counted", || registry.requests().len() > 10).await;
    let error = client.call("add", (1, 2)).await.unwrap_err().to_string();
    assert!(error.contains("lists none (2 invalid entries skipped); start a server"), "{error}");
}

#[tokio::test]
async fn a_wrong_reply_of_the_registry_is_a_remote_error_that_says_what_to_do() {
    let http = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    for (reply, hint) in [
        (http(&format!("[{}]", " ".repeat(2000))), "larger than 1000 bytes; raise max_list_bytes"),
        (http("<html>"), "sent an invalid reply"),
        (
            "HTTP/1.1 302 Found\r\nlocation: /x\r\nconnection: close\r\n\r\n".to_owned(),
            "replied 302: Found; check that this is a registry",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n".to_owned(),
            "is not a registry (it replied 404 Not Found); check the URL",
        ),
    ] {
        let registry = FakeRegistry::new_style().await;
        registry.reply(reply);
        let options = ClientOptions { max_list_bytes: 1000, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        let error = client.call("add", (1, 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
        assert!(!error.to_string().contains("start a server"), "{error}");
    }
}

#[tokio::test]
async fn an_instance_that_appears_is_found_by_the_call_that_needs_it() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    // So rarely refreshed that only the call's own refresh can find it.
    let options = ClientOptions { refresh_interval: Duration::from_secs(3600), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    client.call("add", (1, 2)).await.unwrap_err();
    registry.list(&[peer.address]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(replying_peer(&client).await, peer.name());
}

#[tokio::test]
async fn an_instance_that_refuses_is_ejected_at_once_and_probed_back() {
    let living = adder().await;
    let dead = ReservedPort::new();
    let registry = FakeRegistry::new_style().await;
    registry.list(&[living.address, dead.address()]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    for _ in 0..50 {
        assert_eq!(replying_peer(&client).await, living.name());
    }
    assert_eq!(
        client.instances().iter().filter(|known| !known.health.state.gets_calls()).count(),
        1
    );
    assert_eq!(client.stats().retries, 1, "only the first call was retried on another instance");

    let back =
        fakes::extended_on(&dead.address().to_string(), |request| Do::Write(result(request, "3")))
            .await;
    eventually("it is restored", || client.instances().iter().all(|k| k.health.state.gets_calls()))
        .await;
    let mut reached = HashSet::new();
    for _ in 0..50 {
        reached.insert(replying_peer(&client).await);
    }
    assert!(reached.contains(&back.name()));
}

#[tokio::test]
async fn when_all_are_ejected_they_are_still_tried() {
    let dead = ReservedPort::new();
    let registry = FakeRegistry::new_style().await;
    registry.list(&[dead.address()]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    let back =
        fakes::extended_on(&dead.address().to_string(), |request| Do::Write(result(request, "3")))
            .await;
    assert_eq!(replying_peer(&client).await, back.name(), "without waiting for a probe");
}

#[tokio::test]
async fn the_less_busy_of_two_gets_the_call() {
    let quick = adder().await;
    // So slow that the other one is faster on any machine.
    let slow =
        extended(|request| Do::WriteAfter(Duration::from_millis(400), result(request, "3"))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[quick.address, slow.address]);
    let options = ClientOptions { balance: Balance::LeastInFlight, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    for _ in 0..100 {
        replying_peer(&client).await;
    }
    let slow_calls = slow.seen.calls().len();
    assert!((1..=5).contains(&slow_calls), "{slow_calls} of 100 went to the slow one");
    assert!(quick.seen.accepted() == 1);
}

#[tokio::test]
async fn a_listed_instance_of_choice_is_called_on_its_own_connection() {
    let peers = [adder().await, adder().await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    replying_peer(&client).await;
    for peer in &peers {
        for _ in 0..3 {
            let on = Some(peer.name());
            let request = Request { on, ..Request::new("add", (1, 2)).unwrap() };
            assert_eq!(client.request(request).await.unwrap().peer, peer.name());
        }
        assert_eq!(peer.seen.accepted(), 1);
    }
}
