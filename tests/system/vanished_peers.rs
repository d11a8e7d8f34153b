//! Peers that vanish without closing their connections.

use std::net::SocketAddr;

use rpc_tests::daemon::Daemon;
use rpc_tests::raw::Raw;
use rpc_tests::sockets::files_of;
use rustix::net::{getpeername, sockopt};

#[tokio::test]
async fn accepted_connections_find_out_in_the_time_that_is_set_that_their_peer_vanished() {
    let setting = ("SERVER_TCP_USER_TIMEOUT", "25s");
    let (server, address) = Daemon::server_with(&[setting], &["--no-registry"]).await;
    finds_out_after_25_s(&server, address).await;
    let setting = ("REGISTRY_SERVER_TCP_USER_TIMEOUT", "25s");
    let (registry, address) = Daemon::registry_with(&[setting], 0, &[]).await;
    finds_out_after_25_s(&registry, address).await;
}

/// By the options of the accepted socket: here no peer can vanish.
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
