//! Registries that share an etcd cluster: each lists the instances of all, whatever ends.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rpc_tests::daemon::Daemon;
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{SOON, eventually, eventually_within};
use rpc_tests::proxy::Proxy;
use rpc_tests::queries::{find_all, http, lists};
use rustix::process::Signal;

use super::registry_peers::reply;

pub(super) async fn registry(cluster: &Cluster, port: u16) -> (Daemon, SocketAddr) {
    registry_with(cluster, port, &[]).await
}

/// Short times, so that the tests need not wait for long ones.
pub(crate) async fn registry_with(
    cluster: &Cluster,
    port: u16,
    further: &[(&str, &str)],
) -> (Daemon, SocketAddr) {
    let endpoints = cluster.endpoints();
    let settings = [
        ("ETCD_ENDPOINTS", endpoints.as_str()),
        ("ETCD_LEASE_TTL", "2s"),
        ("ETCD_REQUEST_TIMEOUT", "1s"),
        ("REGISTRY_SERVER_TTL", "3s"),
        ("REGISTRY_SERVER_CHECK_INTERVAL", "500ms"),
        ("REGISTRY_SERVER_WARMING", "0s"),
    ];
    let settings = [&settings, further].concat();
    Daemon::registry_with(&settings, port, &["--store", "etcd"]).await
}

/// A server that sends its heartbeats to the first of these registries.
pub(super) async fn server(registries: &[SocketAddr]) -> (Daemon, SocketAddr) {
    let (first, others) = registries.split_first().unwrap();
    let also: Vec<_> = others.iter().map(ToString::to_string).collect();
    let also = also.join(",");
    let settings = [("SERVER_HEARTBEAT_INTERVAL", "500ms"), ("REGISTRY_ALSO", also.as_str())];
    Daemon::server_with(&settings, &["--registry", &format!("http://{first}")]).await
}

pub(crate) async fn readiness(registry: SocketAddr) -> String {
    http(registry, "GET /readyz", b"").await.1
}

pub(super) async fn is_ready(registry: SocketAddr) {
    eventually("it has read the cluster", async || readiness(registry).await.contains("\"ready\""))
        .await;
}

#[tokio::test]
async fn each_registry_lists_the_instances_of_all() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (b, b_at) = registry(&cluster, 0).await;
    let (mut one, one_at) = server(&[a_at]).await;
    let (_two, two_at) = server(&[b_at]).await;
    lists(a_at, &[one_at, two_at]).await;
    lists(b_at, &[one_at, two_at]).await;
    let logged = |at: SocketAddr| {
        let (what, at) = ("registered", at.to_string());
        b.stderr().lines().iter().any(|line| line.contains(what) && line.contains(&at))
    };
    assert!(logged(two_at) && !logged(one_at), "each registry logs who registers there");
    // Longer than a TTL: only one of them gets its heartbeats, and it stays listed by both.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(find_all(a_at).await.len(), 2);
        assert_eq!(find_all(b_at).await.len(), 2);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    one.signal(Signal::TERM);
    one.exits_within(Duration::from_secs(20)).await;
    lists(a_at, &[two_at]).await;
    lists(b_at, &[two_at]).await;
}

#[tokio::test]
async fn when_a_registry_is_killed_its_servers_stay_listed_and_those_that_died_with_it_go() {
    let Some(cluster) = Cluster::start().await else { return };
    let (a, a_at) = registry(&cluster, 0).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    let (_alive, alive) = server(&[a_at, b_at]).await;
    let (dead, dead_at) = server(&[a_at, b_at]).await;
    lists(b_at, &[alive, dead_at]).await;
    a.signal(Signal::KILL);
    dead.signal(Signal::KILL);
    // The lease, a second, and a probe; a machine that is loaded takes longer.
    eventually_within(Duration::from_secs(12), "the dead one is gone", async || {
        let listed = find_all(b_at).await;
        assert!(listed.contains(&alive), "it never leaves the list: {listed:?}");
        !listed.contains(&dead_at)
    })
    .await;
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(find_all(b_at).await, [alive]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn without_etcd_registries_serve_on_and_with_it_nothing_that_was_acknowledged_is_lost() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    lists(b_at, &[one]).await;
    // One member is not missed.
    cluster.kill(0).await;
    let (_two, two) = server(&[b_at]).await;
    lists(a_at, &[one, two]).await;
    is_ready(a_at).await;
    // Without two there is no quorum.
    cluster.kill(1).await;
    eventually("they say so", async || {
        readiness(a_at).await.contains("degraded") && readiness(b_at).await.contains("degraded")
    })
    .await;
    let (_three, three) = server(&[a_at]).await;
    lists(a_at, &[one, two, three]).await;
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(find_all(a_at).await.len(), 3);
        assert_eq!(find_all(b_at).await.len(), 2, "it keeps what it knew");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.restart(0);
    cluster.restart(1);
    cluster.is_ready(0).await;
    eventually_within(Duration::from_secs(30), "they are together again", async || {
        let (a, b) = (find_all(a_at).await, find_all(b_at).await);
        assert!(a.len() == 3 && b.len() >= 2, "nobody left: {a:?} {b:?}");
        b.len() == 3
    })
    .await;
    is_ready(a_at).await;
    is_ready(b_at).await;
}

#[tokio::test]
async fn after_a_restart_of_everything_all_are_listed_and_a_registry_that_was_paused_catches_up() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let (a, a_at) = registry(&cluster, 0).await;
    let (b, b_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    let (_two, two) = server(&[b_at]).await;
    lists(a_at, &[one, two]).await;
    // Its lease ends; the other one takes over its servers, and gives them back.
    a.signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(find_all(b_at).await.len(), 2);
    a.signal(Signal::CONT);
    is_ready(a_at).await;
    lists(a_at, &[one, two]).await;
    for at in 0..3 {
        cluster.kill(at).await;
    }
    drop((a, b));
    (0..3).for_each(|at| cluster.restart(at));
    for at in 0..3 {
        cluster.is_ready(at).await;
    }
    let (_a, a_at) = registry(&cluster, a_at.port()).await;
    is_ready(a_at).await;
    assert_eq!(find_all(a_at).await.len(), 2, "listed before any heartbeat");
    let (_b, b_at) = registry(&cluster, b_at.port()).await;
    lists(a_at, &[one, two]).await;
    lists(b_at, &[one, two]).await;
}

#[tokio::test]
async fn registries_that_are_back_before_etcd_have_what_was_durable_when_it_is() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let (a, a_at) = registry(&cluster, 0).await;
    let (b, b_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    let (_two, two) = server(&[b_at]).await;
    lists(a_at, &[one, two]).await;
    // Nobody repeats that.
    let drains = format!("PUT /v1/overrides/json/{}/{}", one.ip(), one.port());
    let (status, reply) = http(a_at, &drains, br#"{"state":"draining"}"#).await;
    assert_eq!(status, 200, "{reply}");
    lists(b_at, &[two]).await;
    for at in 0..3 {
        cluster.kill(at).await;
    }
    drop((a, b));
    let (_a, a_at) = registry(&cluster, a_at.port()).await;
    let (_b, b_at) = registry(&cluster, b_at.port()).await;
    // By their heartbeats.
    lists(a_at, &[one]).await;
    lists(b_at, &[two]).await;
    (0..3).for_each(|at| cluster.restart(at));
    for registry in [a_at, b_at] {
        is_ready(registry).await;
        lists(registry, &[two]).await;
        let (_, records) = http(registry, "GET /v1/instances", b"").await;
        assert!(records.contains(&format!("\"port\":{}", one.port())), "{records}");
    }
}

#[tokio::test]
async fn a_registry_that_restarts_answers_with_everybody_or_waits() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    lists(a_at, &[one]).await;
    // Reading the cluster takes longer than starting.
    let slow = Proxy::with_delay(cluster.address(0), Duration::from_millis(100)).await;
    let url = slow.url();
    let (_b, b_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &url)]).await;
    let (_, records) = http(b_at, "GET /v1/instances", b"").await;
    assert_eq!(find_all(b_at).await, [one], "the first answer");
    assert!(records.contains(&one.port().to_string()), "{records}");
    // What cannot be read is waited for once, not by each reader.
    slow.cut();
    let started = Instant::now();
    let (_c, c_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &url)]).await;
    let reply = reply(c_at, "/myRegistry/findAllInstances?proto=json").await;
    assert_eq!(reply.body, "[]");
    assert!(reply.headers.contains_key("rpcd-warming"), "{reply:?}");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < SOON, "{waited:?}");
    let again = Instant::now();
    assert_eq!(find_all(c_at).await, []);
    assert!(again.elapsed() < Duration::from_secs(1), "{:?}", again.elapsed());
}

/// Posts to etcd's gateway.
pub(crate) async fn post(cluster: &Cluster, path: &str, body: &str) {
    let (status, reply) = http(cluster.address(0), &format!("POST {path}"), body.as_bytes()).await;
    assert_eq!(status, 200, "{path}: {reply}");
}

#[tokio::test]
async fn each_trouble_with_etcd_is_a_clear_state_and_ends_no_registry() {
    let Some(cluster) = Cluster::start().await else { return };
    // `x/format` = 9, and `y/odd` = 1.
    post(&cluster, "/v3/kv/put", r#"{"key":"eC9mb3JtYXQ=","value":"OQ=="}"#).await;
    post(&cluster, "/v3/kv/put", r#"{"key":"eS9vZGQ=","value":"MQ=="}"#).await;
    let (_x, x_at) = registry_with(&cluster, 0, &[("ETCD_PREFIX", "x/")]).await;
    eventually("it says that it does not know the format", async || {
        let said = readiness(x_at).await;
        said.contains("degraded")
            && said.contains("of format")
            && said.contains("another prefix")
            && said.contains("unknown_format")
    })
    .await;
    let (y, y_at) = registry_with(&cluster, 0, &[("ETCD_PREFIX", "y/")]).await;
    is_ready(y_at).await;
    y.line("it says whose key it leaves alone", |line| line.contains("y/odd").then_some(())).await;

    let root = r#"{"name":"root","password":"right"}"#;
    post(&cluster, "/v3/auth/user/add", root).await;
    post(&cluster, "/v3/auth/role/add", r#"{"name":"root"}"#).await;
    post(&cluster, "/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#).await;
    post(&cluster, "/v3/auth/enable", "{}").await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{name}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let refused = async |settings: &[(&str, &str)], why: &str| {
        let (_registry, at) = registry_with(&cluster, 0, settings).await;
        eventually(why, async || {
            let said = readiness(at).await;
            said.contains("degraded")
                && said.contains("refuses this registry")
                && said.contains("\"denied\"")
                && said.contains(why)
        })
        .await;
        // It serves all the same.
        let (_server, server) = server(&[at]).await;
        lists(at, &[server]).await;
    };
    refused(&[], "user name is empty").await;
    let (wrong, open) = (file("wrong", 0o600), file("open", 0o644));
    let user = ("ETCD_USER", "root");
    refused(&[user, ("ETCD_PASSWORD_FILE", &wrong)], "authentication failed").await;
    let settings = [("ETCD_ENDPOINTS", &*cluster.endpoints()), user, ("ETCD_PASSWORD_FILE", &open)];
    let arguments = ["registry", "-p", "0", "-l", "127.0.0.1", "--store", "etcd"];
    let mut unusable = Daemon::rpcd_with(&settings, arguments);
    assert_eq!(unusable.exit_code().await, 2, "{}", unusable.transcript());
    let said = unusable.stderr().text();
    assert!(said.contains("others can read it; chmod 600; check password_file"), "{said}");
    let right = file("right", 0o600);
    let settings = [user, ("ETCD_PASSWORD_FILE", right.as_str())];
    let (_a, a_at) = registry_with(&cluster, 0, &settings).await;
    let (_b, b_at) = registry_with(&cluster, 0, &settings).await;
    let (_server, server) = server(&[a_at]).await;
    lists(b_at, &[server]).await;
    is_ready(a_at).await;
}
