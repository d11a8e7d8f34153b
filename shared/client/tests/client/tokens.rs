//! A client's token: when it is sent, to whom, and what happens when it is replaced.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use rpc_client::{CallError, Client, ClientOptions, Code, ErrorKind, Request, Token, WireLog};
use serde_json::{Value, json};

use crate::fake_registry::{FakeRegistry, entry};
use crate::fakes::{self, Do, Peer, extended_on, failure, result, sum};
use crate::options;

const SECRET: &str = "rpcd_canary-0123456789abcdef0123456789";

fn with_token(token: Token) -> ClientOptions {
    ClientOptions { token: Some(token), ..options() }
}

/// A server that adds for callers whose connection has shown the secret; the introduction has no reply.
async fn guarded_on(address: &str, secret: &Arc<Mutex<String>>) -> Peer {
    let secret = Arc::clone(secret);
    let shown = Mutex::new(None);
    extended_on(address, move |request| {
        if let Some(token) = request["meta"]["token"].as_str() {
            *shown.lock().unwrap() = Some(token.to_owned());
        }
        let is_known = shown.lock().unwrap().as_ref() == Some(&*secret.lock().unwrap());
        match request["method_name"].as_str() {
            Some("rpc.whoami") => Do::Nothing,
            Some("add") if is_known => Do::Write(result(request, &sum(request).to_string())),
            _ => Do::Write(failure(request, -32004)),
        }
    })
    .await
}

async fn guarded() -> (Peer, Arc<Mutex<String>>) {
    let secret = Arc::new(Mutex::new(SECRET.to_owned()));
    (guarded_on("127.0.0.1:0", &secret).await, secret)
}

/// The messages with a token.
fn introductions(peer: &Peer) -> Vec<Value> {
    let has_token = |message: &Value| message["meta"]["token"].is_string();
    peer.seen.messages().into_iter().filter(has_token).collect()
}

#[tokio::test]
async fn a_token_is_sent_once_per_connection_ahead_of_the_calls_and_never_with_one() {
    let (peer, _) = guarded().await;
    let options = with_token(Token::new(SECRET.into()));
    let client = Client::direct(peer.address.to_string(), options).unwrap();
    let wire = WireLog::new(1 << 20);
    for _ in 0..3 {
        let request = Request::new("add", (1, 2)).unwrap().recorded(wire.clone());
        assert_eq!(client.request(request).await.unwrap().value.get(), "3");
    }
    assert!(!format!("{:?}", wire.take()).contains("canary"));
    assert!(!format!("{client:?}").contains("canary"));
    let messages = peer.seen.messages();
    assert_eq!(messages[0]["method_name"], "rpc.health");
    assert_eq!(
        messages[1],
        json!({
            "id": 0, "method_name": "rpc.whoami", "method_args": [], "method_kwargs": {},
            "meta": {"oneway": true, "token": SECRET},
        })
    );
    assert_eq!((messages.len(), introductions(&peer).len()), (5, 1));
    assert_eq!(client.stats().unmatched_replies, 0);
}

#[tokio::test]
async fn a_stream_has_a_connection_and_shows_the_token_there() {
    let peer = fakes::extended(|request| match request["method_name"].as_str() {
        Some("rpc.whoami") => Do::Nothing,
        _ => Do::Write(result(request, "1")),
    })
    .await;
    let options = with_token(Token::new(SECRET.into()));
    let client = Client::direct(peer.address.to_string(), options).unwrap();
    let mut items = client.stream("m", ()).await.unwrap();
    assert!(items.next().await.unwrap().is_ok());
    let connections = peer.seen.accepted();
    assert_eq!((connections, introductions(&peer).len()), (2, 2));
}

#[tokio::test]
async fn an_older_server_that_is_listed_as_a_newer_one_gets_no_token() {
    let peer = fakes::classic(|request| Do::Write(format!("{{\"res\":{}}}", sum(request)))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([entry(peer.address, json!({"wire": 1}))]));
    let options = with_token(Token::new(SECRET.into()));
    let client = Client::through_registry(&registry.url(), options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(introductions(&peer), [Value::Null; 0]);
}

#[tokio::test]
async fn what_a_server_does_not_allow_is_an_error_of_its_own_and_not_tried_again() {
    let (peer, secret) = guarded().await;
    *secret.lock().unwrap() = "another".to_owned();
    for token in [None, Some(Token::new(SECRET.into()))] {
        let options = ClientOptions { token, ..options() };
        let client = Client::direct(peer.address.to_string(), options).unwrap();
        let before = peer.seen.calls().iter().filter(|it| it["method_name"] == "add").count();
        let error = client.call("add", (1, 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote);
        assert!(!error.may_have_run());
        let CallError::Remote { fault, .. } = &error else { panic!("{error:?}") };
        assert_eq!(fault.code, Code::Unauthorised);
        assert!(error.to_string().contains("does not allow this"), "{error}");
        let calls = peer.seen.calls().iter().filter(|it| it["method_name"] == "add").count();
        assert_eq!(calls, before + 1);
    }
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_used_without_a_failed_call() {
    let (peer, secret) = guarded().await;
    let later = Arc::clone(&secret);
    let token =
        Token::with_later(SECRET.into(), move || Some(later.lock().unwrap().clone().into()));
    let client = Client::direct(peer.address.to_string(), with_token(token)).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    *secret.lock().unwrap() = "rpcd_another-0123456789abcdef012345678".to_owned();
    let calls = (0..20).map(|_| client.call("add", (1, 2)));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result, Ok(json!(3)));
    }
    let shown: Vec<Value> =
        introductions(&peer).iter().map(|it| it["meta"]["token"].clone()).collect();
    assert_eq!(shown, [json!(SECRET), json!(*secret.lock().unwrap())]);
}

/// An address of this machine that is not loopback, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[tokio::test]
async fn a_token_does_not_travel_in_plain_text_unless_that_is_allowed() {
    let Some(own) = own_address().filter(|own| !own.is_loopback()) else { return };
    let secret = Arc::new(Mutex::new(SECRET.to_owned()));
    let peer = guarded_on(&format!("{own}:0"), &secret).await;
    let options = with_token(Token::new(SECRET.into()));
    let client = Client::direct(peer.address.to_string(), options.clone()).unwrap();
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert_eq!(error, CallError::TokenWithheld { peer: peer.address.to_string() });
    assert!(error.to_string().contains("allow_plaintext_token"), "{error}");
    assert_eq!(introductions(&peer), [Value::Null; 0]);
    // Nor to an address that only a registry gave.
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([entry(peer.address, json!({}))]));
    let client = Client::through_registry(&registry.url(), options.clone()).unwrap();
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::TokenWithheld { .. }), "{error:?}");
    assert_eq!(introductions(&peer), [Value::Null; 0]);
    let options = ClientOptions { allow_plaintext_token: true, ..options };
    let client = Client::direct(peer.address.to_string(), options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
}
