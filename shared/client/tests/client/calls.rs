//! Calls to a peer of the extended dialect.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rpc_client::{CallError, Client, Code, Dialect, ErrorKind, Request};
use serde_json::{Value, json};

use crate::fakes::{Do, adder, extended, failure, result, sum};
use crate::{direct, options};

#[tokio::test]
async fn a_call_gets_its_reply_and_sends_its_remaining_time() {
    let peer = adder().await;
    let client = direct(peer.address);
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(client.call_as::<i64>("add", [1, 2, 3]).await, Ok(6));
    let messages = peer.seen.messages();
    assert_eq!(
        messages[0],
        json!({"id": 0, "method_name": "rpc.health", "method_args": [], "method_kwargs": {}})
    );
    let left = messages[1]["meta"]["deadline_ms"].as_u64().unwrap();
    assert!((4000..=5000).contains(&left), "{left}");
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn a_request_says_its_trace_context_if_it_has_one() {
    let peer = adder().await;
    let client = direct(peer.address);
    let add = || Request::new("add", (1, 2)).unwrap();
    client.request(add().traceparent("00-a-b-01")).await.unwrap();
    client.request(add()).await.unwrap();
    let calls = peer.seen.calls();
    assert_eq!(calls[0]["meta"]["traceparent"], "00-a-b-01");
    assert_eq!(calls[1]["meta"].get("traceparent"), None);
}

#[tokio::test]
async fn a_request_reports_timing_and_peer() {
    let peer =
        extended(|request| Do::WriteAfter(Duration::from_millis(30), result(request, "[1.50]")))
            .await;
    let client = direct(peer.address);
    let response = client.request(Request::new("m", ()).unwrap()).await.unwrap();
    assert_eq!(response.value.get(), "[1.50]");
    assert_eq!((response.peer, response.attempts), (peer.name(), 1));
    assert_eq!(response.dialect, Dialect::Extended);
    assert_eq!(response.reply_bytes, r#"{"id":1,"res":[1.50]}"#.len());
    assert!(response.timing.server >= Duration::from_millis(30));
    assert!(response.timing.connect > Duration::ZERO);
    let before = client.stats().received_bytes;
    let again = client.request(Request::new("m", ()).unwrap()).await.unwrap();
    assert_eq!(again.timing.connect, Duration::ZERO);
    let received = client.stats().received_bytes - before;
    assert!(received >= u64::try_from(again.reply_bytes).unwrap(), "{received}");
}

#[tokio::test]
async fn bytes_received_include_unfinished_replies() {
    let half = |request: &Value| format!("{{\"id\":{},\"res\":\"half", request["id"]);
    let peer = extended(move |request| Do::Write(half(request))).await;
    let client = direct(peer.address);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("m", ()).await }
    });
    let arrived = || client.stats().received_bytes >= r#"{"id":1,"res":"half"#.len() as u64;
    crate::eventually("half of it has arrived", arrived).await;
    assert!(!call.is_finished());
    call.abort();
}

#[tokio::test]
async fn a_thousand_calls_at_once_share_one_connection_below_the_servers_limit() {
    let in_flight = std::sync::Arc::new(std::sync::Mutex::new((0usize, 0usize)));
    let counted = std::sync::Arc::clone(&in_flight);
    let peer = extended(move |request| {
        // Replies are late, so that calls pile up; counts the messages in one batch.
        let mut counts = counted.lock().unwrap();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        let done = std::sync::Arc::clone(&counted);
        let text = result(request, &sum(request).to_string());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            done.lock().unwrap().0 -= 1;
        });
        Do::WriteAfter(Duration::from_millis(20), text)
    })
    .await;
    let client = direct(peer.address);
    let calls = (0..1000).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.call_as::<i64>("add", (n, 1)).await })
    });
    for (n, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), Ok(n as i64 + 1));
    }
    assert_eq!(peer.seen.accepted(), 1);
    let most = in_flight.lock().unwrap().1;
    assert!(most <= 256, "{most} calls in flight");
}

#[tokio::test]
async fn calls_made_together_share_writes() {
    let peer = adder().await;
    let client = direct(peer.address);
    client.call("add", (1, 2)).await.unwrap();
    let before = peer.seen.reads.load(Ordering::SeqCst);
    let calls = (0..200).map(|n| client.call_as::<i64>("add", (n, 1)));
    for (n, result) in futures_util::future::join_all(calls).await.into_iter().enumerate() {
        assert_eq!(result, Ok(n as i64 + 1));
    }
    let reads = peer.seen.reads.load(Ordering::SeqCst) - before;
    assert!(reads <= 20, "200 calls arrived in {reads} reads");
}

/// A peer on its own thread: replies to 64 calls of `first` in one write, and reports each call it
/// receives after them.
fn replies_to_64_at_once() -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut replies, mut firsts) = (String::new(), 0);
        for line in BufReader::new(socket.try_clone().unwrap()).lines() {
            let Ok(line) = line else { break };
            let request: Value = serde_json::from_str(&line).unwrap();
            replies.push_str(&result(&request, r#"{"status":"ok"}"#));
            if request["method_name"] == "first" {
                firsts += 1;
            }
            if request["method_name"] == "second" {
                let _ = sender.send(());
            }
            if firsts % 64 == 0 {
                socket.write_all(std::mem::take(&mut replies).as_bytes()).unwrap();
            }
        }
    });
    (address, seen)
}

#[tokio::test]
async fn new_calls_are_written_before_all_replies_are_delivered() {
    let (address, seen) = replies_to_64_at_once();
    let (client, seen) = (&direct(address), &seen);
    client.call("warm_up", ()).await.unwrap();
    let calls = (0..64).map(|n| async move {
        client.call("first", ()).await.unwrap();
        match n {
            0 => drop(client.call("second", ()).await.unwrap()),
            // Blocks the runtime's only thread: what is not written by now will not be.
            63 => seen.recv_timeout(Duration::from_secs(5)).expect("no call arrived meanwhile"),
            _ => {}
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn replies_that_arrived_are_delivered_even_if_the_server_closed_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut requests = BufReader::new(socket.try_clone().unwrap()).lines();
        let mut next =
            || serde_json::from_str::<Value>(&requests.next().unwrap().unwrap()).unwrap();
        socket.write_all(result(&next(), r#"{"status":"ok"}"#).as_bytes()).unwrap();
        let replies: String = (0..128).map(|_| result(&next(), "1")).collect();
        socket.write_all(replies.as_bytes()).unwrap();
    });
    let client = &direct(address);
    let calls = (0..128).map(|_| async move {
        let first = client.call("first", ()).await;
        // There is nothing left to call.
        client.call("second", ()).await.unwrap_err();
        first
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies, vec![Ok(json!(1)); 128]);
}

#[tokio::test]
async fn replies_find_their_calls_in_any_order() {
    let peer = extended(|request| {
        let delay = Duration::from_millis(50 - request["method_args"][0].as_u64().unwrap());
        Do::WriteAfter(delay, result(request, &request["method_args"][0].to_string()))
    })
    .await;
    let client = direct(peer.address);
    let calls = (0..50).map(|n| client.call_as::<u64>("m", (n,)));
    let results = futures_util::future::join_all(calls).await;
    assert_eq!(results, (0..50).map(Ok).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failure_keeps_its_code_and_its_kind() {
    let peer = extended(|request| Do::Write(failure(request, -32602))).await;
    let error = direct(peer.address).call("m", ()).await.unwrap_err();
    assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::BadArguments));
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Remote, "Argument error: x")
    );
}

#[tokio::test]
async fn a_deadline_that_the_server_notices_first_is_a_timeout_too() {
    let peer = extended(|request| Do::Write(failure(request, -32000))).await;
    let error = direct(peer.address).call("m", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_number_that_would_be_rounded_is_an_error_and_the_connection_stays() {
    let peer = extended(|request| {
        Do::Write(match request["method_name"].as_str() {
            Some("big") => result(request, "[1,18446744073709551616]"),
            _ => result(request, "18446744073709551615"),
        })
    })
    .await;
    let client = direct(peer.address);
    let error = client.call("big", ()).await.unwrap_err();
    assert!(matches!(error, CallError::NotExact { .. }), "{error}");
    let error = client.call_as::<Vec<f64>>("big", ()).await.unwrap_err();
    assert!(matches!(error, CallError::NotExact { .. }), "{error}");
    assert_eq!(client.call("fits", ()).await, Ok(json!(u64::MAX)));
    let error = client.call_as::<String>("fits", ()).await.unwrap_err();
    assert!(matches!(error, CallError::WrongType { .. }), "{error}");
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn invalid_arguments_are_a_usage_error_and_nothing_is_sent() {
    let peer = adder().await;
    let error = direct(peer.address).call("add", 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(peer.seen.accepted(), 0);
}

#[tokio::test]
async fn a_call_can_be_made_on_an_address_of_choice() {
    let (one, other) = (adder().await, adder().await);
    let client = direct(one.address);
    let request = Request { on: Some(other.name()), ..Request::new("add", (1, 2)).unwrap() };
    assert_eq!(client.request(request).await.unwrap().peer, other.name());
    assert!(one.seen.calls().is_empty());
    let bad = Request { on: Some("nowhere".to_owned()), ..Request::new("add", (1, 2)).unwrap() };
    assert_eq!(client.request(bad).await.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn methods_are_discovered_with_their_types() {
    let peer = extended(|request| {
        assert_eq!(request["method_name"], "rpc.discover");
        Do::Write(result(
            request,
            r#"{"openrpc":"1.3.2","methods":[{"name":"add","params":[
                {"name":"a","required":true,"schema":{"type":"number"}}]}]}"#
                .replace('\n', " ")
                .as_str(),
        ))
    })
    .await;
    let methods = direct(peer.address).methods().await.unwrap();
    assert_eq!((methods[0].name.as_str(), methods[0].parameters.len()), ("add", 1));
    assert_eq!(methods[0].parameters[0].schema, json!({"type": "number"}));
}

#[tokio::test]
async fn names_and_both_families_can_be_called() {
    let peer =
        crate::fakes::extended_on("[::1]:0", |request| Do::Write(result(request, "6"))).await;
    assert_eq!(direct(peer.address).call("m", ()).await, Ok(json!(6)));
    let peer = adder().await;
    let client = direct(format!("localhost:{}", peer.address.port()));
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
}

#[tokio::test]
async fn an_unused_connection_is_retired_and_made_again_when_needed() {
    let peer = adder().await;
    let idle_timeout = Duration::from_millis(30);
    let client =
        Client::direct(peer.name(), rpc_client::ClientOptions { idle_timeout, ..options() })
            .unwrap();
    client.call("add", (1, 2)).await.unwrap();
    crate::eventually("the idle connection is closed", || peer.seen.open() == 0).await;
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(peer.seen.accepted(), 2);
}

#[tokio::test]
async fn a_connection_with_a_call_open_is_never_idle() {
    let peer =
        extended(|request| Do::WriteAfter(Duration::from_millis(150), result(request, "1"))).await;
    let idle_timeout = Duration::from_millis(30);
    let client =
        Client::direct(peer.name(), rpc_client::ClientOptions { idle_timeout, ..options() })
            .unwrap();
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
}
