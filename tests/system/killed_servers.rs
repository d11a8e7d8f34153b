//! Servers that are killed, and how soon everyone knows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::registry::{RegistryClient, RegistryClientOptions, Watch};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::soon;
use rpc_tests::queries::{find_all, lists};
use rpc_wire::instance::WatchEvent;
use rustix::process::Signal;

const KILLS: usize = 100;

#[tokio::test]
async fn a_server_that_is_killed_is_gone_from_watchers_and_lists_within_a_second() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let client = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let (_stays, stays) = Daemon::server(&["--registry", &url]).await;
    let mut watch = client.watch("json", false, None).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let (server, address) = Daemon::server(&["--registry", &url]).await;
        lists(at, &[stays, address]).await;
        let killed = Instant::now();
        server.signal(Signal::KILL);
        is_gone(&mut watch, address).await;
        times.push(killed.elapsed());
        assert_eq!(find_all(at).await, [stays], "a list is never behind an event");
    }
    times.sort();
    let (p50, p99) = (times[KILLS / 2 - 1], times[KILLS * 99 / 100 - 1]);
    println!("{KILLS} kills: p50 {p50:?}, p99 {p99:?}, longest {:?}", times[KILLS - 1]);
    assert!(p99 < Duration::from_secs(1), "{times:?}");
}

/// Waits until a watcher is told that an instance is gone.
async fn is_gone(watch: &mut Watch, address: SocketAddr) {
    soon("the watcher is told", async {
        loop {
            let (_, event) = watch.next().await.unwrap().unwrap();
            if let WatchEvent::Expired(key, _) = event
                && key.port == address.port()
            {
                return;
            }
        }
    })
    .await;
}
