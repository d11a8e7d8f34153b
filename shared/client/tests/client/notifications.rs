//! Notifications in our own dialects: written, and never waited for. Those of JSON-RPC are in `json_rpc`.

use std::time::Duration;

use rpc_client::{
    AttemptEnd, AttemptLog, Balance, CallError, Client, ClientOptions, ErrorKind, Phase, Request,
    Token, WireLog,
};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, Peer, adder, classic, extended, result, scripted};
use crate::{direct, eventually, options};

/// A peer that answers calls, and no notification.
async fn peer() -> Peer {
    extended(|request| match request["meta"]["oneway"].as_bool() {
        Some(true) => Do::Nothing,
        _ => Do::Write(result(request, "1")),
    })
    .await
}

async fn notified(peer: &Peer) -> Vec<Value> {
    peer.seen.calls().into_iter().filter(|it| it["meta"]["oneway"] == true).collect()
}

#[tokio::test]
async fn a_notification_is_a_call_that_says_that_it_wants_no_reply() {
    let peer = peer().await;
    let client = direct(peer.address);
    let (log, wire) = (AttemptLog::new(), WireLog::new(1000));
    let request = Request::new("log", ("full", 7)).unwrap();
    let request = request.attempts(log.clone()).recorded(wire.clone());
    client.notify_request(request).await.unwrap();
    client.notify("log", json!({"text": "empty"})).await.unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)), "on the same connection");
    let seen = notified(&peer).await;
    assert_eq!(seen[0]["method_args"], json!(["full", 7]));
    assert_eq!(seen[1]["method_kwargs"], json!({"text": "empty"}));
    let left = seen[0]["meta"]["deadline_ms"].as_u64().unwrap();
    assert!((4000..=5000).contains(&left), "{left}");
    assert_eq!(peer.seen.accepted(), 1);
    assert_eq!(client.stats().unmatched_replies, 0);
    assert_eq!(log.attempts()[0].end, AttemptEnd::Sent);
    assert!(log.attempts()[0].to_string().contains("sent after"), "{}", log.attempts()[0]);
    assert_eq!(wire.take().len(), 1);
}

#[tokio::test]
async fn an_older_server_has_none_and_nothing_is_sent() {
    let peer = classic(|request| Do::Write(result(request, "1"))).await;
    let client = direct(peer.address);
    let error = client.notify("log", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Unsupported { what: "notifications", .. }), "{error}");
    assert_eq!((error.kind(), error.may_have_run()), (ErrorKind::Usage, false));
    assert!(peer.seen.calls().iter().all(|call| call["method_name"] != "log"));
}

#[tokio::test]
async fn notifications_are_balanced_and_go_elsewhere_where_nobody_listens() {
    let (peers, nobody) = ([peer().await, peer().await], ReservedPort::new());
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peers[0].address, nobody.address(), peers[1].address]);
    let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    for number in 0..10 {
        client.notify("log", (number,)).await.unwrap();
    }
    let mut numbers = Vec::new();
    for peer in &peers {
        client.request(Request::new("m", ()).unwrap().on(peer.name())).await.unwrap();
        let seen = notified(peer).await;
        assert!(seen.len() >= 3, "{}", seen.len());
        numbers.extend(seen.iter().map(|it| it["method_args"][0].as_u64().unwrap()));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn a_connection_that_ended_before_is_replaced_and_nothing_is_sent_twice() {
    let peer = peer().await;
    let client = direct(peer.address);
    client.notify("log", (1,)).await.unwrap();
    client.call("m", ()).await.unwrap();
    peer.close_connections();
    eventually("the connection ends", || peer.seen.open() == 0).await;
    crate::let_notice().await;
    client.notify("log", (2,)).await.unwrap();
    client.call("m", ()).await.unwrap();
    assert_eq!(notified(&peer).await.len(), 2);
}

/// Answers the probe and reads nothing more.
async fn deaf() -> Peer {
    scripted(|_, mut socket, _| async move {
        let mut buffer = [0; 1024];
        let _ = socket.read(&mut buffer).await;
        let _ = socket.write_all(b"{\"id\":0,\"res\":{\"status\":\"ok\"}}\n").await;
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_server_that_reads_nothing_holds_up_notifications_until_their_deadlines() {
    let peer = deaf().await;
    let client = direct(peer.address);
    let long = "x".repeat(1 << 20);
    let timeout = Duration::from_millis(500);
    let mut phases = Vec::new();
    for _ in 0..64 {
        let request = Request::new("log", (&long,)).unwrap().timeout(timeout);
        match client.notify_request(request).await {
            Ok(()) => {}
            Err(CallError::Timeout { phase, .. }) => phases.push(phase),
            Err(other) => panic!("{other}"),
        }
        if phases.last() == Some(&Phase::Queue) {
            break;
        }
    }
    assert_eq!(phases.first(), Some(&Phase::Reply), "a part of it is with the system");
    assert_eq!(phases.last(), Some(&Phase::Queue), "nothing of it is");
    client.close().await;
    assert_eq!(client.notify("log", ()).await, Err(CallError::Closed));
}

#[tokio::test]
async fn a_token_that_was_replaced_is_not_the_one_that_a_notification_goes_by() {
    let peer = peer().await;
    let secrets = ["first", "first", "second"].map(rpc_client::SecretString::from);
    let looks = std::sync::Mutex::new(secrets.into_iter());
    let later = move || looks.lock().unwrap().next();
    let token = Token::with_later("first".into(), later);
    let options = ClientOptions { token: Some(token), ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    client.call("m", ()).await.unwrap();
    for number in 0..4 {
        client.notify("log", (number,)).await.unwrap();
    }
    client.call("m", ()).await.unwrap();
    let seen = peer.seen.messages();
    let shown = |it: &Value| it["meta"]["token"].as_str().map(str::to_owned);
    let tokens: Vec<_> = seen.iter().filter_map(shown).collect();
    assert_eq!(tokens, ["first", "second"]);
    let numbers = seen.iter().filter(|it| it["method_name"] == "log");
    assert_eq!(numbers.count(), 4);
}

#[test]
fn the_blocking_client_has_them() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let peer = runtime.block_on(adder());
    let client = rpc_client::blocking::Client::direct(peer.name(), options()).unwrap();
    client.notify("log", (1,)).unwrap();
    client.notify_request(Request::new("log", (2,)).unwrap()).unwrap();
    client.call("add", (1, 2)).unwrap();
    assert_eq!(runtime.block_on(notified(&peer)).len(), 2);
}
