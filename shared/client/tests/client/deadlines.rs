//! Every phase of a call ends at its deadline, and a call that timed out is cancelled.

use std::time::{Duration, Instant};

use rpc_client::{CallError, Client, ClientOptions, ErrorKind, Phase, Request};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::fakes::{Do, extended, result, scripted};
use crate::{direct, eventually, options};

const SHORT: Duration = Duration::from_millis(200);

fn short(method: &str) -> Request {
    Request { timeout: Some(SHORT), ..Request::new(method, ()).unwrap() }
}

fn check(error: &CallError, phase: Phase, began: Instant) {
    assert!(
        matches!(error, CallError::Timeout { phase: p, after, .. } if *p == phase && *after == SHORT),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(began.elapsed() < SHORT + Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_peer_that_never_replies_to_the_probe_delays_no_call_beyond_its_deadline() {
    let peer = scripted(|_, mut socket, _| async move {
        let mut sink = Vec::new();
        let _ = socket.read_to_end(&mut sink).await;
    })
    .await;
    let client = direct(peer.address);
    let began = Instant::now();
    let (one, two) = tokio::join!(client.request(short("m")), client.request(short("m")));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        check(&error, Phase::Connect, began);
    }
    assert_eq!(peer.seen.accepted(), 1, "both waited for one connection");
}

#[tokio::test]
async fn a_call_without_reply_times_out_and_is_cancelled() {
    let peer = extended(|request| match request["method_name"].as_str() {
        Some("first") => Do::Write(result(request, "1")),
        _ => Do::Nothing,
    })
    .await;
    let client = direct(peer.address);
    // Connecting must not be part of the time.
    client.call("first", ()).await.unwrap();
    let began = Instant::now();
    check(&client.request(short("m")).await.unwrap_err(), Phase::Reply, began);
    eventually("the cancel arrives", || peer.seen.cancels() == 1).await;
    let call = &peer.seen.calls()[1];
    assert_eq!(peer.seen.messages().last().unwrap()["cancel"], call["id"]);
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_and_its_late_reply_counted() {
    let peer =
        extended(|request| Do::WriteAfter(Duration::from_millis(40), result(request, "1"))).await;
    let client = direct(peer.address);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("m", ()).await }
    });
    eventually("the call is sent", || peer.seen.calls().len() == 1).await;
    call.abort();
    eventually("the cancel arrives", || peer.seen.cancels() == 1).await;
    eventually("the late reply is counted", || client.stats().unmatched_replies == 1).await;
    assert_eq!(client.call("m", ()).await, Ok(json!(1)), "the connection stays");
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn a_call_that_waits_for_room_times_out_unsent() {
    let peer = extended(|_| Do::Nothing).await;
    let options = ClientOptions { max_in_flight: 1, ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.call("first", ()).await }
    });
    eventually("the first call is sent", || peer.seen.calls().len() == 1).await;
    let began = Instant::now();
    check(&client.request(short("second")).await.unwrap_err(), Phase::Queue, began);
    first.abort();
    eventually("the first call is cancelled", || peer.seen.cancels() == 1).await;
    client.request(short("third")).await.unwrap_err();
    eventually("the third call is sent", || peer.seen.calls().len() == 2).await;
    let names: Vec<_> = peer.seen.calls().iter().map(|call| call["method_name"].clone()).collect();
    assert_eq!(names, [json!("first"), json!("third")], "the second was never sent");
}

#[tokio::test]
async fn each_call_of_a_connection_has_its_own_deadline() {
    let peer = extended(|_| Do::Nothing).await;
    let client = direct(peer.address);
    let long = tokio::spawn({
        let client = client.clone();
        async move { client.call("long", ()).await }
    });
    eventually("the long call is sent", || peer.seen.calls().len() == 1).await;
    for name in ["short", "as short"] {
        let began = Instant::now();
        check(&client.request(short(name)).await.unwrap_err(), Phase::Reply, began);
    }
    eventually("both are cancelled", || peer.seen.cancels() == 2).await;
    assert!(!long.is_finished());
    long.abort();
}

#[tokio::test]
async fn callers_beyond_every_queue_wait_for_a_slot_and_get_it_or_time_out() {
    const CALLERS: usize = 300;
    let peer = extended(|request| match request["method_name"].as_str() {
        Some("slow") => Do::Nothing,
        _ => Do::Write(result(request, "1")),
    })
    .await;
    let options = ClientOptions { max_in_flight: 1, ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    let quick = (0..CALLERS).map(|_| client.call("quick", ()));
    let results = futures_util::future::join_all(quick).await;
    assert!(results.into_iter().all(|result| result == Ok(json!(1))));

    let began = Instant::now();
    let slow = (0..CALLERS).map(|_| client.request(short("slow")));
    for result in futures_util::future::join_all(slow).await {
        let error = result.unwrap_err();
        let phase = if matches!(&error, CallError::Timeout { phase: Phase::Reply, .. }) {
            Phase::Reply
        } else {
            Phase::Queue
        };
        check(&error, phase, began);
    }
    assert_eq!(client.call("quick", ()).await, Ok(json!(1)), "every slot was released");
}

#[tokio::test]
async fn callers_waiting_for_a_slot_fail_at_once_when_the_client_is_closed() {
    let peer = extended(|_| Do::Nothing).await;
    let options =
        ClientOptions { max_in_flight: 1, timeout: Duration::from_secs(600), ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let client = client.clone();
        calls.spawn(async move { client.call("m", ()).await });
    }
    eventually("the first call is sent", || peer.seen.calls().len() == 1).await;
    client.close().await;
    let all = tokio::time::timeout(Duration::from_secs(60), calls.join_all()).await;
    assert_eq!(all.expect("no caller still waits"), vec![Err(CallError::Closed); 300]);
}

#[tokio::test]
async fn a_peer_that_stops_reading_delays_no_call_beyond_its_deadline() {
    let peer = scripted(|_, mut socket, _| async move {
        // Replies to the probe and one call, then reads no more.
        use tokio::io::AsyncWriteExt;
        for id in 0..2 {
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(format!("{{\"id\":{id},\"res\":1}}\n").as_bytes()).await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let client = direct(peer.address);
    // Connecting must not be part of the time.
    client.call("first", ()).await.unwrap();
    let large = "x".repeat(8 << 20);
    let request = Request { timeout: Some(SHORT), ..Request::new("m", (large,)).unwrap() };
    let began = Instant::now();
    let error = client.request(request).await.unwrap_err();
    check(&error, Phase::Reply, began);
}

#[tokio::test]
async fn an_address_that_never_accepts_times_out_while_connecting() {
    // A full backlog of one: further connections get no reply at all.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut full = Vec::new();
    loop {
        let attempt = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(100), attempt).await {
            Ok(Ok(socket)) => full.push(socket),
            _ => break,
        }
    }
    let client = direct(address);
    let began = Instant::now();
    check(&client.request(short("m")).await.unwrap_err(), Phase::Connect, began);
}

#[tokio::test]
async fn a_refused_connection_fails_at_once() {
    let unused = ReservedPort::new();
    let address = unused.address().to_string();
    let error = direct(&address).call("m", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().starts_with(&format!("cannot reach {address}: ")), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable() {
    // No name ends so (RFC 6761); however long its name servers take, the resolver gives up.
    let far = Duration::from_secs(120);
    let options = ClientOptions { timeout: far, connect_timeout: far, ..options() };
    let client = Client::direct("nonexistent.invalid:80", options).unwrap();
    let error = client.call("m", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn endless_and_zero_times_do_no_harm() {
    let peer = extended(|request| Do::Write(result(request, "1"))).await;
    let options = ClientOptions {
        timeout: Duration::MAX,
        connect_timeout: Duration::MAX,
        failover_after: Duration::MAX,
        tcp_user_timeout: Duration::MAX,
        idle_timeout: Duration::MAX,
        refresh_interval: Duration::MAX,
        ..options()
    };
    let client = Client::direct(peer.name(), options.clone()).unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    let registry = crate::fake_registry::FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let client = Client::through_registry(&registry.url(), options).unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    let none = Request { timeout: Some(Duration::ZERO), ..Request::new("m", ()).unwrap() };
    match client.request(none).await {
        Ok(response) => assert_eq!(response.value.get(), "1"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout),
    }
    let options = ClientOptions {
        max_in_flight: 0,
        max_classic_connections: 0,
        max_probes: 0,
        max_unlisted_peers: 0,
        refresh_interval: Duration::ZERO,
        tcp_user_timeout: Duration::ZERO,
        ..crate::options()
    };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
}
