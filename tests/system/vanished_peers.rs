//! Peers that vanish without closing their connections.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rpc_client::{CallError, Client, ClientOptions, Request};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually_within;
use rpc_tests::raw::{Raw, classic};
use rpc_tests::slow;
use rpc_tests::sockets::files_of;
use rpc_tests::two_hosts::TwoHosts;
use rustix::net::{getpeername, sockopt};
use serde_json::json;

#[tokio::test]
async fn accepted_connections_find_out_in_the_time_that_is_set_that_their_peer_vanished() {
    let setting = ("SERVER_TCP_USER_TIMEOUT", "25s");
    let (server, address) = Daemon::server_with(&[setting], &["--no-registry"]).await;
    finds_out_after_25_s(&server, address).await;
    let setting = ("REGISTRY_SERVER_TCP_USER_TIMEOUT", "25s");
    let (registry, address) = Daemon::registry_with(&[setting], 0, &[]).await;
    finds_out_after_25_s(&registry, address).await;
}

/// By the options of the accepted socket.
async fn finds_out_after_25_s(daemon: &Daemon, address: SocketAddr) {
    let mut client = Raw::connect(address).await;
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.line().await.is_some_and(|line| line.contains("200")), "it is accepted");
    let peer = client.stream().local_addr().unwrap();
    let is_accepted = |file: &_| {
        let name = getpeername(file).ok().flatten();
        name.is_some_and(|name| SocketAddr::try_from(name) == Ok(peer))
    };
    let accepted = files_of(daemon.pid()).into_iter().find(is_accepted).unwrap();
    assert!(sockopt::socket_keepalive(&accepted).unwrap());
    let silence = sockopt::tcp_keepidle(&accepted).unwrap().as_secs();
    let interval = sockopt::tcp_keepintvl(&accepted).unwrap().as_secs();
    let questions = u64::from(sockopt::tcp_keepcnt(&accepted).unwrap());
    assert_eq!((silence, silence + questions * interval), (10, 25));
    assert_eq!(sockopt::tcp_user_timeout(&accepted).unwrap(), 25_000);
}

#[test]
fn both_sides_find_out_in_the_time_that_is_set_that_the_other_host_vanished() {
    if !slow::enabled("a vanished host is noticed after 25 s") {
        return;
    }
    let hosts = match TwoHosts::new() {
        Ok(hosts) => hosts,
        Err(why) => return eprintln!("skipped: this user has no network namespaces: {why}"),
    };
    // The thread ends in another namespace than it began in.
    let trial = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(cut_off(&hosts));
    };
    std::thread::spawn(trial).join().unwrap();
}

async fn cut_off(hosts: &TwoHosts) {
    const LIMIT: Duration = Duration::from_secs(25);
    let [near, far] = &hosts.hosts;
    near.enter().unwrap();
    let setting = ("SERVER_TCP_USER_TIMEOUT", "25s");
    let arguments = ["serve", "-p", "0", "-l", "0.0.0.0", "--no-registry"];
    let daemon = Daemon::rpcd_with(&[setting], arguments);
    let port = daemon.announced_address().await.port();
    let address = SocketAddr::new(IpAddr::V4(near.address), port);

    far.enter().unwrap();
    // An idle connection, and one whose reply finds nobody.
    let mut idle = Raw::connect(address).await;
    idle.ask(classic("add", &json!({"a": 1, "b": 2}))).await;
    let mut waits = Raw::connect(address).await;
    waits.send(classic("sleep", &json!({"seconds": 1}))).await;
    // The same of the client: one of them calls when nobody is left.
    // It asks after each quarter of that time, in whole seconds.
    let tcp_user_timeout = Duration::from_secs(24);
    let options = ClientOptions { tcp_user_timeout, ..ClientOptions::default() };
    let clients = [(); 2].map(|()| Client::direct(address.to_string(), options.clone()).unwrap());
    for client in &clients {
        client.call("add", (1, 2)).await.unwrap();
    }
    assert_eq!((near.connections(), far.connections()), (4, 4));

    hosts.cut().unwrap();
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let error = clients[0].request(Request::new("add", (1, 2)).unwrap().timeout(second)).await;
    assert!(matches!(error, Err(CallError::Timeout { .. })), "{error:?}");
    let mut took = [None; 2];
    eventually_within(2 * LIMIT, "both have found out", async || {
        // What the test itself opened stays.
        for (took, (host, left)) in took.iter_mut().zip([(near, 0), (far, 2)]) {
            if host.connections() == left {
                took.get_or_insert(start.elapsed());
            }
        }
        took.iter().all(Option::is_some)
    })
    .await;
    println!("noticed by the server after {:?}, by clients after {:?}", took[0], took[1]);
    for took in took.into_iter().flatten() {
        assert!(took > LIMIT / 2 && took < LIMIT + Duration::from_secs(5), "{took:?}");
    }
}
