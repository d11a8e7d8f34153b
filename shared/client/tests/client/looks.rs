//! When the registry is asked: as soon as its list changes, when an instance is missing, and never too often.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::{CallError, Client, ClientOptions, ErrorKind};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::fake_registry::{FakeRegistry, entry};
use crate::fakes::{Do, adder, extended, failure};
use crate::{eventually, options};

/// So seldom refreshed that only what is tested can bring a new list.
fn seldom() -> ClientOptions {
    ClientOptions { refresh_interval: Duration::from_secs(3600), ..options() }
}

async fn sum(client: &Client) -> Result<Value, CallError> {
    client.call("add", (1, 2)).await
}

#[tokio::test]
async fn a_change_is_known_as_soon_as_the_registry_knows_it() {
    let (one, two) = (adder().await, adder().await);
    let registry = FakeRegistry::waiting().await;
    registry.list(&[one.address]);
    let client = Client::through_registry(&registry.url(), seldom()).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    for addresses in [vec![one.address, two.address], vec![two.address], vec![one.address]] {
        eventually("the registry waits", || registry.requests().last().unwrap().contains("wait="))
            .await;
        registry.list(&addresses);
        let ports = || client.instances().iter().map(|it| it.instance.port).collect::<Vec<_>>();
        let listed: Vec<_> = addresses.iter().map(SocketAddr::port).collect();
        eventually("the new list is known", || ports() == listed).await;
    }
    assert!(registry.looks() < 12, "{:#?}", registry.requests());
}

#[tokio::test]
async fn a_registry_that_waits_is_asked_once_an_interval() {
    let registry = FakeRegistry::waiting().await;
    let peer = adder().await;
    registry.list(&[peer.address]);
    let refresh_interval = Duration::from_millis(200);
    let options = ClientOptions { refresh_interval, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let began = Instant::now();
    eventually("it was asked five times", || registry.looks() > 5).await;
    assert!(began.elapsed() > refresh_interval * 3, "{:?}", began.elapsed());
    assert!(client.list_status().unwrap().is_live());
}

#[tokio::test]
async fn a_registry_that_replies_at_once_to_a_long_poll_is_not_asked_in_a_loop() {
    let registry = FakeRegistry::new_style().await;
    let peer = adder().await;
    registry.list(&[peer.address]);
    let refresh_interval = Duration::from_millis(200);
    let options = ClientOptions { refresh_interval, ..options() };
    let _client = Client::through_registry(&registry.url(), options).unwrap();
    let began = Instant::now();
    eventually("it was asked eight times", || registry.looks() >= 8).await;
    // The first and the second follow each other.
    assert!(began.elapsed() > refresh_interval * 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_registry_whose_list_never_stays_the_same_is_not_asked_in_a_loop() {
    let registry = FakeRegistry::waiting().await;
    let peer = adder().await;
    let refresh_interval = Duration::from_millis(200);
    let options = ClientOptions { refresh_interval, ..options() };
    let _client = Client::through_registry(&registry.url(), options).unwrap();
    let began = Instant::now();
    let always = async {
        loop {
            registry.list(&[peer.address]);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let asked = eventually("it was asked 20 times", || registry.looks() >= 20);
    tokio::select! {
        () = always => {}
        () = asked => {}
    }
    assert!(began.elapsed() > refresh_interval * 8, "{:?}", began.elapsed());
}

#[tokio::test]
async fn when_everybody_known_refuses_the_registry_is_asked_who_took_their_place() {
    for count in [1, 3, 5] {
        for registry in [FakeRegistry::old_style().await, FakeRegistry::waiting().await] {
            let dead: Vec<_> = (0..count).map(|_| ReservedPort::new()).collect();
            let dead: Vec<_> = dead.iter().map(ReservedPort::address).collect();
            registry.list(&dead);
            let client = Client::through_registry(&registry.url(), seldom()).unwrap();
            eventually("the dead are known", || client.instances().len() == count).await;
            let new = adder().await;
            registry.list(&[new.address]);
            assert_eq!(sum(&client).await.unwrap(), 3, "{count}");
        }
    }
}

#[tokio::test]
async fn when_everybody_known_ends_the_registry_is_asked_who_took_their_place() {
    let ending = extended(|request| Do::Write(failure(request, -32003))).await;
    let registry = FakeRegistry::old_style().await;
    registry.list(&[ending.address]);
    let client = Client::through_registry(&registry.url(), seldom()).unwrap();
    eventually("it is known", || client.instances().len() == 1).await;
    let new = adder().await;
    registry.list(&[new.address]);
    assert_eq!(sum(&client).await.unwrap(), 3);
}

#[tokio::test]
async fn a_stream_also_goes_to_who_took_the_place_of_everybody_known() {
    let dead = ReservedPort::new();
    let registry = FakeRegistry::old_style().await;
    registry.list(&[dead.address()]);
    let client = Client::through_registry(&registry.url(), seldom()).unwrap();
    eventually("it is known", || client.instances().len() == 1).await;
    let new = adder().await;
    registry.list(&[new.address]);
    let mut items = client.stream("add", (1, 2)).await.unwrap();
    assert_eq!(items.next().await.unwrap().unwrap().value.get(), "3");
}

#[tokio::test]
async fn when_nobody_took_their_place_a_call_fails_and_the_registry_is_not_asked_for_each() {
    let dead = ReservedPort::new();
    let registry = FakeRegistry::old_style().await;
    registry.list(&[dead.address()]);
    let client = Client::through_registry(&registry.url(), seldom()).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let calls = (0..100).map(|_| sum(&client));
        for result in futures_util::future::join_all(calls).await {
            let error = result.unwrap_err();
            assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
        }
    }
    let most = 10 + 2 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    assert!(registry.looks() <= most, "{} times", registry.looks());
}

#[tokio::test]
async fn an_instance_that_is_ejected_has_the_registry_asked_at_once() {
    let (living, dead) = (adder().await, ReservedPort::new());
    let registry = FakeRegistry::old_style().await;
    registry.list(&[living.address, dead.address()]);
    let client = Client::through_registry(&registry.url(), seldom()).unwrap();
    eventually("both are known", || client.instances().len() == 2).await;
    let new = adder().await;
    registry.list_json(&json!([entry(living.address, json!({})), entry(new.address, json!({}))]));
    while !client.instances().iter().any(|it| it.instance.port == new.address.port()) {
        assert_eq!(sum(&client).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_call_waits_for_a_registry_that_is_away_within_its_own_time() {
    let place = ReservedPort::new();
    let client = Client::through_registry(&place.url(), options()).unwrap();
    let calls = futures_util::future::join_all((0..10).map(|_| sum(&client)));
    let starts = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let peer = adder().await;
        let registry = FakeRegistry::start(&place.address().to_string(), true).await;
        registry.list(&[peer.address]);
        (registry, peer)
    };
    let (results, _running) = tokio::join!(calls, starts);
    for result in results {
        assert_eq!(result.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_registry_that_stays_away_is_unreachable_when_the_time_of_the_call_is_over() {
    let timeout = Duration::from_millis(300);
    let options = ClientOptions { timeout, ..options() };
    let (refusing, hanging) = (ReservedPort::new(), FakeRegistry::new_style().await);
    hanging.hang();
    let failing = FakeRegistry::new_style().await;
    failing.reply("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    for (url, kind, said) in [
        (refusing.url(), ErrorKind::Unreachable, "; check that it is running"),
        (hanging.url(), ErrorKind::Unreachable, "no reply within 300ms; check that it is running"),
        (failing.url(), ErrorKind::Remote, "replied 503"),
    ] {
        let client = Client::through_registry(&url, options.clone()).unwrap();
        for error in [sum(&client).await.unwrap_err(), client.catalog().await.unwrap_err()] {
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.to_string().contains(&url), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            assert_eq!(error.kind(), kind, "{error}");
        }
        let began = Instant::now();
        sum(&client).await.unwrap_err();
        assert!(began.elapsed() >= timeout, "it did not wait");
    }
}
