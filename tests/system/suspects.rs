//! Who is asked before it is removed: servers that are cut off, stopped or killed, and the brake.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rpc_client::registry::{RegistryClient, RegistryClientOptions, Watch};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::{eventually, eventually_within, soon};
use rpc_tests::proxy::Proxy;
use rpc_tests::queries::{find_all, http, lists};
use rpc_tests::slow;
use rpc_wire::instance::{ExpiryReason, Instance, InstanceState, WatchEvent};
use rpc_wire::paths::PROTO_JSON;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TTL: Duration = Duration::from_secs(1);
const CHECK: Duration = Duration::from_millis(100);
const PROBE: Duration = Duration::from_millis(500);
/// A program that is late on a loaded machine.
const SLACK: Duration = Duration::from_secs(2);

/// A registry with short times and further settings, and its address.
async fn registry(further: &[(&str, &str)]) -> (Daemon, SocketAddr) {
    let short = [("REGISTRY_SERVER_TTL", "1s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "100ms")];
    Daemon::registry_with(&[&short, further].concat(), 0, &[]).await
}

/// A server that beats fast.
async fn server(url: &str) -> (Daemon, SocketAddr) {
    let fast = [("SERVER_HEARTBEAT_INTERVAL", "200ms")];
    Daemon::server_with(&fast, &["--registry", url]).await
}

fn client(registry: SocketAddr) -> RegistryClient {
    RegistryClient::new(&format!("http://{registry}"), RegistryClientOptions::default()).unwrap()
}

async fn watch(registry: SocketAddr) -> Watch {
    client(registry).watch(PROTO_JSON, false, None).await.unwrap()
}

async fn next(watch: &mut Watch) -> WatchEvent {
    soon("an event", watch.next()).await.unwrap().unwrap().1
}

/// Until when of the instances' states this holds.
async fn states(registry: SocketAddr) -> Vec<InstanceState> {
    let records = client(registry).instances(PROTO_JSON).await.unwrap();
    records.iter().map(|record| record.state).collect()
}

async fn all_are(registry: SocketAddr, number: usize, state: InstanceState) {
    eventually(&format!("{number} are {state}"), async || {
        states(registry).await == vec![state; number]
    })
    .await;
}

/// The list is this one all the time.
async fn stays_for(registry: SocketAddr, expected: &[SocketAddr], time: Duration) {
    let mut expected = expected.to_vec();
    expected.sort();
    let start = Instant::now();
    eventually_within(time + SLACK, "the time is over", async || {
        assert_eq!(find_all(registry).await, expected, "after {:?}", start.elapsed());
        start.elapsed() > time
    })
    .await;
}

async fn gone_within(registry: SocketAddr, limit: Duration) {
    eventually_within(limit, "the list is empty", async || find_all(registry).await.is_empty())
        .await;
}

#[tokio::test]
async fn a_server_cut_off_from_its_registry_is_kept_while_it_replies_and_up_again_with_a_heartbeat()
{
    let (registry, at) = registry(&[]).await;
    let way = Proxy::start(at).await;
    let (_server, address) = server(&way.url()).await;
    lists(at, &[address]).await;
    let mut events = watch(at).await;
    assert!(matches!(next(&mut events).await, WatchEvent::Snapshot(all) if all.len() == 1));
    way.cut();
    let WatchEvent::Suspect(record) = next(&mut events).await else { panic!("another event") };
    assert_eq!(record.instance.port, address.port());
    assert_eq!((record.state, record.held_ms), (InstanceState::Suspect, None));
    stays_for(at, &[address], 3 * TTL).await;
    all_are(at, 1, InstanceState::Suspect).await;
    way.restore();
    let WatchEvent::Updated(record) = next(&mut events).await else { panic!("another event") };
    assert_eq!(record.state, InstanceState::Up);
    assert!(
        registry.stderr().text().contains("it replies to a probe"),
        "{}",
        registry.transcript()
    );
}

#[tokio::test]
async fn a_suspect_is_removed_at_the_end_of_its_window_and_the_event_says_so() {
    let (_registry, at) = registry(&[("REGISTRY_SERVER_SUSPECT_WINDOW", "1500ms")]).await;
    let way = Proxy::start(at).await;
    let (_server, address) = server(&way.url()).await;
    lists(at, &[address]).await;
    let mut events = watch(at).await;
    next(&mut events).await;
    way.cut();
    assert!(matches!(next(&mut events).await, WatchEvent::Suspect(_)));
    let WatchEvent::Expired(key, reason) = next(&mut events).await else { panic!("not expired") };
    assert_eq!((key.port, reason), (address.port(), Some(ExpiryReason::SuspectWindow)));
}

/// Six servers whose heartbeats all fail for that long.
async fn all_cut_for(time: Duration) {
    let (registry, at) = registry(&[]).await;
    let way = Proxy::start(at).await;
    let url = way.url();
    let servers = futures_util::future::join_all((0..6).map(|_| server(&url))).await;
    let addresses: Vec<_> = servers.iter().map(|(_, address)| *address).collect();
    lists(at, &addresses).await;
    let mut events = watch(at).await;
    next(&mut events).await;
    way.cut();
    stays_for(at, &addresses, time).await;
    all_are(at, 6, InstanceState::Suspect).await;
    way.restore();
    all_are(at, 6, InstanceState::Up).await;
    for _ in 0..12 {
        let event = next(&mut events).await;
        assert!(matches!(event, WatchEvent::Suspect(_) | WatchEvent::Updated(_)), "{event:?}");
    }
    assert!(!registry.stderr().text().contains("brake"), "{}", registry.transcript());
}

#[tokio::test]
async fn all_heartbeats_cut_at_once_remove_nobody() {
    all_cut_for(4 * TTL).await;
}

#[tokio::test]
async fn all_heartbeats_cut_at_once_for_half_a_minute_remove_nobody() {
    if slow::enabled("half a minute without heartbeats") {
        all_cut_for(Duration::from_secs(30)).await;
    }
}

#[tokio::test]
async fn a_stopped_server_is_gone_within_its_ttl_a_check_and_a_probe() {
    let (_registry, at) = registry(&[]).await;
    let (server, address) = server(&format!("http://{at}")).await;
    lists(at, &[address]).await;
    let mut events = watch(at).await;
    next(&mut events).await;
    server.signal(Signal::STOP);
    gone_within(at, TTL + CHECK + PROBE + SLACK).await;
    let WatchEvent::Expired(_, reason) = next(&mut events).await else { panic!("not expired") };
    assert_eq!(reason, Some(ExpiryReason::NoReply));
    server.signal(Signal::CONT);
    lists(at, &[address]).await;
}

#[tokio::test]
async fn an_older_instance_that_accepts_connections_stays_and_gets_no_byte_until_it_refuses() {
    let (_registry, at) = registry(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    client(at).register(&Instance::new("127.0.0.1", address.port())).await.unwrap();
    let mut events = watch(at).await;
    next(&mut events).await;
    assert!(matches!(next(&mut events).await, WatchEvent::Suspect(_)));
    let (mut probe, _) = soon("the probe", listener.accept()).await.unwrap();
    let mut received = Vec::new();
    soon("its end", tokio::io::AsyncReadExt::read_to_end(&mut probe, &mut received)).await.unwrap();
    assert_eq!(received, b"");
    drop(listener);
    let WatchEvent::Expired(_, reason) = next(&mut events).await else { panic!("not expired") };
    assert_eq!(reason, Some(ExpiryReason::Refused));
}

/// An address of this machine beyond loopback, if it has one.
fn other_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses where it would send from.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

#[tokio::test]
async fn nobody_else_is_probed_for_a_registration() {
    let Some(own) = other_address() else { return };
    let short = [("REGISTRY_SERVER_TTL", "1s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "100ms")];
    let registry = Daemon::rpcd_with(&short, ["registry", "-p", "0", "-l", "0.0.0.0"]);
    let port = registry.announced_address().await.port();
    let at = SocketAddr::new(own, port);
    // Registered from another address than its own, which is that of someone else.
    let victim = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = victim.local_addr().unwrap();
    let mut instance = Instance::new("127.0.0.1", address.port());
    instance.parameters.insert("wire".to_owned(), json!(1));
    client(at).register(&instance).await.unwrap();
    let mut events = watch(at).await;
    next(&mut events).await;
    let WatchEvent::Expired(_, reason) = next(&mut events).await else { panic!("not expired") };
    assert_eq!(reason, None);
    let probed = tokio::time::timeout(PROBE, victim.accept()).await;
    assert!(probed.is_err(), "it was connected to");
}

#[tokio::test]
async fn without_probes_an_instance_expires_with_its_ttl() {
    let (_registry, at) = registry(&[("REGISTRY_SERVER_PROBES", "false")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    client(at).register(&Instance::new("127.0.0.1", address.port())).await.unwrap();
    gone_within(at, TTL + CHECK + SLACK).await;
    assert!(tokio::time::timeout(PROBE, listener.accept()).await.is_err(), "it was connected to");
}

/// Six stopped servers that the brake holds.
async fn braked(settings: &[(&str, &str)]) -> (Daemon, SocketAddr, Vec<(Daemon, SocketAddr)>) {
    let (registry, at) = registry(settings).await;
    let url = format!("http://{at}");
    let servers = futures_util::future::join_all((0..6).map(|_| server(&url))).await;
    let addresses: Vec<_> = servers.iter().map(|(_, address)| *address).collect();
    lists(at, &addresses).await;
    servers.iter().for_each(|(server, _)| server.signal(Signal::STOP));
    eventually("the brake holds all", async || ready(at).await["brake"]["held"] == 6).await;
    assert_eq!(find_all(at).await.len(), 6);
    (registry, at, servers)
}

async fn ready(registry: SocketAddr) -> Value {
    let (status, body) = http(registry, "GET /readyz", b"").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

fn count(daemon: &Daemon, text: &str) -> usize {
    daemon.stderr().lines().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn many_silent_servers_are_held_visibly_refusing_ones_go_and_those_that_beat_are_up() {
    let (registry, at, mut servers) = braked(&[]).await;
    let records = client(at).instances(PROTO_JSON).await.unwrap();
    for record in &records {
        assert_eq!(record.state, InstanceState::Suspect);
        assert!(record.held_ms.is_some_and(|held| (1..=60_000).contains(&held)), "{record:?}");
    }
    let (_, metrics) = http(at, "GET /metrics", b"").await;
    assert!(metrics.contains("\nrpc_registry_held 6\n"), "{metrics}");
    let (killed, _) = servers.pop().unwrap();
    killed.signal(Signal::KILL);
    eventually("the killed one is gone", async || find_all(at).await.len() == 5).await;
    servers.iter().for_each(|(server, _)| server.signal(Signal::CONT));
    all_are(at, 5, InstanceState::Up).await;
    eventually("the brake ends", async || ready(at).await.get("brake").is_none()).await;
    assert_eq!(count(&registry, "the brake on mass expiry holds"), 1, "{}", registry.transcript());
    assert_eq!(count(&registry, "the brake on mass expiry ends"), 1, "{}", registry.transcript());
}

#[tokio::test]
async fn the_brake_never_holds_for_ever() {
    let (registry, at, _servers) = braked(&[("REGISTRY_SERVER_BRAKE_WINDOW", "2s")]).await;
    gone_within(at, Duration::from_secs(2) + CHECK + SLACK).await;
    assert_eq!(count(&registry, "its time is over"), 1, "{}", registry.transcript());
}

#[tokio::test]
async fn an_operator_releases_the_brake() {
    let (_registry, at, _servers) = braked(&[]).await;
    let registry = format!("http://{at}");
    let (code, text, _) = run_rpcd(["release-brake", "--registry", &registry]).await;
    assert_eq!((code, text.as_str()), (0, "6 silent instances are removed"));
    gone_within(at, SLACK).await;
    let released = http(at, "DELETE /v1/brake", b"").await;
    assert_eq!(released, (200, r#"{"released":0}"#.to_owned()));
}

#[tokio::test]
async fn a_pause_of_the_registry_is_no_part_of_a_suspects_window() {
    let (registry, at) = registry(&[("REGISTRY_SERVER_SUSPECT_WINDOW", "3s")]).await;
    let way = Proxy::start(at).await;
    let (_server, address) = server(&way.url()).await;
    lists(at, &[address]).await;
    way.cut();
    all_are(at, 1, InstanceState::Suspect).await;
    registry.signal(Signal::STOP);
    let paused = Instant::now();
    eventually("more than the window", async || paused.elapsed() > Duration::from_secs(4)).await;
    registry.signal(Signal::CONT);
    stays_for(at, &[address], Duration::from_secs(1)).await;
    gone_within(at, Duration::from_secs(3) + SLACK).await;
}
