//! The lives of a server at one address, with real programs: restarts, clocks that fell back, and two
//! servers that claim the same address.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rpc_client::registry::{RegistryClient, RegistryClientError, RegistryClientOptions};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::lists;
use rpc_tests::reserved_port::ReservedPort;
use rpc_wire::instance::{INCARNATION_KEY, Instance, incarnation};
use rustix::process::Signal;

const FAST_HEARTBEATS: (&str, &str) = ("SERVER_HEARTBEAT_INTERVAL", "100ms");

fn client(registry: SocketAddr) -> RegistryClient {
    RegistryClient::new(&format!("http://{registry}"), RegistryClientOptions::default()).unwrap()
}

/// The incarnation that the registry lists of its only instance.
async fn listed(registry: &RegistryClient) -> Option<u64> {
    let instances = registry.instances("json").await.unwrap();
    assert!(instances.len() <= 1, "{instances:?}");
    instances.first().and_then(|record| record.incarnation)
}

/// An instance as a server registers it that started with its clock this much ahead.
fn started_ahead(address: SocketAddr, time: Duration) -> (Instance, u64) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + time;
    let incarnation = incarnation(since_1970, 0);
    let mut instance = Instance::new(address.ip().to_string(), address.port());
    instance.parameters.insert(INCARNATION_KEY.to_owned(), incarnation.into());
    (instance, incarnation)
}

#[tokio::test]
async fn a_server_that_is_restarted_with_its_clock_set_back_by_a_day_registers_at_once() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let client = client(at);
    let port = ReservedPort::new();
    let url = format!("http://{at}");
    let serve = ["serve", "-p", &port.number().to_string(), "-l", "127.0.0.1", "--registry", &url];
    for unregistered in [false, true] {
        // What it registered before its clock was set back.
        let a_day = Duration::from_secs(24 * 3600 + u64::from(unregistered));
        let (before, incarnation) = started_ahead(port.address(), a_day);
        client.register(&before).await.unwrap();
        if unregistered {
            client.unregister(&before).await.unwrap();
        }
        let mut server = Daemon::rpcd_with(&[FAST_HEARTBEATS], serve);
        eventually("it registers as the successor", async || {
            listed(&client).await == Some(incarnation + 1)
        })
        .await;
        let follows = |line: &str| line.contains("registering as its successor").then_some(());
        server.line("it says why", follows).await;
        server.signal(Signal::INT);
        assert_eq!(server.exit_code().await, 0);
        lists(at, &[]).await;
    }
}

#[tokio::test]
async fn of_two_servers_with_one_address_the_newer_is_listed_and_the_older_says_so_and_returns() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let client = client(at);
    let url = format!("http://{at}");
    let advertise = ["--registry", &url, "--advertise", "127.0.0.1:1"];
    let claimed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (older, _) = Daemon::server_with(&[FAST_HEARTBEATS], &advertise).await;
    lists(at, &[claimed]).await;
    let first = listed(&client).await.unwrap();
    let (mut newer, _) = Daemon::server_with(&[FAST_HEARTBEATS], &advertise).await;
    let complains =
        |line: &str| line.contains("another server registers as this address").then_some(());
    older.line("it learns that another has its address", complains).await;
    let second = listed(&client).await.unwrap();
    assert!(second > first, "{second} after {first}");
    let before = client.instances("json").await.unwrap()[0].heartbeats;
    eventually("the newer stays, whatever the older sends", async || {
        let record = client.instances("json").await.unwrap().remove(0);
        assert_eq!(record.incarnation, Some(second));
        record.heartbeats >= before.map(|count| count + 20)
    })
    .await;
    newer.signal(Signal::INT);
    assert_eq!(newer.exit_code().await, 0);
    eventually("the older has its address again", async || {
        listed(&client).await == Some(second + 1)
    })
    .await;
    let warnings = older.stderr().lines().iter().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "one line per change of state: {}", older.transcript());
}

#[tokio::test]
async fn after_kill_9_the_registry_knows_which_life_is_listed_and_which_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let start = async || {
        let data = ["--data-dir", rpc_tests::daemon::path(folder.path())];
        Daemon::registry_with(&[], port.number(), &data).await
    };
    let (mut registry, at) = start().await;
    let client = client(at);
    let [stays, leaves] = ["192.0.2.1:1", "192.0.2.1:2"].map(|text| {
        let address: SocketAddr = text.parse().unwrap();
        let earlier = started_ahead(address, Duration::ZERO);
        (earlier, started_ahead(address, Duration::from_secs(60)))
    });
    client.register(&stays.1.0).await.unwrap();
    client.register(&leaves.1.0).await.unwrap();
    client.unregister(&leaves.1.0).await.unwrap();
    registry.signal(Signal::KILL);
    registry.exits_within(SOON).await;
    let (_registry, _) = start().await;
    for (life, late, is_listed) in [
        (stays.1.1, &stays.0.0, true),
        (leaves.1.1, &leaves.0.0, false),
        (leaves.1.1, &leaves.1.0, false),
    ] {
        let refused = client.register(late).await.unwrap_err();
        let RegistryClientError::Superseded { incarnation, listed, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!((incarnation, listed), (life, is_listed));
    }
    assert_eq!(listed(&client).await, Some(stays.1.1));
}
