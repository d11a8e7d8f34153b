//! `[client]` in `rpcd call`, `bench`, `methods` and `instances`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{Do, Peer, failure, result};
use rpc_tests::recording_registry::{Manner, RecordingRegistry};
use serde_json::{Value, json};
use tokio::join;

use super::{
    AT_ONCE, FAILED_METHOD, OVERLOADED, TOGETHER, closed_at_once, keepalive_seconds, silent,
};
use crate::programs::{at, listing, rpcd};
use crate::ticks::{classic, extended, instance, is_tick, probes, reading_instance};

/// Exit codes.
const DONE: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const UNREACHABLE: i32 = 3;
const TIMEOUT: i32 = 4;

#[tokio::test]
pub(crate) async fn timeout() {
    let peer = instance(|tick| Do::Write(result(tick, "1"))).await;
    for command in ["call tick", "bench tick --count 1", "methods"] {
        let done = rpcd(&[("CLIENT_TIMEOUT", "77s")], &at(&peer, command)).await;
        assert_eq!(done.code, DONE, "{done:?}");
        let calls = peer.seen.calls();
        let deadline = calls.last().unwrap()["meta"]["deadline_ms"].as_u64();
        assert!(deadline.is_some_and(|ms| (60_000..=77_000).contains(&ms)), "{command}: {calls:?}");
    }
    let registry = RecordingRegistry::start().await;
    registry.behave(Manner::Hanging);
    let began = Instant::now();
    let line = format!("instances --registry {}", registry.url());
    let done = rpcd(&[("CLIENT_TIMEOUT", "200ms")], &line).await;
    assert_eq!(done.code, TIMEOUT, "{done:?}");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[tokio::test]
pub(crate) async fn connect_timeout() {
    let peer = silent().await;
    let call = at(&peer, "call tick");
    let (timeout, short) = (("CLIENT_TIMEOUT", "1s"), ("CLIENT_CONNECT_TIMEOUT", "100ms"));
    let (set, default) = (&[timeout, short], &[timeout]);
    let (set, default) = join!(rpcd(set, &call), rpcd(default, &call));
    // A server that answers no probe is given up after half of it.
    assert_eq!((set.code, default.code), (TIMEOUT, TIMEOUT), "{set:?} {default:?}");
    assert!(set.stderr.contains("within 50ms") && default.stderr.contains("within 500ms"));
}

#[tokio::test]
pub(crate) async fn failover_after() {
    let silent = silent().await;
    let (good, _) = extended(AT_ONCE).await;
    let registry = listing(&[&silent, &good]).await;
    // Both are called.
    let line = format!("call tick --repeat 2 --balance round_robin --registry {}", registry.url());
    // Shorter than the default of this key.
    let timeout = ("CLIENT_TIMEOUT", "1800ms");
    // Else it is suspect after half a second.
    let no_pings = ("CLIENT_PING_INTERVAL", "0s");
    let default = &[timeout, no_pings];
    let set = &[timeout, no_pings, ("CLIENT_FAILOVER_AFTER", "100ms")];
    let (set, default) = join!(rpcd(set, &line), rpcd(default, &line));
    assert_eq!((set.code, default.code), (DONE, TIMEOUT), "{set:?} {default:?}");
    assert_eq!((silent.seen.accepted(), set.stdout.as_str()), (2, "1\n1"));
}

#[tokio::test]
pub(crate) async fn tcp_user_timeout() {
    let peer = instance(|_| Do::Nothing).await;
    let line = at(&peer, "call tick");
    let _rpcd = Daemon::rpcd_with(&[("CLIENT_TCP_USER_TIMEOUT", "4h")], line.split(' '));
    // The system's keepalive probe is due after a quarter of the time.
    eventually("the system's timer of the connection", async || {
        keepalive_seconds(peer.address).is_none_or(|seconds| seconds > 3000)
    })
    .await;
}

#[tokio::test]
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
    let registry = listing(&[&a, &b]).await;
    for command in ["call tick --repeat 20", "bench tick --count 19"] {
        let line = format!("{command} --registry {}", registry.url());
        let done = rpcd(&[("CLIENT_BALANCE", "round_robin")], &line).await;
        assert_eq!(done.code, DONE, "{done:?}");
        // At random this would happen once in half a million runs.
        let order = std::mem::take(&mut *order.lock().unwrap());
        assert!(["ab", "ba"].map(|two| two.repeat(10)).contains(&order), "{command}: {order}");
    }
}

#[tokio::test]
pub(crate) async fn service() {
    let ((ours, ticks), (other, others)) = (extended(AT_ONCE).await, extended(AT_ONCE).await);
    let registry = RecordingRegistry::start().await;
    let of = |peer: &Peer, service| (peer.address, json!({"service": service}));
    registry.list_with([of(&ours, "ours"), of(&other, "other")]);
    let set = [("CLIENT_SERVICE", "ours")];
    for command in ["call tick --repeat 20", "bench tick --count 19", "methods", "instances"] {
        let done = rpcd(&set, &format!("{command} --registry {}", registry.url())).await;
        assert_eq!(done.code, DONE, "{command}: {done:?}");
        assert!(!done.stdout.contains(&other.name()), "{command}: {done:?}");
    }
    assert_eq!((ticks.calls(), others.calls()), (40, 0));
    // The flag overrides it, also with any service.
    let line = format!("call tick --service other --registry {}", registry.url());
    assert_eq!(rpcd(&set, &line).await.code, DONE);
    assert_eq!((ticks.calls(), others.calls()), (40, 1));
    let mut command = tokio::process::Command::new(rpc_tests::binaries::binary("rpcd"));
    command.args(["instances", "--service", "", "--registry", &registry.url()]);
    let any = command.env("RPCD_CLIENT_SERVICE", "ours").output().await.unwrap();
    assert!(String::from_utf8_lossy(&any.stdout).contains(&other.name()), "{any:?}");
}

#[tokio::test]
pub(crate) async fn refresh_interval() {
    let (peer, _) = extended(AT_ONCE).await;
    let registry = listing(&[&peer]).await;
    let line = format!("bench tick --rate 5 --duration 10m --registry {}", registry.url());
    let _rpcd = Daemon::rpcd_with(&[("CLIENT_REFRESH_INTERVAL", "50ms")], line.split(' '));
    // At the default interval this would take a minute.
    registry.has_received("findAllInstances", 20).await;
}

#[tokio::test]
pub(crate) async fn registry_timeout() {
    let requests = async |settings| {
        let registry = RecordingRegistry::start().await;
        registry.behave(Manner::Hanging);
        let line = format!("call tick --timeout 3s --registry {}", registry.url());
        let done = rpcd(settings, &line).await;
        assert_eq!(done.code, UNREACHABLE, "{done:?}");
        registry.count("findAllInstances")
    };
    let set = &[("CLIENT_REGISTRY_TIMEOUT", "100ms")];
    let (set, default) = join!(requests(set), requests(&[]));
    // At the default one request of the client takes more than all the time there is.
    assert!(set > default, "{set} and {default}");
}

#[tokio::test]
pub(crate) async fn list_cache() {
    let (peer, _) = extended(AT_ONCE).await;
    let registry = listing(&[&peer]).await;
    let line = format!("call tick --registry {}", registry.url());
    let folder = tempfile::tempdir().unwrap();
    let set = &[("CLIENT_LIST_CACHE", folder.path().to_str().unwrap())][..];
    let off = &[("CLIENT_LIST_CACHE", ""), ("CLIENT_TIMEOUT", "1s")][..];
    assert_eq!(rpcd(set, &line).await.code, DONE);
    registry.behave(Manner::Failing);
    let (set, off) = join!(rpcd(set, &line), rpcd(off, &line));
    assert_eq!((set.code, off.code), (DONE, FAILED), "{set:?} {off:?}");
    assert!(set.stderr.contains("meanwhile calls go by its list of"), "{set:?}");
}

#[tokio::test]
pub(crate) async fn max_reply_bytes() {
    let peer = instance(|tick| Do::Write(result(tick, &format!("{:?}", "x".repeat(5000))))).await;
    let line = at(&peer, "call tick");
    let (set, default) =
        join!(rpcd(&[("CLIENT_MAX_REPLY_BYTES", "4KiB")], &line), rpcd(&[], &line));
    assert_eq!((set.code, default.code), (FAILED, DONE), "{set:?} {default:?}");
    assert!(set.stderr.contains("4096"), "{}", set.stderr);
}

#[tokio::test]
pub(crate) async fn max_list_bytes() {
    let (peer, _) = extended(AT_ONCE).await;
    let registry = listing(&[&peer]).await;
    let limited = &[("CLIENT_MAX_LIST_BYTES", "64")];
    for command in ["instances", "call tick"] {
        let line = format!("{command} --registry {}", registry.url());
        let (set, default) = join!(rpcd(limited, &line), rpcd(&[], &line));
        assert_eq!((set.code, default.code), (FAILED, DONE), "{set:?} {default:?}");
        assert!(set.stderr.contains("64 bytes; raise max_list_bytes"), "{}", set.stderr);
    }
}

#[tokio::test]
pub(crate) async fn max_in_flight() {
    let ((few, counted), (many, all)) = join!(extended(TOGETHER), extended(TOGETHER));
    let call = "call tick --concurrency 6";
    let (set, default) = (at(&few, call), at(&many, call));
    let (set, default) = join!(rpcd(&[("CLIENT_MAX_IN_FLIGHT", "2")], &set), rpcd(&[], &default));
    assert_eq!((set.code, default.code), (DONE, DONE), "{set:?} {default:?}");
    assert_eq!((counted.calls(), counted.most()), (6, 2));
    assert_eq!((all.calls(), all.most()), (6, 6));
}

#[tokio::test]
pub(crate) async fn max_classic_connections() {
    let ((few, counted), (many, all)) = join!(classic(TOGETHER), classic(TOGETHER));
    let call = "call tick --concurrency 6";
    let (set, default) = (at(&few, call), at(&many, call));
    let (set, default) =
        join!(rpcd(&[("CLIENT_MAX_CLASSIC_CONNECTIONS", "2")], &set), rpcd(&[], &default));
    assert_eq!((set.code, default.code), (DONE, DONE), "{set:?} {default:?}");
    assert_eq!((counted.calls(), counted.connections(), few.seen.accepted()), (6, 2, 2));
    assert!(all.connections() > 2, "{}", all.connections());
}

#[tokio::test]
pub(crate) async fn max_classic_queue() {
    let ((few, counted), (many, all)) = join!(classic(TOGETHER), classic(TOGETHER));
    let call = "call tick --concurrency 4";
    let (set, default) = (at(&few, call), at(&many, call));
    let one = ("CLIENT_MAX_CLASSIC_CONNECTIONS", "1");
    let (both, one) = (&[one, ("CLIENT_MAX_CLASSIC_QUEUE", "1")], &[one]);
    let (set, default) = join!(rpcd(both, &set), rpcd(one, &default));
    // One is served, one waits, the other two are refused.
    assert_eq!(set.code, USAGE, "{set:?}");
    assert!(counted.calls() <= 2, "{}", counted.calls());
    assert_eq!((default.code, all.calls()), (DONE, 4), "{default:?}");
}

/// A call every 300 ms, which is longer than the times these tests set.
const SLOW_RATE: &str = "bench tick --rate 3.3 --count 4";

#[tokio::test]
pub(crate) async fn classic_idle_timeout() {
    let ((shortly, set), (long, default)) = join!(classic(AT_ONCE), classic(AT_ONCE));
    let lines = (at(&shortly, SLOW_RATE), at(&long, SLOW_RATE));
    join!(rpcd(&[("CLIENT_CLASSIC_IDLE_TIMEOUT", "30ms")], &lines.0), rpcd(&[], &lines.1));
    // The first call started before the clock.
    assert_eq!((set.calls(), default.calls()), (5, 5));
    assert!(set.connections() >= 4, "{}", set.connections());
    assert!(default.connections() < 4, "{}", default.connections());
}

#[tokio::test]
pub(crate) async fn dialect_ttl() {
    let ((shortly, set), (long, default)) = join!(classic(AT_ONCE), classic(AT_ONCE));
    let lines = (at(&shortly, SLOW_RATE), at(&long, SLOW_RATE));
    // While in use it stays what it is.
    let idle = ("CLIENT_CLASSIC_IDLE_TIMEOUT", "30ms");
    let (both, idle) = (&[idle, ("CLIENT_DIALECT_TTL", "60ms")], &[idle]);
    join!(rpcd(both, &lines.0), rpcd(idle, &lines.1));
    assert_eq!((set.calls(), default.calls()), (5, 5));
    assert!(probes(&shortly) >= 4, "{}", probes(&shortly));
    // The look-up of the method has a connection of its own.
    assert_eq!(probes(&long), 2);
}

#[tokio::test]
pub(crate) async fn idle_timeout() {
    let ((shortly, set), (long, default)) = join!(extended(AT_ONCE), extended(AT_ONCE));
    let lines = (at(&shortly, SLOW_RATE), at(&long, SLOW_RATE));
    join!(rpcd(&[("CLIENT_IDLE_TIMEOUT", "30ms")], &lines.0), rpcd(&[], &lines.1));
    assert_eq!((set.calls(), default.calls()), (5, 5));
    assert!(set.connections() >= 4, "{}", set.connections());
    // The look-up of the method has a connection of its own.
    assert_eq!((default.connections(), long.seen.accepted()), (1, 2));
}

#[tokio::test]
pub(crate) async fn max_probes() {
    let one_at_a_time = async |settings: &[(&str, &str)]| {
        let (good, _) = extended(AT_ONCE).await;
        let (bad, probed) = closed_at_once().await;
        let registry = listing(&[&bad[0], &bad[1], &bad[2], &good]).await;
        // Of a reserved method nothing is looked up, which would connect as well.
        let line = format!(
            "bench rpc.health --rate 20 --duration 10m --balance round_robin --registry {}",
            registry.url()
        );
        let settings = [settings, &[("CLIENT_RETRY_ATTEMPTS", "4")]].concat();
        let _rpcd = Daemon::rpcd_with(&settings, line.split(' '));
        probed.gap_of_the_first_two().await
    };
    // A probe without a reply times out after a second.
    let (set, default) = join!(one_at_a_time(&[("CLIENT_MAX_PROBES", "1")]), one_at_a_time(&[]));
    assert!(set >= Duration::from_millis(900), "{set:?}");
    assert!(default < Duration::from_millis(900), "{default:?}");
}

/// How often two or more overloaded servers are called by the calls of `line`.
async fn attempts(settings: &[(&str, &str)], line: &str, servers: usize) -> usize {
    let mut peers = Vec::new();
    for _ in 0..servers {
        peers.push(instance(|tick| Do::Write(failure(tick, OVERLOADED))).await);
    }
    let registry = listing(&peers.iter().collect::<Vec<_>>()).await;
    let done = rpcd(settings, &format!("{line} --registry {}", registry.url())).await;
    assert_eq!(done.code, FAILED, "{done:?}");
    let calls = peers.iter().flat_map(|peer| peer.seen.calls());
    calls.filter(is_tick).count()
}

#[tokio::test]
pub(crate) async fn retry_attempts() {
    let of = async |settings: &[(&str, &str)]| attempts(settings, "call tick", 5).await;
    let (two, four) = (&[("CLIENT_RETRY_ATTEMPTS", "2")], &[("CLIENT_RETRY_ATTEMPTS", "4")]);
    assert_eq!(join!(of(two), of(&[]), of(four)), (2, 3, 4));
}

#[tokio::test]
pub(crate) async fn retry_ratio() {
    let of = async |settings: &[(&str, &str)]| attempts(settings, "call tick --repeat 20", 2).await;
    // Ten retries at once, and no more; or one for every call.
    let (none, all) = (&[("CLIENT_RETRY_RATIO", "0")], &[("CLIENT_RETRY_RATIO", "1")]);
    let (none, default, all) = join!(of(none), of(&[]), of(all));
    assert_eq!((none, all), (30, 40));
    assert!((31..40).contains(&default), "{default}");
}

#[tokio::test]
pub(crate) async fn retry_hedge() {
    let of = async |settings: &[(&str, &str)]| {
        let slow = |tick: &Value| Do::WriteAfter(Duration::from_secs(2), result(tick, "1"));
        let (a, b) = (reading_instance(slow).await, reading_instance(slow).await);
        let registry = listing(&[&a, &b]).await;
        let done = rpcd(settings, &format!("call tick --registry {}", registry.url())).await;
        assert_eq!(done.code, DONE, "{done:?}");
        [a, b].iter().flat_map(|peer| peer.seen.calls()).filter(is_tick).count()
    };
    let set = &[("CLIENT_RETRY_HEDGE", "400ms")];
    assert_eq!(join!(of(set), of(&[])), (2, 1));
}

#[tokio::test]
pub(crate) async fn retry_burst() {
    let of = async |settings: &[(&str, &str)]| attempts(settings, "call tick --repeat 8", 2).await;
    let none = &[("CLIENT_RETRY_BURST", "0")];
    assert_eq!(join!(of(none), of(&[])), (8, 16));
}

#[tokio::test]
pub(crate) async fn max_ejected_ratio() {
    let calls_of_a_failing_one = async |settings: &[(&str, &str)]| {
        let bad = instance(|tick| Do::Write(failure(tick, FAILED_METHOD))).await;
        let good = instance(|tick| Do::Write(result(tick, "1"))).await;
        let registry = listing(&[&bad, &good]).await;
        let line = format!(
            "bench tick --count 60 --concurrency 1 --balance round_robin --registry {}",
            registry.url()
        );
        rpcd(settings, &line).await;
        bad.seen.messages().iter().filter(|message| is_tick(message)).count()
    };
    let none = &[("CLIENT_MAX_EJECTED_RATIO", "0")];
    let of = calls_of_a_failing_one;
    let (set, default) = join!(of(none), of(&[]));
    assert!(set >= 25 && default <= 15, "{set} {default}");
}

#[tokio::test]
pub(crate) async fn ping_interval() {
    let health_asked = async |settings: &[(&str, &str)]| {
        let slow = Duration::from_millis(1200);
        let slow = instance(move |tick| Do::WriteAfter(slow, result(tick, "1"))).await;
        let good = instance(|tick| Do::Write(result(tick, "1"))).await;
        let registry = listing(&[&slow, &good]).await;
        // Both are called.
        let line =
            format!("call tick --repeat 2 --balance round_robin --registry {}", registry.url());
        let done = rpcd(settings, &line).await;
        assert_eq!(done.stdout, "1\n1", "{done:?}");
        probes(&slow)
    };
    let (set, default) = join!(health_asked(&[("CLIENT_PING_INTERVAL", "0s")]), health_asked(&[]));
    // The dialect is asked for in any case.
    assert_eq!(set, 1);
    assert!(default > 1, "{default}");
}
