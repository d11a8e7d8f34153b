//! What can be wrong with an etcd cluster, one by one: each is a clear state, and ends no registry.

use std::time::{Duration, Instant};

use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::proxy::Proxy;
use rpc_tests::queries::{find_all, http, lists};
use rustix::process::Signal;

use super::shared_registries::{is_ready, post, readiness, registry, registry_with, server};

/// That these stay listed for so long, at each of these registries.
async fn stay(
    registries: &[std::net::SocketAddr],
    servers: &[std::net::SocketAddr],
    time: Duration,
) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        for registry in registries {
            let listed = find_all(*registry).await;
            assert!(servers.iter().all(|server| listed.contains(server)), "{listed:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_member_that_is_stopped_is_left_and_all_of_them_are_waited_for() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at, b_at]).await;
    lists(b_at, &[one]).await;
    // The one in use: accepts connections, and says nothing.
    cluster.signal(0, Signal::STOP);
    let (_two, two) = server(&[b_at, a_at]).await;
    eventually_within(Duration::from_secs(20), "another member is in use", async || {
        find_all(a_at).await.contains(&two) && readiness(a_at).await.contains("\"ready\"")
    })
    .await;
    stay(&[a_at, b_at], &[one, two], Duration::from_secs(5)).await;
    cluster.signal(1, Signal::STOP);
    cluster.signal(2, Signal::STOP);
    eventually_within(Duration::from_secs(20), "it says so", async || {
        readiness(a_at).await.contains("no etcd member works")
    })
    .await;
    let (_three, three) = server(&[a_at, b_at]).await;
    lists(a_at, &[one, two, three]).await;
    // Longer than the lease, and than a TTL.
    stay(&[a_at, b_at], &[one, two], Duration::from_secs(8)).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::CONT));
    eventually_within(Duration::from_secs(30), "all are together again", async || {
        let listed = find_all(b_at).await;
        assert!(listed.contains(&one) && listed.contains(&two), "{listed:?}");
        listed.contains(&three) && readiness(b_at).await.contains("\"ready\"")
    })
    .await;
    stay(&[a_at, b_at], &[one, two, three], Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_cluster_that_comes_later_is_joined_then() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    lists(a_at, &[one]).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::STOP));
    let (b, b_at) = registry(&cluster, 0).await;
    b.line("it says so at once", |line| line.contains("no etcd member works").then_some(())).await;
    let (_two, two) = server(&[b_at]).await;
    lists(b_at, &[two]).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::CONT));
    eventually_within(Duration::from_secs(30), "both know both", async || {
        find_all(a_at).await.len() == 2 && find_all(b_at).await.len() == 2
    })
    .await;
}

#[tokio::test]
async fn what_was_compacted_while_a_registry_was_cut_off_is_read_anew() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let proxy = Proxy::start(cluster.address(0)).await;
    let url = proxy.url();
    let (_b, b_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &url)]).await;
    is_ready(b_at).await;
    let (mut one, one_at) = server(&[a_at]).await;
    lists(b_at, &[one_at]).await;
    proxy.cut();
    let (_two, two) = server(&[a_at]).await;
    one.signal(Signal::TERM);
    one.exits_within(Duration::from_secs(20)).await;
    eventually("it is cut off", async || readiness(b_at).await.contains("degraded")).await;
    let (_, status) = http(cluster.address(0), "POST /v3/maintenance/status", b"{}").await;
    let revision = status.split_once(r#""revision":""#).unwrap().1.split_once('"').unwrap().0;
    let compact = format!(r#"{{"revision":"{revision}","physical":true}}"#);
    post(&cluster, "/v3/kv/compaction", &compact).await;
    proxy.restore();
    is_ready(b_at).await;
    lists(b_at, &[two]).await;
}

#[tokio::test]
async fn what_another_program_wrote_is_neither_overwritten_nor_deleted() {
    let Some(cluster) = Cluster::start().await else { return };
    let (a, a_at) = registry(&cluster, 0).await;
    is_ready(a_at).await;
    let (mut server, server_at) = server(&[a_at]).await;
    lists(a_at, &[server_at]).await;
    // `rpcd/instances/json/HOST/PORT` = `odd`
    let encoded = |text: &str| base64(text.as_bytes());
    let key = encoded(&format!("rpcd/instances/json/{}/{}", server_at.ip(), server_at.port()));
    let put = format!(r#"{{"key":"{key}","value":"{}"}}"#, encoded("odd"));
    post(&cluster, "/v3/kv/put", &put).await;
    a.line("it says so", |line| line.contains("cannot be read").then_some(())).await;
    assert_eq!(find_all(a_at).await, [server_at], "it stays listed where its heartbeats go");
    server.signal(Signal::TERM);
    server.exits_within(Duration::from_secs(20)).await;
    lists(a_at, &[]).await;
    let range = format!(r#"{{"key":"{key}"}}"#);
    let (_, there) = http(cluster.address(0), "POST /v3/kv/range", range.as_bytes()).await;
    assert!(there.contains(&encoded("odd")), "{there}");
    assert!(readiness(a_at).await.contains("\"ready\""));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |index: usize| match index <= three.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * index)) as usize & 63]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[tokio::test]
async fn a_token_that_is_not_valid_any_more_is_made_anew() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let root = r#"{"name":"root","password":"marked-secret"}"#;
    post(&cluster, "/v3/auth/user/add", root).await;
    post(&cluster, "/v3/auth/role/add", r#"{"name":"root"}"#).await;
    post(&cluster, "/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#).await;
    post(&cluster, "/v3/auth/enable", "{}").await;
    let settings = [("ETCD_USER", "root"), ("ETCD_PASSWORD", "marked-secret")];
    let (a, a_at) = registry_with(&cluster, 0, &settings).await;
    let (_b, b_at) = registry_with(&cluster, 0, &settings).await;
    is_ready(a_at).await;
    // Members forget tokens when they restart.
    for at in 0..3 {
        cluster.kill(at).await;
        cluster.restart(at);
        cluster.is_ready(at).await;
    }
    let (_server, server) = server(&[a_at]).await;
    lists(b_at, &[server]).await;
    is_ready(a_at).await;
    let said = a.transcript();
    assert!(!said.contains("marked-secret"), "{said}");
}
