//! Registries that do not hear of each other for a while, since one is cut off from etcd: nobody who lives is removed,
//! and what was said last holds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::eventually;
use rpc_tests::proxy::Proxy;
use rpc_tests::queries::{find_all, http, lists};
use serde_json::json;

use super::shared_registries::{is_ready, readiness, registry_with, server};

async fn is_cut_off(registry: SocketAddr) {
    eventually("it is cut off", async || !readiness(registry).await.contains("\"ready\"")).await;
}

/// Registers an instance without incarnation, as an older server does.
async fn registers(registry: SocketAddr, version: &str) {
    let instance = json!({
        "protocol": "json", "host": "127.0.0.1", "port": 9, "status": true,
        "parameters": {"version": version}
    });
    let body = instance.to_string();
    let (status, reply) =
        http(registry, "POST /myRegistry/register?proto=json", body.as_bytes()).await;
    assert_eq!(status, 200, "{reply}");
}

async fn lists_version(registry: SocketAddr, version: &str) -> bool {
    let (_, list) = http(registry, "GET /myRegistry/findAllInstances?proto=json", b"").await;
    list.contains(&format!(r#""version":"{version}""#))
}

#[tokio::test]
async fn what_was_registered_last_holds_whichever_registry_was_told() {
    let Some(cluster) = Cluster::start().await else { return };
    let etcd = Proxy::start(cluster.address(0)).await;
    let long = ("REGISTRY_SERVER_TTL", "60s");
    let (_a, a_at) = registry_with(&cluster, 0, &[long]).await;
    let (_b, b_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &etcd.url()), long]).await;
    is_ready(a_at).await;
    is_ready(b_at).await;
    registers(a_at, "0").await;
    for (order, last) in [([b_at, a_at], "2"), ([a_at, b_at], "4")] {
        etcd.cut();
        is_cut_off(b_at).await;
        let before = if last == "2" { "1" } else { "3" };
        registers(order[0], before).await;
        // Of what two registries are told within a millisecond neither is later.
        tokio::time::sleep(Duration::from_millis(2)).await;
        registers(order[1], last).await;
        etcd.restore();
        is_ready(b_at).await;
        for registry in [a_at, b_at] {
            eventually("both list what was said last", async || {
                lists_version(registry, last).await
            })
            .await;
        }
    }
}

#[tokio::test]
async fn who_sends_heartbeats_to_a_registry_that_is_cut_off_stays_listed_by_the_others() {
    let Some(cluster) = Cluster::start().await else { return };
    let window = ("REGISTRY_SERVER_SUSPECT_WINDOW", "2s");
    let etcd = Proxy::start(cluster.address(0)).await;
    let (_a, a_at) = registry_with(&cluster, 0, &[window]).await;
    let (_b, b_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &etcd.url()), window]).await;
    is_ready(a_at).await;
    is_ready(b_at).await;
    let way = Proxy::start(a_at).await;
    let (_one, one) = server(&[way.address(), b_at]).await;
    lists(a_at, &[one]).await;
    lists(b_at, &[one]).await;
    etcd.cut();
    is_cut_off(b_at).await;
    // Its heartbeats go to the one that is cut off, which cannot say so.
    way.cut();
    let apart = Instant::now();
    while apart.elapsed() < Duration::from_secs(9) {
        assert_eq!(find_all(a_at).await, [one], "after {:?}", apart.elapsed());
        assert_eq!(find_all(b_at).await, [one], "after {:?}", apart.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    etcd.restore();
    is_ready(b_at).await;
    eventually("it is known where its heartbeats are", async || {
        let (_, list) = http(a_at, "GET /v1/instances", b"").await;
        list.contains(&b_at.to_string()) && !list.contains("suspect")
    })
    .await;
}
