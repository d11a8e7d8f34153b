//! A registry moves from redb to etcd and back, at one address, as docs/registry.md says: nobody is lost.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::{Daemon, path};
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::{find_all, http, lists};
use rpc_tests::reserved_port::ReservedPort;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::registry_peers::get;
use super::shared_registries::{is_ready, registry, server};

/// Makes a registry know what another one knows, overrides first: whom nobody may call is never listed.
async fn copy(from: SocketAddr, to: SocketAddr) {
    for one in get(from, "/v1/overrides").await.as_array().unwrap() {
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let (proto, host) = (text(&one["protocol"]), text(&one["host"]));
        let path = format!("PUT /v1/overrides/{proto}/{host}/{}", one["port"]);
        let duration = one["for_ms"].as_u64().map(|ms| format!("{ms}ms"));
        let body = json!({"state": one["state"], "reason": one["reason"], "by": one["by"], "for": duration});
        let (status, reply) = http(to, &path, body.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{reply}");
    }
    for one in get(from, "/v1/instances").await.as_array().unwrap() {
        let path = "POST /myRegistry/register?proto=json";
        let (status, reply) = http(to, path, one.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{reply}");
    }
}

async fn stop(mut registry: Daemon) {
    registry.signal(Signal::TERM);
    registry.exits_within(SOON).await;
}

async fn redb(port: u16, folder: &str) -> (Daemon, SocketAddr) {
    let settings = [("REGISTRY_SERVER_TTL", "3s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "500ms")];
    Daemon::registry_with(&settings, port, &["--data-dir", folder]).await
}

/// The servers that may be called are listed, and the other one is still drained.
async fn has_all(at: SocketAddr, called: &[SocketAddr], drained: SocketAddr) {
    lists(at, called).await;
    let overrides = get(at, "/v1/overrides").await;
    assert_eq!(
        (&overrides[0]["port"], &overrides[0]["reason"]),
        (&json!(drained.port()), &json!("x"))
    );
    eventually("all of them send their heartbeats here", async || {
        let records = get(at, "/v1/instances?owners=1").await;
        let records = records.as_array().unwrap();
        let is_heard = |it: &Value| it["heartbeats"].as_u64().is_some_and(|count| count > 2);
        records.len() == 3 && records.iter().all(is_heard)
    })
    .await;
    assert_eq!(find_all(at).await.len(), called.len());
}

#[tokio::test]
async fn a_registry_moves_from_redb_to_etcd_and_back_and_nobody_is_lost() {
    let Some(cluster) = Cluster::start().await else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let port = ReservedPort::new();
    let (old, at) = redb(port.number(), path(folders[0].path())).await;
    let (_one, one) = server(&[at]).await;
    let (_two, two) = server(&[at]).await;
    let (_three, three) = server(&[at]).await;
    let mut called = vec![one, two];
    called.sort();
    let drain = format!("PUT /v1/overrides/json/127.0.0.1/{}", three.port());
    http(at, &drain, br#"{"state":"draining","reason":"x","for":"1h"}"#).await;
    has_all(at, &called, three).await;

    // Another one beside it, then one in its place.
    let (helper, helper_at) = registry(&cluster, 0).await;
    is_ready(helper_at).await;
    copy(at, helper_at).await;
    assert_eq!(find_all(helper_at).await.len(), 2);
    stop(old).await;
    let (new, _) = registry(&cluster, port.number()).await;
    is_ready(at).await;
    assert_eq!(find_all(at).await, called, "listed before any heartbeat");
    stop(helper).await;
    // Longer than a TTL.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(find_all(at).await, called);
    has_all(at, &called, three).await;

    // And back.
    let folder = path(folders[1].path()).to_owned();
    let (helper, helper_at) = redb(0, &folder).await;
    copy(at, helper_at).await;
    assert_eq!(find_all(helper_at).await.len(), 2);
    stop(helper).await;
    stop(new).await;
    let (_last, _) = redb(port.number(), &folder).await;
    assert_eq!(find_all(at).await, called, "listed before any heartbeat");
    has_all(at, &called, three).await;
}
