//! `[client]` in the console: its instances, its call form, its load tests.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::fakes::{Do, Peer, failure, result, scripted, speak_extended};
use rpc_tests::pki::Authority;
use rpc_tests::queries::http;
use rpc_tests::recording_registry::{Manner, RecordingRegistry};
use rpc_tests::terminal::Tty;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::{
    AT_ONCE, FAILED_METHOD, OVERLOADED, TOGETHER, closed_at_once, keepalive_seconds, silent,
};
use crate::programs::{Settings, call, console, shows, watching};
use crate::secured::{Earlier, Guarded, Secured};
use crate::ticks::{
    classic, extended, instance, instance_on, is_tick, probes, reading_instance, reply_to,
};

/// The kind of a load test.
enum Loop {
    /// N calls per second.
    Open(u32),
    /// N callers.
    Closed(u32),
}

/// Starts a load test of that many calls of `tick`, plus the one that opens the connection.
fn load(tty: &mut Tty, how: &Loop, calls: usize) {
    tty.press("2");
    tty.until(&["[2 Methods]", "tick"]);
    tty.press("b");
    tty.until(&["[5 Load]", "rpcd bench"]);
    match how {
        Loop::Open(rate) => tty.press(&format!("\x15{rate}\t\t")),
        Loop::Closed(callers) => tty.press(&format!("\x0f\x15{callers}\t")),
    }
    tty.press(&format!("\t\x15{calls} calls\t\x150s"));
    tty.until(&[&format!("--count {calls}")]);
    tty.press("\r");
}

/// The same, until it has finished.
fn loaded(tty: &mut Tty, how: &Loop, calls: usize) {
    load(tty, how, calls);
    tty.until(&["✓ done"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn timeout() {
    let peer = instance(|tick| Do::Write(result(tick, "1"))).await;
    let (mut tty, _registry) = watching(&[&peer], &[("CLIENT_TIMEOUT", "77s")]).await;
    call(&mut tty);
    tty.until(&["77s"]);
    let tick = || peer.seen.messages().into_iter().find(is_tick);
    eventually("a call", async || tick().is_some()).await;
    let deadline = tick().unwrap()["meta"]["deadline_ms"].as_u64();
    assert!(deadline.is_some_and(|ms| (60_000..=77_000).contains(&ms)), "{deadline:?}");
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn connect_timeout() {
    let quiet = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&quiet);
    let peer = scripted(move |_, mut socket, seen| {
        let quiet = now.load(SeqCst);
        async move {
            if !quiet {
                let tick = |tick: &_| Do::Write(result(tick, "1"));
                return speak_extended(socket, seen, Arc::new(move |it| reply_to(it, tick))).await;
            }
            while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
        }
    })
    .await;
    let settings = [("CLIENT_CONNECT_TIMEOUT", "123ms")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    tty.press("2");
    tty.until(&["tick"]);
    quiet.store(true, SeqCst);
    peer.close_connections();
    call(&mut tty);
    tty.until(&["123ms"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn failover_after() {
    let silent = silent().await;
    let (good, ticks) = extended(AT_ONCE).await;
    // Shorter than the default of this key.
    let settings = [
        ("CLIENT_TIMEOUT", "1800ms"),
        ("CLIENT_FAILOVER_AFTER", "100ms"),
        ("CLIENT_BALANCE", "round_robin"),
    ];
    let (mut tty, _registry) = watching(&[&silent, &good], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 4);
    assert_eq!(ticks.calls(), 5);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tcp_user_timeout() {
    let peer = instance(|_| Do::Nothing).await;
    let settings = [("CLIENT_TCP_USER_TIMEOUT", "4h")];
    let (_tty, _registry) = watching(&[&peer], &settings).await;
    eventually("the system's timer of the connection", async || {
        keepalive_seconds(peer.address).is_none_or(|seconds| seconds > 3000)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn balance() {
    let order = Arc::new(Mutex::new(String::new()));
    let named = |name: char| {
        let order = Arc::clone(&order);
        instance(move |tick| {
            order.lock().unwrap().push(name);
            Do::Write(result(tick, "1"))
        })
    };
    let (a, b) = (named('a').await, named('b').await);
    let settings = [("CLIENT_BALANCE", "round_robin")];
    let (mut tty, _registry) = watching(&[&a, &b], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 19);
    let order = order.lock().unwrap().clone();
    assert!(["ab", "ba"].map(|two| two.repeat(10)).contains(&order), "{order}");
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn refresh_interval() {
    let (tty, registry) = watching(&[], &[("CLIENT_REFRESH_INTERVAL", "110ms")]).await;
    // At the default interval this would take half a minute.
    registry.has_received("findAllInstances", 10).await;
    tty.until(&["110ms"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn list_cache() {
    let ((one, _), (two, _)) = (extended(AT_ONCE).await, extended(AT_ONCE).await);
    let folder = tempfile::tempdir().unwrap();
    let settings = [("CLIENT_LIST_CACHE", folder.path().to_str().unwrap())];
    let (mut tty, _registry) = watching(&[&one, &two], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 1);
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    eventually("the list is kept", async || files() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn registry_timeout() {
    let registry = RecordingRegistry::start().await;
    registry.behave(Manner::Hanging);
    let settings = [("CLIENT_REGISTRY_TIMEOUT", "100ms")];
    let _tty = console(&settings, &format!("--registry {}", registry.url()));
    let third = async || registry.count("watch") >= 3;
    eventually_within(Duration::from_secs(9), "the third attempt", third).await;
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_reply_bytes() {
    let peer = instance(|tick| Do::Write(result(tick, &format!("{:?}", "x".repeat(5000))))).await;
    let settings = [("CLIENT_MAX_REPLY_BYTES", "1234")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    call(&mut tty);
    tty.until_so("the limit", |tty| shows(tty, "1234"));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_list_bytes() {
    let (peer, _) = extended(AT_ONCE).await;
    let (tty, _registry) = watching(&[&peer], &[("CLIENT_MAX_LIST_BYTES", "77")]).await;
    tty.until_so("the limit", |tty| shows(tty, "77"));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_event_line_bytes() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let instance = br#"{"protocol":"json","host":"127.0.0.1","port":9,"parameters":{}}"#;
    http(at, "POST /myRegistry/register", instance).await;
    let settings = [("CLIENT_MAX_EVENT_LINE_BYTES", "77")];
    let tty = console(&settings, &format!("--registry http://{at}"));
    tty.until_so("the limit", |tty| shows(tty, "77"));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_in_flight() {
    let (peer, ticks) = extended(TOGETHER).await;
    let (mut tty, _registry) = watching(&[&peer], &[("CLIENT_MAX_IN_FLIGHT", "2")]).await;
    loaded(&mut tty, &Loop::Closed(6), 12);
    assert_eq!((ticks.calls(), ticks.most()), (13, 2));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_classic_connections() {
    let (peer, ticks) = classic(TOGETHER).await;
    let settings = [("CLIENT_MAX_CLASSIC_CONNECTIONS", "2")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    loaded(&mut tty, &Loop::Closed(6), 12);
    assert_eq!((ticks.calls(), ticks.most()), (13, 2));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_classic_queue() {
    let (peer, ticks) = classic(TOGETHER).await;
    let settings = [("CLIENT_MAX_CLASSIC_CONNECTIONS", "1"), ("CLIENT_MAX_CLASSIC_QUEUE", "1")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    loaded(&mut tty, &Loop::Closed(4), 8);
    // Some of the nine were refused.
    assert!(ticks.calls() < 9, "{}", ticks.calls());
}

/// A call every third of a second, which is longer than the times these tests set.
const SLOW_RATE: (Loop, usize) = (Loop::Open(3), 4);

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn classic_idle_timeout() {
    let (peer, ticks) = classic(AT_ONCE).await;
    let settings = [("CLIENT_CLASSIC_IDLE_TIMEOUT", "30ms")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    load(&mut tty, &SLOW_RATE.0, SLOW_RATE.1);
    ticks.received(5).await;
    assert!(ticks.connections() >= 4, "{}", ticks.connections());
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn dialect_ttl() {
    let (peer, ticks) = classic(AT_ONCE).await;
    // While in use it stays what it is.
    let settings = [("CLIENT_CLASSIC_IDLE_TIMEOUT", "30ms"), ("CLIENT_DIALECT_TTL", "60ms")];
    let (mut tty, _registry) = watching(&[&peer], &settings).await;
    load(&mut tty, &SLOW_RATE.0, SLOW_RATE.1);
    ticks.received(5).await;
    // One for the console itself, and by default one for the load test.
    assert!(probes(&peer) >= 5, "{}", probes(&peer));
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn idle_timeout() {
    let peer = instance(|tick| Do::Write(result(tick, "1"))).await;
    let (_tty, _registry) = watching(&[&peer], &[("CLIENT_IDLE_TIMEOUT", "100ms")]).await;
    eventually("its methods are known", async || !peer.seen.calls().is_empty()).await;
    // By default this would take a minute.
    eventually("no connection is open", async || peer.seen.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_probes() {
    let (good, _) = extended(AT_ONCE).await;
    let (bad, probed) = closed_at_once().await;
    let settings = [
        ("CLIENT_MAX_PROBES", "1"),
        ("CLIENT_RETRY_ATTEMPTS", "4"),
        ("CLIENT_BALANCE", "round_robin"),
        // The console's own requests to the bad servers are not counted.
        ("CONSOLE_MAX_PROBED", "1"),
    ];
    let peers = [&good, &bad[0], &bad[1], &bad[2]];
    let (mut tty, _registry) = watching(&peers, &settings).await;
    load(&mut tty, &Loop::Open(20), 10_000);
    // A probe without a reply times out after a second.
    let gap = probed.gap_of_the_first_two().await;
    assert!(gap >= Duration::from_millis(900), "{gap:?}");
}

/// How often two overloaded servers are called by the eleven calls of a load test.
async fn attempts(settings: Settings<'_>) -> usize {
    let overloaded = || instance(|tick| Do::Write(failure(tick, OVERLOADED)));
    let (a, b) = (overloaded().await, overloaded().await);
    let (mut tty, _registry) = watching(&[&a, &b], settings).await;
    loaded(&mut tty, &Loop::Closed(1), 10);
    let ticks = |peer: &Peer| peer.seen.messages().iter().filter(|it| is_tick(it)).count();
    ticks(&a) + ticks(&b)
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn retry_attempts() {
    assert_eq!(attempts(&[("CLIENT_RETRY_ATTEMPTS", "1")]).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn retry_ratio() {
    // By default three retries.
    let settings = [("CLIENT_RETRY_RATIO", "1"), ("CLIENT_RETRY_BURST", "1")];
    assert_eq!(attempts(&settings).await, 22);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn retry_hedge() {
    let slow = |tick: &Value| Do::WriteAfter(Duration::from_millis(100), result(tick, "1"));
    let (a, b) = (reading_instance(slow).await, reading_instance(slow).await);
    let settings = [("CLIENT_RETRY_HEDGE", "20ms")];
    let (mut tty, _registry) = watching(&[&a, &b], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 10);
    let ticks = |peer: &Peer| peer.seen.calls().iter().filter(|it| is_tick(it)).count();
    // Without hedging, eleven.
    assert!(ticks(&a) + ticks(&b) > 11);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn retry_burst() {
    assert_eq!(attempts(&[("CLIENT_RETRY_BURST", "0")]).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn max_ejected_ratio() {
    let bad = instance(|tick| Do::Write(failure(tick, FAILED_METHOD))).await;
    let good = instance(|tick| Do::Write(result(tick, "1"))).await;
    let settings = [("CLIENT_MAX_EJECTED_RATIO", "0"), ("CLIENT_BALANCE", "round_robin")];
    let (mut tty, _registry) = watching(&[&bad, &good], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 60);
    // By default a few.
    let ticks = bad.seen.messages().iter().filter(|message| is_tick(message)).count();
    assert!(ticks >= 25, "{ticks}");
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn ping_interval() {
    let good = instance(|tick| Do::Write(result(tick, "1"))).await;
    let hold = Duration::from_millis(1200);
    // It comes after the other in sorted lists.
    let slow =
        instance_on("127.0.0.2:0", move |tick| Do::WriteAfter(hold, result(tick, "1"))).await;
    let settings = [
        ("CLIENT_PING_INTERVAL", "0s"),
        ("CLIENT_BALANCE", "round_robin"),
        // The console's own requests to the slow one are not counted.
        ("CONSOLE_MAX_PROBED", "1"),
    ];
    let (mut tty, _registry) = watching(&[&good, &slow], &settings).await;
    loaded(&mut tty, &Loop::Closed(1), 3);
    // Its dialect is asked for in any case.
    assert_eq!(probes(&slow), 1);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn token_file() {
    let guarded = Guarded::start().await;
    let file = guarded.token_file();
    guarded.console(&[("CLIENT_TOKEN_FILE", &file)]).until(&["● live", "⚿ watcher"]);
    guarded.console(&[]).until(&["✗ refused", "needs a token with the role observe"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls() {
    let secured = Secured::start("tls").await;
    Secured::is_live(&secured.console_of_a_trusting_machine(&[("CLIENT_TLS", "true")]));
    let without = secured.console_of_a_trusting_machine(&[]);
    without.until(&["✗ no TLS", "this registry takes TLS only"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_ca() {
    let secured = Secured::start("tls").await;
    let (own, other) = (secured.ca(), Authority::new("other"));
    let other = other.ca().display().to_string();
    // Who names an authority wants TLS.
    Secured::is_live(&secured.console(&[("CLIENT_TLS_CA", &own)]));
    let wrong = secured.console(&[("CLIENT_TLS_CA", &other)]);
    wrong.until(&["✗ no TLS", "no authority that is trusted here has issued it"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_cert() {
    let secured = Secured::start("certificate").await;
    let (ca, (cert, key)) = (secured.ca(), secured.client());
    let trusts = [("CLIENT_TLS", "true"), ("CLIENT_TLS_CA", &*ca)];
    let shows = [("CLIENT_TLS_CERT", &*cert), ("CLIENT_TLS_KEY", &*key)];
    Secured::is_live(&secured.console(&[trusts, shows].concat()));
    secured.console(&trusts).until(&["✗ no TLS", "one of this side"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_key() {
    let secured = Secured::start("certificate").await;
    let (ca, (cert, _)) = (secured.ca(), secured.client());
    let given = [("CLIENT_TLS", "true"), ("CLIENT_TLS_CA", &*ca), ("CLIENT_TLS_CERT", &*cert)];
    let of_another = secured.another_key();
    let mut wrong = secured.console(&[&given[..], &[("CLIENT_TLS_KEY", &*of_another)]].concat());
    assert_eq!(wrong.ends(), 2);
    wrong.until(&["does not belong to the certificate"]);
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn tls_min_version() {
    let earlier = Earlier::start();
    let trusts = [("CLIENT_TLS", "true"), ("CLIENT_TLS_CA", &*earlier.ca)];
    let by_default = earlier.console(&trusts);
    by_default.until(&["✗ no TLS"]);
    assert_eq!(earlier.handshakes(), 0);
    let _tty = earlier.console(&[&trusts[..], &[("CLIENT_TLS_MIN_VERSION", "1.2")]].concat());
    eventually("a handshake of TLS 1.2", async || earlier.handshakes() > 0).await;
}
