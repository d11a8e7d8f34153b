//! Servers that take no more connections: they say so, or close unread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_client::{CallError, Client, Code, ErrorKind, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fake_registry::{FakeRegistry, entry};
use crate::fakes::{Do, Peer, extended, result, scripted, speak_extended};
use crate::{direct, eventually, options};

const REFUSAL: &str = "{\"res\":\"Error calling method: 2 of 2 connections\",\
                       \"error\":{\"code\":-32002,\"message\":\"2 of 2 connections\",\"retryable\":true}}\n";

/// Refuses as a full server does: at once, whatever arrives.
async fn refuse(mut socket: TcpStream) {
    let _ = socket.write_all(REFUSAL.as_bytes()).await;
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

async fn full() -> Peer {
    scripted(|_, socket, _| refuse(socket)).await
}

/// A server that was full when it was connected to, and has room as soon as it is told.
async fn full_until(has_room: Arc<AtomicBool>) -> Peer {
    scripted(move |_, socket, seen| {
        let has_room = has_room.load(Ordering::SeqCst);
        async move {
            if has_room {
                let reply = Arc::new(|request: &serde_json::Value| Do::Write(result(request, "1")));
                speak_extended(socket, seen, reply).await;
            } else {
                refuse(socket).await;
            }
        }
    })
    .await
}

/// A registry that lists replicas with these parameters beside their contract.
async fn registry_of(peers: &[&Peer], parameters: &serde_json::Value) -> FakeRegistry {
    let registry = FakeRegistry::new_style().await;
    let mut listed = json!({"contract": "0123456789abcdef0123456789abcdef"});
    listed.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    let list: Vec<_> = peers.iter().map(|peer| entry(peer.address, listed.clone())).collect();
    registry.list_json(&json!(list));
    registry
}

/// With and without a probe on the first connection.
fn dialects() -> [serde_json::Value; 2] {
    [json!({"wire": 1}), json!({})]
}

#[tokio::test]
async fn whoever_is_refused_a_connection_is_told_why() {
    let full = full().await;
    let error = direct(full.address).call("m", ()).await.unwrap_err();
    assert!(error.is_not_executed() && error.kind() == ErrorKind::Unreachable, "{error}");
    assert_eq!(error.peer(), Some(full.name().as_str()));
    assert_eq!(
        error.to_string(),
        format!(
            "{} takes no more connections: 2 of 2 connections; try again later, or call another instance",
            full.name()
        )
    );
    let CallError::Refused { fault, .. } = error else { panic!("{error}") };
    assert_eq!(fault.code, Code::Overloaded);
    assert_eq!(full.seen.accepted(), 1, "a full server is not asked again at once");
}

#[tokio::test]
async fn calls_that_a_full_server_refuses_go_to_another_without_a_budget() {
    for parameters in dialects() {
        let (full, other) =
            (full().await, extended(|request| Do::Write(result(request, "1"))).await);
        let registry = registry_of(&[&full, &other], &parameters).await;
        let retry = rpc_client::RetryOptions { ratio: 0.0, burst: 0, ..Default::default() };
        let options = rpc_client::ClientOptions { retry, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        let calls = (0..200).map(|_| client.call("m", ()));
        for outcome in futures_util::future::join_all(calls).await {
            assert_eq!(outcome, Ok(json!(1)), "{parameters}");
        }
        assert_eq!(other.seen.calls().len(), 200, "{parameters}");
        assert!(full.seen.accepted() > 0, "{parameters}: it was tried");
        let ejected = client.instances_not_up();
        let ejected: Vec<_> =
            ejected.iter().map(|it| (it.instance.port, it.health.state.gets_calls())).collect();
        let expected = [(full.address.port(), false)];
        assert_eq!(ejected, expected, "it gets no more calls until a probe finds room");
    }
}

#[tokio::test]
async fn streams_that_a_full_server_refuses_go_to_another() {
    for parameters in dialects() {
        let other = || extended(|request| Do::Write(result(request, "1")));
        let (full, other) = (full().await, other().await);
        let registry = registry_of(&[&full, &other], &parameters).await;
        for _ in 0..10 {
            let client = Client::through_registry(&registry.url(), options()).unwrap();
            let mut stream = client.stream("m", ()).await.unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap().value.get(), "1");
            assert_eq!(stream.peer(), other.name());
        }
        assert!(full.seen.accepted() > 0, "it was tried");
    }
}

#[tokio::test]
async fn a_server_that_has_room_again_is_called_again() {
    let has_room = Arc::new(AtomicBool::new(false));
    let server = full_until(Arc::clone(&has_room)).await;
    let registry = registry_of(&[&server], &json!({"wire": 1})).await;
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let error = client.call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
    has_room.store(true, Ordering::SeqCst);
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    eventually("it is restored", || {
        client.instances().iter().all(|it| it.health.state.gets_calls())
    })
    .await;
}

#[tokio::test]
async fn a_refusal_counts_although_the_connection_is_lost_before_it_is_read() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = FakeRegistry::new_style().await;
    let address = listener.local_addr().unwrap();
    registry.list_json(&json!([entry(address, json!({"wire": 1}))]));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let unanswered = Request::new("m", ()).unwrap().timeout(Duration::from_millis(300));
    let error = client.request(unanswered).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    let (mut server, _) = listener.accept().unwrap();
    // Client and server share a thread: the client learns of the end only when it fails to write.
    server.write_all(REFUSAL.as_bytes()).unwrap();
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    let error = client.call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_behind_a_reply_proves_nothing_of_the_calls_in_flight() {
    let peer = extended(|request| match request["method_name"].as_str() {
        Some("first") => Do::Write(result(request, "1")),
        _ => Do::WriteAndClose(REFUSAL.to_owned()),
    })
    .await;
    let client = direct(peer.address);
    client.call("first", ()).await.unwrap();
    let error = client.call("second", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
    assert!(error.to_string().contains("2 of 2 connections"), "{error}");
}

#[tokio::test]
async fn a_connection_closed_without_a_word_may_have_executed_the_call() {
    let peer = scripted(|_, socket, _| async move {
        // The call is there: closing now resets the connection, as the end of a killed server can.
        let _ = socket.readable().await;
    })
    .await;
    let registry = registry_of(&[&peer], &json!({"wire": 1})).await;
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    let error = client.call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
    assert_eq!(peer.seen.accepted(), 1, "not repeated");
}
