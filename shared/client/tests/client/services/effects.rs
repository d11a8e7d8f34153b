//! Methods that say that repeating them does no harm are repeated after an unknown outcome, others never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rpc_wire::signature::{contract, to_openrpc};

use super::*;
use crate::offering::read_only;

/// Two replicas; the first call to either loses its connection after it was sent.
async fn pair() -> ([crate::fakes::Peer; 2], FakeRegistry, Arc<AtomicUsize>) {
    let methods = [crate::offering::signatures(&["put"]), vec![read_only("get")]].concat();
    let calls = Arc::new(AtomicUsize::new(0));
    let replica = || {
        let (calls, document) = (Arc::clone(&calls), to_openrpc("t", "1", &methods).to_string());
        extended(move |request| {
            if request["method_name"] == "rpc.discover" {
                return Do::Write(result(request, &document));
            }
            match calls.fetch_add(1, Ordering::SeqCst) {
                0 => Do::Close,
                _ => Do::Write(result(request, "1")),
            }
        })
    };
    let peers = [replica().await, replica().await];
    let parameters = json!({"contract": contract(&methods), "wire": 1});
    let entries = peers.each_ref().map(|peer| entry(peer.address, parameters.clone()));
    (peers, registry_of(entries.to_vec()).await, calls)
}

fn discoveries(peers: &[crate::fakes::Peer]) -> usize {
    let calls = peers.iter().flat_map(|peer| peer.seen.calls());
    calls.filter(|call| call["method_name"] == "rpc.discover").count()
}

#[tokio::test]
async fn a_read_only_method_is_repeated_after_an_unknown_outcome() {
    let (peers, registry, calls) = pair().await;
    let client = client_of(&registry);
    let response = client.request(Request::new("get", ()).unwrap()).await.unwrap();
    assert_eq!((response.attempts, calls.load(Ordering::SeqCst)), (2, 2));
    assert_eq!(discoveries(&peers), 1, "one replica says it for all");
}

#[tokio::test]
async fn another_method_is_not() {
    let (_peers, registry, calls) = pair().await;
    let error = client_of(&registry).call("put", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn calls_that_succeed_ask_nobody() {
    let (peers, registry, calls) = pair().await;
    calls.store(1, Ordering::SeqCst);
    let client = client_of(&registry);
    assert_eq!(failures(&client, "get", 100).await, []);
    assert_eq!(discoveries(&peers), 0);
}

#[tokio::test]
async fn what_the_only_one_that_offers_it_fails_of_is_the_error_of_the_call() {
    let methods = vec![read_only("get")];
    let document = to_openrpc("t", "1", &methods).to_string();
    let only = extended(move |request| match request["method_name"].as_str() {
        Some("rpc.discover") => Do::Write(result(request, &document)),
        _ => Do::Close,
    })
    .await;
    let parameters = json!({"service": "stock", "contract": contract(&methods), "wire": 1});
    let other = Offering::new(&["put"]).await;
    let registry = registry_of(vec![entry(only.address, parameters), other.entry("orders")]).await;
    let options = ClientOptions { timeout: Duration::from_secs(600), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    // The second time it is known who offers what, the third time there is nobody to ask who else does.
    for round in 0..3 {
        if round == 2 {
            registry.reply("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        let call = tokio::time::timeout(Duration::from_secs(60), client.call("get", ()));
        let error = call.await.expect("nothing to wait for").unwrap_err();
        assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
        assert!(error.may_have_run());
    }
    assert_eq!(other.count("get"), 0);
}
