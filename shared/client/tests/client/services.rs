//! Several services behind one registry: a call goes to an instance that offers the method.

mod catalog;
mod digests;
mod effects;
mod filter;
mod lists;
mod outdated;
mod reserved;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rpc_client::{Balance, CallError, Client, ClientOptions, ErrorKind, Request};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::fake_registry::{FakeRegistry, entry};
use crate::fakes::{Do, extended, result};
use crate::offering::Offering;
use crate::{eventually, options};

async fn registry_of(entries: Vec<Value>) -> FakeRegistry {
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&Value::from(entries));
    registry
}

fn client_of(registry: &FakeRegistry) -> Client {
    Client::through_registry(&registry.url(), options()).unwrap()
}

/// Makes the calls, some of them concurrently, and returns the failures.
/// Waits for a refresh of the client that begins now or later, and for the end of it.
async fn refreshed(registry: &FakeRegistry) {
    let before = registry.looks();
    eventually("the client looks into the registry", || registry.looks() > before + 1).await;
    crate::let_notice().await;
}

async fn failures(client: &Client, method: &str, calls: usize) -> Vec<CallError> {
    let calls = futures_util::stream::iter(0..calls).map(|_| client.call(method, ()));
    let results: Vec<_> = calls.buffer_unordered(20).collect().await;
    results.into_iter().filter_map(Result::err).collect()
}

#[tokio::test]
async fn a_thousand_calls_of_what_one_of_two_services_offers_all_succeed_with_every_policy() {
    for (_, balance) in Balance::ALL {
        let ours = Offering::new(&["add", "echo"]).await;
        let older = Offering::classic(&["add", "legacy"]).await;
        let registry = registry_of(vec![ours.entry("ours"), older.plain_entry()]).await;
        let options = ClientOptions { balance, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        for method in ["echo", "legacy", "add"] {
            assert_eq!(failures(&client, method, 1000).await, [], "{method} {balance:?}");
        }
        assert_eq!((ours.count("legacy"), older.count("echo")), (0, 0));
        assert!(ours.count("add") > 0 && older.count("add") > 0, "either may be called");
        assert_eq!((ours.count("rpc.discover"), older.count("all_your_methods")), (1, 1));
    }
}

#[tokio::test]
async fn twelve_fresh_clients_call_the_right_one_at_once() {
    let ours = Offering::new(&["echo"]).await;
    let older = Offering::classic(&["legacy"]).await;
    let registry = registry_of(vec![ours.entry("ours"), older.plain_entry()]).await;
    for _ in 0..12 {
        let client = client_of(&registry);
        let request = Request::new("legacy", ()).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!((response.peer, response.attempts), (older.peer.name(), 1));
    }
}

#[tokio::test]
async fn what_nobody_offers_is_one_error_with_the_nearest_names() {
    let ours = [Offering::new(&["sub", "aid"]).await, Offering::new(&["sub", "aid"]).await];
    let older = Offering::classic(&["add"]).await;
    let [a, b] = ours.each_ref().map(|it| it.entry("ours"));
    let registry = registry_of(vec![a, b, older.plain_entry()]).await;
    let error = client_of(&registry).call("ad", ()).await.unwrap_err();
    let said = r#"no instance offers "ad": asked 3 of 3; the nearest names are add, aid"#;
    assert_eq!(error.to_string(), said);
    assert_eq!((error.kind(), error.peer()), (ErrorKind::NoSuchMethod, None));
    assert_eq!(
        ours[0].count("ad") + ours[1].count("ad") + older.count("ad"),
        0,
        "nobody is called"
    );
}

#[tokio::test]
async fn replicas_of_one_contract_are_not_all_called_for_what_none_of_them_offers() {
    let replicas = [Offering::new(&["add"]).await, Offering::new(&["add"]).await];
    let registry = registry_of(replicas.iter().map(|it| it.entry("ours")).collect()).await;
    let client = client_of(&registry);
    let error = client.call("ad", ()).await.unwrap_err();
    let said = r#"no instance offers "ad": asked 2 of 2; the nearest name is add"#;
    assert_eq!(error.to_string(), said);
    let count = |method| replicas.iter().map(|it| it.count(method)).sum::<usize>();
    assert_eq!(
        (count("ad"), count("rpc.discover")),
        (1, 2),
        "each is asked itself, none is called in vain"
    );
    assert_eq!(failures(&client, "add", 50).await, []);
}

#[tokio::test]
async fn replicas_of_one_contract_are_never_asked_for_it() {
    let replicas = [Offering::new(&["add"]).await, Offering::new(&["add"]).await];
    let registry = registry_of(replicas.iter().map(|it| it.entry("ours")).collect()).await;
    let client = client_of(&registry);
    assert_eq!(failures(&client, "add", 200).await, []);
    eventually("the list is refreshed", || registry.not_modified() > 3).await;
    assert!(replicas.iter().all(|it| it.count("add") > 0 && it.count("rpc.discover") == 0));
}

#[tokio::test]
async fn what_could_not_be_asked_is_not_claimed() {
    let known = Offering::new(&["add"]).await;
    let dead = ReservedPort::new();
    let registry = registry_of(vec![known.entry("a"), entry(dead.address(), json!({}))]).await;
    let error = client_of(&registry).call("sub", ()).await.unwrap_err();
    let others = r#", and no instance that replied offers "sub": asked 1 of 2; what is offered has no similar name"#;
    assert!(error.to_string().contains(others), "{error}");
    assert!(error.to_string().contains(&format!("cannot reach {}: ", dead.address())), "{error}");
    assert_eq!((error.kind(), error.is_not_executed()), (ErrorKind::Unreachable, true));
}

#[tokio::test]
async fn an_unreachable_registry_is_another_error() {
    let unused = ReservedPort::new();
    let error = Client::through_registry(&unused.url(), options()).unwrap();
    let error = error.call("add", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Registry(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);

    let (a, b) = (Offering::new(&["add"]).await, Offering::classic(&["legacy"]).await);
    let registry = registry_of(vec![a.entry("a"), b.plain_entry()]).await;
    let client = client_of(&registry);
    client.call("add", ()).await.unwrap();
    drop(registry);
    eventually("the list is stale", || client.instances()[0].stale).await;
    assert_eq!(failures(&client, "add", 50).await, [], "the last list still serves");
    let error = client.call("sub", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Registry(_)), "who knows what it would list now: {error}");
}

#[tokio::test]
async fn an_older_server_restarted_in_place_with_other_methods_is_called_rightly() {
    let (a, b) = (Offering::classic(&["add", "old"]).await, Offering::classic(&["sub"]).await);
    let registry = registry_of(vec![a.plain_entry(), b.plain_entry()]).await;
    let client = client_of(&registry);
    client.call("old", ()).await.unwrap();
    a.offer(&["add", "new"]);
    a.peer.close_connections();
    refreshed(&registry).await;
    assert_eq!(failures(&client, "new", 20).await, []);
    assert_eq!(failures(&client, "add", 20).await, []);
    let error = client.call("old", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchMethod, "{error}");
    // What it lost, the other one gained.
    b.offer(&["old"]);
    refreshed(&registry).await;
    assert_eq!(failures(&client, "old", 20).await, []);
}

#[tokio::test]
async fn a_server_that_registers_another_contract_is_called_rightly() {
    let (a, b) = (Offering::new(&["add", "old"]).await, Offering::new(&["sub"]).await);
    let registry = registry_of(vec![a.entry("a"), b.entry("b")]).await;
    // So rarely refreshed that only the call's own refresh can learn of it.
    let options = ClientOptions { refresh_interval: Duration::from_secs(3600), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    client.call("old", ()).await.unwrap();
    a.offer(&["add", "new"]);
    registry.list_json(&json!([a.entry("a"), b.entry("b")]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(failures(&client, "new", 20).await, []);
    let error = client.call("old", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchMethod, "{error}");
}

#[tokio::test]
async fn a_mixed_deploy_loses_no_call_of_what_only_the_new_version_offers() {
    let old = [Offering::new(&["add"]).await, Offering::new(&["add"]).await];
    let new = Offering::new(&["add", "sub"]).await;
    let [a, b] = old.each_ref().map(|it| it.entry("s"));
    let registry = registry_of(vec![a.clone(), b.clone()]).await;
    let client = client_of(&registry);
    assert_eq!(failures(&client, "add", 20).await, []);
    let rarely = Duration::from_secs(3600);
    let options = ClientOptions { refresh_interval: rarely, ..options() };
    let fresh = Client::through_registry(&registry.url(), options).unwrap();
    assert_eq!(failures(&fresh, "add", 20).await, []);
    registry.list_json(&json!([a, b, new.entry("s")]));
    // A list that is younger is not fetched again for a call.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(failures(&fresh, "sub", 1).await, [], "the call's own refresh finds it");
    assert_eq!(failures(&client, "sub", 300).await, []);
    assert_eq!(failures(&client, "add", 300).await, []);
    assert!(new.count("add") > 0 && old.iter().all(|it| it.count("add") > 20));
    registry.list_json(&json!([new.entry("s")]));
    assert_eq!(failures(&client, "sub", 300).await, []);
}

#[tokio::test]
async fn an_instance_that_shows_the_digest_of_another_misleads_nobody() {
    let honest = Offering::new(&["add", "get"]).await;
    let liar = Offering::new(&["add", "own"]).await;
    let other = Offering::new(&["sub"]).await;
    let borrowed = json!({"service": "s", "contract": honest.contract(), "wire": 1});
    for with_other in [false, true] {
        let mut entries = vec![honest.entry("s"), entry(liar.address(), borrowed.clone())];
        entries.extend(with_other.then(|| other.entry("t")));
        let registry = registry_of(entries).await;
        let client = client_of(&registry);
        assert_eq!(failures(&client, "get", 200).await, []);
        assert_eq!(failures(&client, "add", 200).await, []);
        assert!(liar.count("add") > 0, "what it does have, it is called for");
        assert_eq!(client.stats().retries, 0, "a wrong choice costs no retry");
    }
    let noted = liar.count("get");
    assert!(noted <= 40, "{noted} calls went to it, though it says that it does not have it");
}

#[tokio::test]
async fn an_instance_that_lacks_the_method_costs_no_attempt() {
    let honest = Offering::new(&["get"]).await;
    let liars =
        [Offering::new(&["a"]).await, Offering::new(&["b"]).await, Offering::new(&["c"]).await];
    let borrowed = json!({"contract": honest.contract(), "wire": 1});
    let mut entries: Vec<_> =
        liars.iter().map(|it| entry(it.address(), borrowed.clone())).collect();
    entries.push(honest.entry("s"));
    let registry = registry_of(entries).await;
    for _ in 0..10 {
        let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
        let retry =
            rpc_client::RetryOptions { attempts: 1, ratio: 0.0, burst: 0, ..Default::default() };
        let options = ClientOptions { retry, ..options };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        let response = client.request(Request::new("get", ()).unwrap()).await.unwrap();
        assert_eq!((response.attempts, response.peer), (1, honest.peer.name()));
    }
    assert!(liars.iter().any(|it| it.count("get") > 0));
}

#[tokio::test]
async fn calls_that_wait_share_one_discovery_and_it_is_forgotten_with_the_contract() {
    let (a, b) = (Offering::new(&["add"]).await, Offering::new(&["sub"]).await);
    for it in [&a, &b] {
        it.discover_after(Duration::from_millis(50));
    }
    let registry = registry_of(vec![a.entry("a"), b.entry("b")]).await;
    let client = client_of(&registry);
    let calls = (0..100).map(|_| client.call("add", ()));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
    eventually("both are asked", || b.count("rpc.discover") == 1).await;
    assert_eq!(a.count("rpc.discover"), 1);
    registry.list_json(&json!([b.entry("b")]));
    eventually("it is gone", || client.instances().len() == 1).await;
    // The first look that finds no call to it.
    let looks = registry.looks();
    eventually("the registry is asked again", || registry.looks() > looks + 1).await;
    registry.list_json(&json!([a.entry("a"), b.entry("b")]));
    eventually("it is asked again", || a.count("rpc.discover") == 2).await;
    assert_eq!(b.count("rpc.discover"), 1, "its contract was there all the time");
}

#[tokio::test]
async fn no_more_are_asked_at_once_than_allowed() {
    let mut peers = Vec::new();
    for n in 0..8 {
        let peer = Offering::new(&[&format!("m{n}")]).await;
        peer.discover_after(Duration::from_millis(100));
        peers.push(peer);
    }
    let registry = registry_of(peers.iter().map(|it| it.entry("s")).collect()).await;
    let options = ClientOptions { max_discoveries: 2, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let began = Instant::now();
    let results = (0..8).map(|n| {
        let client = client.clone();
        async move { client.call(&format!("m{n}"), ()).await }
    });
    let results = futures_util::future::join_all(results).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(began.elapsed() >= Duration::from_millis(400), "four rounds of two");
}

#[tokio::test]
async fn a_slow_discovery_delays_no_call_that_others_can_answer() {
    let (quick, slow) = (Offering::new(&["add"]).await, Offering::new(&["add", "sub"]).await);
    slow.discover_after(Duration::from_secs(3600));
    let dead = ReservedPort::new();
    let silent = extended(|_| Do::Nothing).await;
    let plain = |address: SocketAddr| entry(address, json!({}));
    let entries =
        vec![slow.entry("s"), plain(dead.address()), plain(silent.address), quick.entry("q")];
    let registry = registry_of(entries).await;
    let failover_after = Duration::from_secs(4);
    let options = ClientOptions { failover_after, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let began = Instant::now();
    assert_eq!(failures(&client, "add", 100).await, []);
    assert!(began.elapsed() < failover_after, "{:?}", began.elapsed());
    assert_eq!(quick.count("add"), 100);
}

#[tokio::test]
async fn an_instance_without_discovery_is_called_for_what_nobody_is_known_to_offer() {
    let known = Offering::new(&["add"]).await;
    let mute = extended(|request| match request["method_name"].as_str().unwrap() {
        "secret" => Do::Write(result(request, "7")),
        name => Do::Write(crate::offering::no_such_method(request, name)),
    })
    .await;
    let registry = registry_of(vec![known.entry("a"), entry(mute.address, json!({}))]).await;
    let client = client_of(&registry);
    assert_eq!(failures(&client, "secret", 100).await, []);
    assert_eq!(failures(&client, "add", 100).await, []);
    let error = client.call("nope", ()).await.unwrap_err();
    let said = r#"no instance offers "nope": asked 2 of 2; what is offered has no similar name"#;
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn instances_that_alone_offer_a_method_are_tried_even_if_ejected() {
    let known = Offering::new(&["add"]).await;
    let place = ReservedPort::new();
    let address = place.address().to_string();
    let only = Offering::of(&address, crate::offering::signatures(&["sub"])).await;
    let registry = registry_of(vec![known.entry("a"), only.entry("b")]).await;
    let client = client_of(&registry);
    client.call("sub", ()).await.unwrap();
    drop(only);
    let error = loop {
        match client.call("sub", ()).await.unwrap_err() {
            CallError::ConnectionLost { .. } => {}
            error => break error,
        }
    };
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    let _back = Offering::of(&address, crate::offering::signatures(&["sub"])).await;
    client.call("sub", ()).await.unwrap();
}

#[tokio::test]
async fn a_reserved_method_goes_to_any_instance_and_asks_nobody_first() {
    let (a, b) = (Offering::new(&["add"]).await, Offering::new(&["sub"]).await);
    for it in [&a, &b] {
        it.discover_after(Duration::from_secs(3600));
    }
    let registry = registry_of(vec![a.entry("a"), b.entry("b")]).await;
    let client = client_of(&registry);
    client.call("rpc.health", ()).await.unwrap();
    let error = client.call("rpc.none", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Remote { .. }), "the instance's own word: {error}");
}

#[tokio::test]
async fn an_address_of_choice_has_the_last_word_on_its_methods() {
    let (a, b) = (Offering::new(&["add"]).await, Offering::new(&["sub"]).await);
    let registry = registry_of(vec![a.entry("a"), b.entry("b")]).await;
    let client = client_of(&registry);
    let request = Request { on: Some(b.peer.name()), ..Request::new("add", ()).unwrap() };
    let error = client.request(request).await.unwrap_err();
    assert_eq!(error.to_string(), "No service found for: add");
    let direct = crate::direct(b.address());
    let error = direct.call("add", ()).await.unwrap_err();
    assert_eq!(error.to_string(), "No service found for: add");
}

#[tokio::test]
async fn what_instances_said_to_a_call_that_lasts_counts_until_it_ends() {
    // Lists are doubted after 50 ms.
    let slow = Duration::from_millis(100);
    let mute = async || {
        let reply = move |request: &Value| {
            let name = request["method_name"].as_str().unwrap();
            let no = crate::offering::no_such_method(request, name);
            if name == "nope" { Do::WriteAfter(slow, no) } else { Do::Write(no) }
        };
        extended(reply).await
    };
    let peers = [mute().await, mute().await, mute().await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let client = client_of(&registry);
    let log = rpc_client::AttemptLog::new();
    let request = Request::new("nope", ()).unwrap().attempts(log.clone());
    let error = client.request(request.clone()).await.unwrap_err().to_string();
    assert!(error.starts_with(r#"no instance offers "nope": asked 3 of 3"#), "{error}");

    let client = client_of(&registry);
    let mut stream = client.stream_request(request).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with(r#"no instance offers "nope": asked 3 of 3"#), "{error}");
    // Its attempts are all timed from the beginning of the stream.
    let began: Vec<_> = log.attempts()[3..].iter().map(|attempt| attempt.began).collect();
    assert!(began[1] >= slow && began[2] >= 2 * slow, "{began:?}");
}

/// A peer with one stream, `ticks`, or without any.
async fn streaming(has_it: bool) -> crate::fakes::Peer {
    extended(move |request| match request["method_name"].as_str().unwrap() {
        "ticks" if has_it => {
            let id = &request["id"];
            let item = |n| format!("{{\"id\":{id},\"item\":{n}}}\n");
            Do::Write(item(1) + &item(2) + &format!("{{\"id\":{id},\"end\":true}}\n"))
        }
        name => Do::Write(crate::offering::no_such_method(request, name)),
    })
    .await
}

#[tokio::test]
async fn a_stream_goes_on_to_an_instance_that_has_the_method() {
    let peers = [streaming(false).await, streaming(false).await, streaming(true).await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    for _ in 0..10 {
        let client = client_of(&registry);
        let mut stream = client.stream("ticks", ()).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!((first.value.get(), stream.peer()), ("1", peers[2].name().as_str()));
        assert_eq!(stream.next().await.unwrap().unwrap().value.get(), "2");
        assert!(stream.next().await.is_none());
    }
    let client = client_of(&registry);
    let mut stream = client.stream("tocks", ()).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string().split(';').next(),
        Some(r#"no instance offers "tocks": asked 3 of 3"#)
    );
    assert!(stream.next().await.is_none());
}
