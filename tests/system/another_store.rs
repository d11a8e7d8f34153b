//! A registry moves from redb to etcd and back, at one address, as docs/registry.md says: nobody is lost.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::{Daemon, path};
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::installed::has;
use rpc_tests::queries::{find_all, http, lists};
use rpc_tests::reserved_port::ReservedPort;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use super::registry_peers::get;
use super::shared_registries::{is_ready, registry, registry_with, server};

/// Runs the script of the page; what it says, if it succeeds.
async fn copy(from: SocketAddr, to: SocketAddr) -> Result<String, String> {
    const PAGE: &str = include_str!("../../docs/registry.md");
    let (_, script) = PAGE.split_once("```sh\n   set -euo pipefail\n").expect("the page has it");
    let script = script.split_once("```").unwrap().0;
    let old = script.replace("http://127.0.0.1:9999", &format!("http://{from}"));
    let script = old.replace("http://127.0.0.1:9998", &format!("http://{to}"));
    let mut bash = Command::new("bash");
    bash.args(["-c", &format!("set -euo pipefail\n{script}")]);
    let output = tokio::time::timeout(SOON, bash.output()).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
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
    if !(has("curl", "curl") && has("jq", "jq")) {
        return;
    }
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
    assert!(copy(at, ReservedPort::new().address()).await.unwrap_err().contains("curl"));
    let copied = copy(at, helper_at).await;
    assert_eq!(copied.unwrap(), "copied: 1 overrides, 3 instances");
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
    copy(at, helper_at).await.unwrap();
    assert_eq!(find_all(helper_at).await.len(), 2);
    stop(helper).await;
    stop(new).await;
    let (_last, _) = redb(port.number(), &folder).await;
    assert_eq!(find_all(at).await, called, "listed before any heartbeat");
    has_all(at, &called, three).await;

    // Once more to etcd: the old prefix still has the drain, which was taken back since.
    let (status, _) = http(at, &drain.replace("PUT", "DELETE"), b"").await;
    assert_eq!(status, 200);
    let (helper, helper_at) = registry(&cluster, 0).await;
    is_ready(helper_at).await;
    let refused = copy(at, helper_at).await.unwrap_err();
    assert!(refused.contains("has overrides: give it a new prefix"), "{refused}");
    stop(helper).await;
    let (_helper, helper_at) = registry_with(&cluster, 0, &[("ETCD_PREFIX", "second/")]).await;
    is_ready(helper_at).await;
    assert_eq!(copy(at, helper_at).await.unwrap(), "copied: 0 overrides, 3 instances");
    assert_eq!(find_all(helper_at).await.len(), 3);
}
