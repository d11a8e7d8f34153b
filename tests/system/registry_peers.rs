//! What people see of registries that share an etcd cluster: whose an instance is, who the others are, and
//! whether they are cut off.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::eventually_within;
use rpc_tests::http_reply::HttpReply;
use rpc_tests::queries::{http, lists};
use rpc_tests::raw::Raw;
use rustix::process::Signal;
use serde_json::Value;

use super::shared_registries::{is_ready, registry, server};

pub(super) async fn reply(registry: SocketAddr, path: &str) -> HttpReply {
    reply_to(registry, &format!("GET {path}")).await
}

pub(super) async fn reply_to(registry: SocketAddr, line: &str) -> HttpReply {
    let mut raw = Raw::connect(registry).await;
    let head = format!("{line} HTTP/1.1\r\nHost: {registry}\r\nConnection: close\r\n\r\n");
    raw.send(head).await;
    HttpReply::read(&raw.rest().await).unwrap()
}

pub(super) async fn get(registry: SocketAddr, path: &str) -> Value {
    let HttpReply { status, body, .. } = reply(registry, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

/// The record of an instance.
async fn record(registry: SocketAddr, query: &str, of: SocketAddr) -> Option<Value> {
    let records = get(registry, &format!("/v1/instances{query}")).await;
    records.as_array().unwrap().iter().find(|record| record["port"] == of.port()).cloned()
}

async fn sharing(registry: SocketAddr) -> Value {
    get(registry, "/readyz").await["sharing"].take()
}

/// Two registries that know each other, a server of each, and that both list both.
struct Scene {
    cluster: Cluster,
    a: SocketAddr,
    b: SocketAddr,
    of_a: SocketAddr,
    of_b: SocketAddr,
    b_process: Daemon,
    others: [Daemon; 3],
}

impl Scene {
    async fn start() -> Option<Self> {
        let cluster = Cluster::start().await?;
        let (a_process, a) = registry(&cluster, 0).await;
        let (b_process, b) = registry(&cluster, 0).await;
        let (one, of_a) = server(&[a]).await;
        let (two, of_b) = server(&[b, a]).await;
        for registry in [a, b] {
            lists(registry, &[of_a, of_b]).await;
            is_ready(registry).await;
        }
        Some(Self { cluster, a, b, of_a, of_b, b_process, others: [a_process, one, two] })
    }
}

#[tokio::test]
async fn each_instance_names_its_owner_and_has_an_age_where_its_heartbeats_come() {
    let Some(Scene { a, b, of_a, of_b, b_process, cluster: _cluster, others: _others }) =
        Scene::start().await
    else {
        return;
    };
    let id_of = async |registry| sharing(registry).await["registry"]["id"].clone();
    let (id_a, id_b) = (id_of(a).await, id_of(b).await);
    assert_ne!(id_a, id_b);
    for (at, id, address, other) in [(a, &id_a, of_a, of_b), (b, &id_b, of_b, of_a)] {
        let own = record(at, "?owners=1", address).await.unwrap();
        assert_eq!(&own["owner"]["id"], id);
        assert_eq!(own["owner"]["address"], at.to_string());
        assert!(own["age_ms"].as_u64().unwrap() < 3000 && own["heartbeats"].is_u64(), "{own}");
        let foreign = record(at, "?owners=1", other).await.unwrap();
        assert_ne!(&foreign["owner"]["id"], id);
        assert!(foreign["owner"]["address"].is_string(), "{foreign}");
        assert!(foreign.get("age_ms").is_none() && foreign.get("heartbeats").is_none());
        // Earlier readers skip a record without an age.
        let known = record(at, "", other).await.unwrap();
        assert!(known["age_ms"].as_u64().unwrap() < 3000, "{known}");

        let local = get(at, "/v1/instances?scope=local").await;
        let ports: Vec<_> = local.as_array().unwrap().iter().map(|it| &it["port"]).collect();
        assert_eq!(ports, [address.port()]);
        let local = get(at, "/myRegistry/findAllInstances?proto=json&scope=local").await;
        assert_eq!(
            (local.as_array().unwrap().len(), &local[0]["port"]),
            (1, &address.port().into())
        );
        let refused = reply(at, "/v1/instances?scope=all").await;
        assert!(refused.status == 400 && refused.body.contains("query scope"), "{refused:?}");
        let head = reply(at, "/v1/instances").await.headers;
        assert_eq!(head.get("rpcd-registry").map(String::as_str), id.as_str());
    }
    let said = sharing(a).await;
    assert_eq!((&said["owned"], &said["foreign"]), (&1.into(), &1.into()));
    assert_eq!(said["peers"][0], sharing(b).await["registry"]);
    assert_eq!(said["peers"].as_array().unwrap().len(), 1);
    assert!(said.get("cut_off_ms").is_none() && said["state"] == "connected", "{said}");
    let (_, metrics) = http(a, "GET /metrics", b"").await;
    for line in
        ["rpc_registry_peers 1", "rpc_registry_instances_foreign 1", "rpc_registry_etcd_cut_off 0"]
    {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    let (_, text, _) = run_rpcd(["instances", "--registry", &format!("http://{a}")]).await;
    let row = |of: SocketAddr| text.lines().find(|row| row.starts_with(&of.to_string())).unwrap();
    assert!(row(of_a).contains(" ago (TTL 3s)  heartbeats "), "{text}");
    assert!(row(of_b).contains(&format!("  heartbeat at {b} (TTL 3s)  heartbeats -  ")), "{text}");

    // Its heartbeats come to the other one, which says so.
    b_process.signal(Signal::KILL);
    eventually_within(
        Duration::from_secs(15),
        "the other one owns it, and has heard it",
        async || {
            let known = record(a, "?owners=1&scope=local", of_b).await;
            known.is_some_and(|it| it["owner"]["id"] == id_a && it["age_ms"].is_u64())
        },
    )
    .await;
    eventually_within(Duration::from_secs(15), "it knows no other registry", async || {
        let said = sharing(a).await;
        said["peers"] == serde_json::json!([]) && said["owned"] == 2 && said["foreign"] == 0
    })
    .await;
}

#[tokio::test]
async fn whoever_watches_sees_an_instance_move_to_another_registry() {
    let Some(Scene { a, b, of_b, b_process, cluster: _cluster, others: _others, .. }) =
        Scene::start().await
    else {
        return;
    };
    let all = Daemon::rpcd(["watch", "--registry", &format!("http://{a}"), "--json"]);
    let mut local = Raw::connect(a).await;
    local.send("GET /v1/watch?proto=json&scope=local HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let from = format!("\"address\":\"{b}\"");
    all.line("whose it was", |line| line.contains(&from).then_some(())).await;
    b_process.signal(Signal::KILL);
    let to = format!("\"address\":\"{a}\"");
    let port = format!("\"port\":{}", of_b.port());
    while !local.line().await.unwrap().starts_with("event: registered") {}
    while !local.line().await.unwrap().contains(&port) {}
    all.line("whose it is", |line| {
        (line.contains("updated") && line.contains(&to) && line.contains(&port)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_registry_that_is_cut_off_from_etcd_says_since_when() {
    let Some(mut scene) = Scene::start().await else { return };
    for at in 0..2 {
        scene.cluster.kill(at).await;
    }
    let (a, b) = (scene.a, scene.b);
    eventually_within(Duration::from_secs(20), "it says that it is cut off", async || {
        sharing(a).await["cut_off_ms"].as_u64().is_some_and(|ms| ms > 1000)
    })
    .await;
    eventually_within(Duration::from_secs(20), "it says why", async || {
        sharing(a).await["state"] == "no_quorum"
    })
    .await;
    let said = sharing(a).await;
    assert_eq!(said["peers"].as_array().unwrap().len(), 1, "as last known: {said}");
    let foreign = record(a, "?owners=1", scene.of_b).await.unwrap();
    assert_eq!(foreign["owner"]["address"], b.to_string());
    // Earlier readers see that nothing was heard.
    let known = record(a, "", scene.of_b).await.unwrap();
    assert!(known["age_ms"].as_u64().unwrap() > 1000, "{known}");
    let (_, metrics) = http(a, "GET /metrics", b"").await;
    assert!(metrics.contains("rpc_registry_etcd_cut_off 1"), "{metrics}");
    let (code, _, said) = run_rpcd(["instances", "--registry", &format!("http://{a}")]).await;
    assert!(code == 0 && said.contains("cut off from etcd for"), "{said}");
    assert!(said.contains("etcd has no quorum: ") && said.contains("more than half"), "{said}");
    scene.cluster.restart(0);
    scene.cluster.restart(1);
    eventually_within(Duration::from_secs(40), "it is connected again", async || {
        sharing(a).await.get("cut_off_ms").is_none()
    })
    .await;
}
