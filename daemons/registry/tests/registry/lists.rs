//! Prepared lists: tags, 304, long-polls.

use std::time::{Duration, Instant};

use rpc_registry::RegistryOptions;

use crate::harness::{Reply, Running, get, instance, within};

const FIND_ALL: &str = "/myRegistry/findAllInstances?proto=json";

async fn find(registry: &Running, known: &str, wait: &str) -> Reply {
    let target = format!("{FIND_ALL}{wait}");
    registry.ask(&get(&target, &format!("If-None-Match: {known}\r\n"))).await
}

fn tag(reply: &Reply) -> String {
    reply.header("etag").expect("an ETag").to_owned()
}

#[tokio::test]
async fn an_unchanged_list_gets_304_and_a_changed_one_is_sent() {
    let registry = Running::default().await;
    let empty = tag(&registry.get(FIND_ALL).await);
    assert!(empty.starts_with('"') && empty.ends_with(".0\""), "{empty}");
    registry.register(1).await;
    let reply = find(&registry, &empty, "").await;
    let one = tag(&reply);
    assert_eq!((reply.status, reply.json().as_array().unwrap().len()), (200, 1));

    registry.register(1).await;
    for known in [one.clone(), format!("W/{one}"), format!("\"x\", {one}"), "*".to_owned()] {
        let reply = find(&registry, &known, "").await;
        assert_eq!((reply.status, tag(&reply)), (304, one.clone()), "{known}");
    }
    for port in [1, 2] {
        registry.post("/myRegistry/unregister", &instance(port)).await;
    }
    assert_eq!(find(&registry, &one, "").await.body, "[]");
    assert_eq!(registry.metric("rpc_registry_lists_unchanged_total").await, 4.0);
}

#[tokio::test]
async fn a_change_of_another_protocol_changes_no_tag() {
    let registry = Running::default().await;
    registry.register(1).await;
    let known = tag(&registry.get(FIND_ALL).await);
    registry.post("/myRegistry/register", r#"{"protocol":"x","host":"h","port":1}"#).await;
    assert_eq!(find(&registry, &known, "").await.status, 304);
}

fn of_service(port: u16, service: &str) -> String {
    let parameters = format!(r#"{{"service":"{service}"}}"#);
    format!(r#"{{"protocol":"json","host":"h","port":{port},"parameters":{parameters}}}"#)
}

#[tokio::test]
async fn a_list_can_be_of_one_service_and_changes_only_with_it() {
    let registry = Running::default().await;
    registry.register(1).await;
    for (port, service) in [(2, "orders"), (3, "prices")] {
        registry.post("/myRegistry/register", &of_service(port, service)).await;
    }
    let target = format!("{FIND_ALL}&service=orders");
    let reply = registry.get(&target).await;
    let ports = |reply: &Reply| -> Vec<u64> {
        let list = reply.json();
        list.as_array().unwrap().iter().map(|one| one["port"].as_u64().unwrap()).collect()
    };
    assert_eq!(ports(&reply), [2]);
    assert_eq!(ports(&registry.get("/v1/instances?service=prices").await), [3]);
    let tag = tag(&reply);
    registry.post("/myRegistry/register", &of_service(4, "prices")).await;
    let again = registry.ask(&get(&target, &format!("If-None-Match: {tag}\r\n"))).await;
    assert_eq!(again.status, 304, "another service changed");
    assert_eq!(registry.get(&format!("{FIND_ALL}&service=nobody")).await.body, "[]");
    for route in [FIND_ALL, "/v1/instances?x", "/v1/watch?x"] {
        let refused = registry.get(&format!("{route}&service=no%20name")).await;
        assert_eq!(refused.status, 400, "{route}");
        assert!(refused.body.contains("query service: must be 1 to 64"), "{}", refused.body);
    }
}

#[tokio::test]
async fn two_registries_never_share_a_tag() {
    let (first, second) = (Running::default().await, Running::default().await);
    assert_ne!(tag(&first.get(FIND_ALL).await), tag(&second.get(FIND_ALL).await));
}

#[tokio::test]
async fn a_long_poll_gets_its_reply_as_soon_as_its_list_changes() {
    let registry = Running::default().await;
    let known = tag(&registry.get(FIND_ALL).await);
    let mut poll = registry.peer().await;
    let target = format!("{FIND_ALL}&wait=30s");
    poll.send(&get(&target, &format!("If-None-Match: {known}\r\n"))).await;
    let start = Instant::now();
    registry.post("/myRegistry/register", r#"{"protocol":"x","host":"h","port":1}"#).await;
    registry.register(8089).await;
    let reply = poll.reply().await;
    assert_eq!((reply.status, reply.json()[0]["port"].as_u64()), (200, Some(8089)));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_long_poll_ends_with_304_after_its_time_or_the_longest_allowed() {
    let max_wait = Duration::from_millis(200);
    let registry = Running::start(RegistryOptions { max_wait, ..Default::default() }).await;
    let known = tag(&registry.get(FIND_ALL).await);
    for wait in ["&wait=100ms", "&wait=9999999s"] {
        let start = Instant::now();
        assert_eq!(find(&registry, &known, wait).await.status, 304);
        assert!((100..5000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_poll_without_an_etag_does_not_wait() {
    let registry = Running::default().await;
    let target = format!("{FIND_ALL}&wait=30s");
    let reply = tokio::time::timeout(Duration::from_secs(5), registry.get(&target)).await;
    assert_eq!(reply.expect("the reply is late").status, 200);
}

#[tokio::test]
async fn a_list_of_a_thousand_is_built_once_for_many_readers() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    for port in 1..=1000 {
        let body = instance(port);
        peer.send(&crate::harness::post("/myRegistry/register", "", &body)).await;
        assert_eq!(peer.reply().await.status, 200);
    }
    let reads = (0..50).map(|_| registry.get(FIND_ALL));
    for reply in within(futures_util::future::join_all(reads)).await {
        assert_eq!(reply.json().as_array().unwrap().len(), 1000);
    }
    assert_eq!(registry.metric("rpc_registry_lists_built_total").await, 1.0);
}

#[tokio::test]
async fn a_registry_that_starts_with_nothing_says_so_with_every_list() {
    let warming = std::time::Duration::from_secs(60);
    let registry = Running::start(RegistryOptions { warming, ..RegistryOptions::default() }).await;
    for target in [FIND_ALL, "/v1/instances", "/v1/watch"] {
        let mut peer = registry.peer().await;
        peer.send(&get(target, "")).await;
        let head = peer.head().await;
        assert!(["59", "60"].map(Some).contains(&head.header("rpcd-warming")), "{target}");
    }
    registry.end().await;
}

#[tokio::test]
async fn the_reply_to_a_registration_says_how_long_it_counts() {
    for (ttl, said) in [(10_000, "10"), (1_500, "1.5")] {
        let ttl = Duration::from_millis(ttl);
        let registry = Running::start(RegistryOptions { ttl, ..RegistryOptions::default() }).await;
        assert_eq!(registry.register(1).await.header("rpcd-ttl"), Some(said));
    }
}
