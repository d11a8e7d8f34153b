//! What can be wrong with an etcd cluster, one by one: each is a clear state, and ends no registry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_tests::daemon::run_rpcd;
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::proxy::Proxy;
use rpc_tests::queries::{find_all, http, lists};
use rpc_tests::slow;
use rustix::process::Signal;

use super::registry_peers::reply_to;
use super::shared_registries::{is_ready, post, readiness, registry, registry_with, server};

/// That these stay listed for so long, at each of these registries.
async fn stay(registries: &[SocketAddr], servers: &[SocketAddr], time: Duration) {
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
        let said = readiness(a_at).await;
        said.contains("no etcd member can be reached") && said.contains("unreachable")
    })
    .await;
    let url = format!("http://{a_at}");
    let (_, said, hint) = run_rpcd(["drain", "127.0.0.1:9", "--registry", &url]).await;
    assert!(said.contains(&format!("of the registry at {url} only")), "{said}");
    assert!(hint.contains(&format!("rpcd instances --registry {url} says why")), "{hint}");
    let (_, said, _) = run_rpcd(["undrain", "127.0.0.1:8", "--registry", &url]).await;
    assert!(said.contains("cut off from etcd: others may know better"), "{said}");
    let undrained = reply_to(a_at, "DELETE /v1/overrides/json/127.0.0.1/8").await;
    assert_eq!(undrained.headers["rpcd-durable"], "no");
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
async fn while_etcd_stands_still_for_20_seconds_nobody_leaves_a_list() {
    if !slow::enabled("etcd that stands still for 20 seconds") {
        return;
    }
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at, b_at]).await;
    let (_two, two) = server(&[b_at, a_at]).await;
    lists(a_at, &[one, two]).await;
    lists(b_at, &[one, two]).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::STOP));
    stay(&[a_at, b_at], &[one, two], Duration::from_secs(20)).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::CONT));
    stay(&[a_at, b_at], &[one, two], Duration::from_secs(5)).await;
    is_ready(a_at).await;
    is_ready(b_at).await;
}

#[tokio::test]
async fn a_cluster_that_comes_later_is_joined_then() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    lists(a_at, &[one]).await;
    (0..3).for_each(|at| cluster.signal(at, Signal::STOP));
    let (b, b_at) = registry(&cluster, 0).await;
    b.line("it says so at once", |line| {
        line.contains("no etcd member can be reached").then_some(())
    })
    .await;
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
async fn a_watch_that_breaks_off_goes_on_at_another_member() {
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::start(cluster.address(0)).await;
    let endpoints = format!("{},{}", proxy.url(), cluster.url(1));
    let (a, a_at) = registry_with(&cluster, 0, &[("ETCD_ENDPOINTS", &endpoints)]).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    is_ready(a_at).await;
    let (_one, one) = server(&[b_at]).await;
    lists(a_at, &[one]).await;
    proxy.cut();
    let (_two, two) = server(&[b_at]).await;
    lists(a_at, &[one, two]).await;
    is_ready(a_at).await;
    let said = a.transcript();
    assert!(!said.contains("the store fails") && !said.contains("no etcd member"), "{said}");
}

#[tokio::test]
async fn a_watch_that_a_proxy_has_lost_is_opened_anew() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let proxy = Proxy::start(cluster.address(0)).await;
    let settings = [
        ("ETCD_ENDPOINTS", &*proxy.url()),
        ("ETCD_WATCH_TIMEOUT", "2s"),
        // No request tells that the way is lost while the test waits.
        ("ETCD_LEASE_TTL", "600s"),
    ];
    let (_b, b_at) = registry_with(&cluster, 0, &settings).await;
    is_ready(b_at).await;
    let (_one, one) = server(&[a_at]).await;
    lists(b_at, &[one]).await;
    proxy.stall_open();
    let (_two, two) = server(&[a_at]).await;
    lists(b_at, &[one, two]).await;
    is_ready(b_at).await;
}

#[tokio::test]
async fn an_etcd_that_is_full_is_read() {
    let Some(cluster) = Cluster::start().await else { return };
    let (_a, a_at) = registry(&cluster, 0).await;
    let (_one, one) = server(&[a_at]).await;
    is_ready(a_at).await;
    // A registry lists it before etcd has it, which it must before it is full.
    let (_c, c_at) = registry(&cluster, 0).await;
    lists(c_at, &[one]).await;
    let (_, status) = http(cluster.address(0), "POST /v3/maintenance/status", b"{}").await;
    let id = status.split_once(r#""member_id":""#).unwrap().1.split_once('"').unwrap().0;
    let alarm = |action| format!(r#"{{"action":"{action}","memberID":"{id}","alarm":"NOSPACE"}}"#);
    post(&cluster, "/v3/maintenance/alarm", &alarm("ACTIVATE")).await;
    let (_b, b_at) = registry(&cluster, 0).await;
    lists(b_at, &[one]).await;
    eventually("it says so", async || {
        let said = readiness(b_at).await;
        said.contains("\"full\"") && said.contains("etcdctl alarm disarm")
    })
    .await;
    let (_two, two) = server(&[b_at]).await;
    lists(b_at, &[one, two]).await;
    post(&cluster, "/v3/maintenance/alarm", &alarm("DEACTIVATE")).await;
    is_ready(b_at).await;
    lists(a_at, &[one, two]).await;
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
    let odd = encoded("rpcd/odd");
    post(&cluster, "/v3/kv/put", &format!(r#"{{"key":"{odd}","value":"{odd}"}}"#)).await;
    left_out(a_at, 1, 1).await;
    let (_, listed, said) = run_rpcd(["instances", "--registry", &format!("http://{a_at}")]).await;
    assert!(said.contains("1 cannot be read") && said.contains("1 of another program"), "{said}");
    assert!(listed.contains("not in the registry's store"), "{listed}");
    post(&cluster, "/v3/kv/deleterange", &format!(r#"{{"key":"{odd}"}}"#)).await;
    left_out(a_at, 1, 0).await;
    // Without a lease it is no registry's.
    let lone = encoded("rpcd/registries/zz");
    post(&cluster, "/v3/kv/put", &format!(r#"{{"key":"{lone}","value":"{odd}"}}"#)).await;
    left_out(a_at, 1, 1).await;
    let said = readiness(a_at).await;
    assert!(said.contains("\"peers\":[]"), "{said}");
    post(&cluster, "/v3/kv/deleterange", &format!(r#"{{"key":"{lone}"}}"#)).await;
    left_out(a_at, 1, 0).await;
    server.signal(Signal::TERM);
    server.exits_within(Duration::from_secs(20)).await;
    lists(a_at, &[]).await;
    let range = format!(r#"{{"key":"{key}"}}"#);
    let (_, there) = http(cluster.address(0), "POST /v3/kv/range", range.as_bytes()).await;
    assert!(there.contains(&encoded("odd")), "{there}");
    assert!(readiness(a_at).await.contains("\"ready\""));
}

/// That a registry counts so many records that it cannot read, and keys of other programs.
async fn left_out(registry: SocketAddr, unreadable: u64, foreign: u64) {
    let expected = [("unreadable", unreadable), ("foreign", foreign)];
    eventually("what is left out is counted", async || {
        let (_, metrics) = http(registry, "GET /metrics", b"").await;
        expected.iter().all(|(reason, count)| {
            let line = format!("rpc_registry_etcd_left_out{{reason=\"{reason}\"}} {count}");
            metrics.lines().any(|found| found == line)
        })
    })
    .await;
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
