//! The blocking façade: the same calls from anywhere, and no thread left running.

use rpc_client::blocking::Client;
use rpc_client::{CallError, ErrorKind};
use serde_json::json;

use crate::fakes::{Do, Peer, adder, extended};
use crate::options;

/// A fake peer on its own runtime.
fn with_peer<F: Future<Output = Peer>>(peer: F) -> (tokio::runtime::Runtime, Peer) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let peer = runtime.block_on(peer);
    (runtime, peer)
}

#[test]
fn calls_work_outside_any_runtime_and_from_many_threads() {
    let (_runtime, peer) = with_peer(adder());
    let client = Client::direct(peer.name(), options()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let client = client.clone();
            scope.spawn(move || assert_eq!(client.call_as::<i64>("add", (n, 1)), Ok(n + 1)));
        }
    });
    assert_eq!(peer.seen.accepted(), 1);
    let error = client.call("add", 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn calls_inside_a_runtime_do_not_panic() {
    let (_runtime, peer) = with_peer(adder());
    let inside = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    inside.block_on(async {
        let client = Client::direct(peer.name(), options()).unwrap();
        assert_eq!(client.call("add", (1, 2)), Ok(json!(3)));
        client.close();
    });
}

#[test]
fn streams_are_iterators() {
    let (_runtime, peer) = with_peer(extended(|request| {
        let id = &request["id"];
        Do::Write(format!(
            "{{\"id\":{id},\"item\":1}}\n{{\"id\":{id},\"item\":2}}\n{{\"id\":{id},\"end\":true}}\n"
        ))
    }));
    let client = Client::direct(peer.name(), options()).unwrap();
    let items: Vec<_> = client
        .stream("count", ())
        .unwrap()
        .map(|item| item.unwrap().value.get().to_owned())
        .collect();
    assert_eq!(items, ["1", "2"]);
}

#[test]
fn closing_or_dropping_ends_the_connection_and_later_calls_say_so() {
    let (runtime, peer) = with_peer(adder());
    let client = Client::direct(peer.name(), options()).unwrap();
    let other = client.clone();
    client.call("add", (1, 2)).unwrap();
    client.close();
    runtime.block_on(crate::eventually("the peer sees the end", || peer.seen.open() == 0));
    assert_eq!(other.call("add", (1, 2)), Err(CallError::Closed));
    other.close();

    let client = Client::direct(peer.name(), options()).unwrap();
    client.call("add", (1, 2)).unwrap();
    drop(client);
    runtime.block_on(crate::eventually("the peer sees the end", || peer.seen.open() == 0));
}

#[test]
fn a_registry_can_be_used_without_a_runtime_and_async_clients_say_that_they_cannot() {
    let (_runtime, registry) = {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let registry = runtime.block_on(crate::fake_registry::FakeRegistry::new_style());
        (runtime, registry)
    };
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    assert!(matches!(client.call("add", (1, 2)), Err(CallError::NoInstance { .. })));
    let error = rpc_client::Client::through_registry(&registry.url(), options()).unwrap_err();
    assert_eq!(error, rpc_client::ClientError::NoRuntime);
}

#[test]
fn services_and_the_catalog_are_there_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (registry, _peers) = runtime.block_on(async {
        let a = crate::offering::Offering::new(&["get"]).await;
        let b = crate::offering::Offering::classic(&["put"]).await;
        let registry = crate::fake_registry::FakeRegistry::new_style().await;
        registry.list_json(&serde_json::json!([a.entry("orders"), b.plain_entry()]));
        (registry, (a, b))
    });
    let client =
        rpc_client::blocking::Client::through_registry(&registry.url(), crate::options()).unwrap();
    client.call("put", ()).unwrap();
    let orders = client.service("orders");
    orders.call("get", ()).unwrap();
    assert_eq!(orders.call("put", ()).unwrap_err().kind(), ErrorKind::NoSuchMethod);
    assert_eq!(client.catalog().unwrap().methods().len(), 2);
    assert_eq!(client.methods().unwrap().len(), 2);
    client.close();
    assert_eq!(orders.call("get", ()), Err(CallError::Closed));
}
