//! Connections that servers hold for their heartbeats, and what their end says.

use std::time::Duration;

use rpc_registry::RegistryOptions;
use tokio::net::TcpListener;

use crate::harness::{Events, Peer, Running, TIMEOUT, instance, post, within};

const REGISTER: &str = "/myRegistry/register?proto=json";
const UNREGISTER: &str = "/myRegistry/unregister?proto=json";
const HELD: &str = "rpcd-beats: held\r\n";

/// A server: it listens, and holds a connection for its heartbeats.
struct Server {
    listener: TcpListener,
    beats: Peer,
}

impl Server {
    /// One that registered with these headers.
    async fn register(registry: &Running, headers: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut server = Self { listener, beats: registry.peer().await };
        server.send(REGISTER, headers).await;
        server
    }

    async fn send(&mut self, path: &str, headers: &str) {
        let body = instance(self.port());
        self.beats.send(&post(path, headers, &body)).await;
        assert_eq!(self.beats.reply().await.status, 200);
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The connection of its heartbeats ends, and it lives on.
    async fn disconnect(&mut self, registry: &Running) {
        self.beats = registry.peer().await;
    }

    /// It is asked whether it lives.
    async fn is_probed(&self) {
        within(self.listener.accept()).await.unwrap();
    }

    /// It is not asked, though another was in the same case and after it.
    async fn is_not_probed(&self, registry: &Running) {
        let mut other = Self::register(registry, HELD).await;
        other.disconnect(registry).await;
        other.is_probed().await;
        self.is_not_probed_now().await;
    }

    async fn is_not_probed_now(&self) {
        let accepted = tokio::time::timeout(Duration::from_millis(50), self.listener.accept());
        assert!(accepted.await.is_err(), "it was probed");
    }
}

/// A registry that does not find anybody dead within the time of a test by their heartbeats.
async fn registry(options: RegistryOptions) -> Running {
    Running::start(RegistryOptions { ttl: 10 * TIMEOUT, ..options }).await
}

async fn ports(registry: &Running) -> Vec<u64> {
    let list = registry.get("/v1/instances").await.json();
    list.as_array().unwrap().iter().map(|entry| entry["port"].as_u64().unwrap()).collect()
}

/// The port of the next instance that is found dead.
async fn next_dead(events: &mut Events) -> u16 {
    loop {
        let event = within(events.next()).await.unwrap();
        if event.name == "expired" {
            assert_eq!(event.json()["reason"], "refused");
            return u16::try_from(event.json()["port"].as_u64().unwrap()).unwrap();
        }
    }
}

#[tokio::test]
async fn an_instance_is_gone_when_the_connection_of_its_heartbeats_ends_and_nothing_listens() {
    let registry = registry(RegistryOptions::default()).await;
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    let mut lives = Server::register(&registry, HELD).await;
    let dies = Server::register(&registry, HELD).await;
    lives.disconnect(&registry).await;
    lives.is_probed().await;
    let port = dies.port();
    drop(dies);
    assert_eq!(next_dead(&mut events).await, port);
    assert_eq!(ports(&registry).await, [u64::from(lives.port())], "it answers");
}

#[tokio::test]
async fn a_server_that_still_listens_for_a_moment_while_it_dies_is_gone_as_well() {
    let registry = registry(RegistryOptions::default()).await;
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    let mut dies = Server::register(&registry, HELD).await;
    dies.disconnect(&registry).await;
    dies.is_probed().await;
    let port = dies.port();
    drop(dies);
    assert_eq!(next_dead(&mut events).await, port);
}

#[tokio::test]
async fn a_connection_says_nothing_once_a_heartbeat_came_on_another() {
    let registry = registry(RegistryOptions::default()).await;
    let mut server = Server::register(&registry, HELD).await;
    assert_eq!(registry.post(REGISTER, &instance(server.port())).await.status, 200);
    server.disconnect(&registry).await;
    server.is_not_probed(&registry).await;
}

#[tokio::test]
async fn many_connections_that_repeat_a_registration_and_end_cause_one_round_of_probes() {
    let registry = registry(RegistryOptions::default()).await;
    let server = Server::register(&registry, HELD).await;
    let mut others = Vec::new();
    for _ in 0..30 {
        let mut other = registry.peer().await;
        other.send(&post(REGISTER, HELD, &instance(server.port()))).await;
        assert_eq!(other.reply().await.status, 200);
        others.push(other);
    }
    drop(others);
    server.is_probed().await;
    let mut probes = 1;
    // The last probe of a round comes after 510 ms.
    let end = tokio::time::Instant::now() + Duration::from_secs(1);
    while tokio::time::timeout_at(end, server.listener.accept()).await.is_ok() {
        probes += 1;
    }
    assert!(probes <= 3, "{probes} probes");
}

#[tokio::test]
async fn the_end_of_any_other_connection_says_nothing() {
    let registry = registry(RegistryOptions::default()).await;
    let mut server = Server::register(&registry, "").await;
    server.disconnect(&registry).await;
    server.is_not_probed(&registry).await;
}

#[tokio::test]
async fn a_connection_that_the_registry_closes_says_nothing() {
    let options = RegistryOptions { header_timeout: Duration::from_secs(1), ..Default::default() };
    let registry = registry(options).await;
    let mut server = Server::register(&registry, HELD).await;
    assert_eq!(server.beats.rest().await, "", "the time between two requests is over");
    server.disconnect(&registry).await;
    server.is_not_probed(&registry).await;
}

#[tokio::test]
async fn the_end_of_the_registry_asks_nobody() {
    let registry = registry(RegistryOptions::default()).await;
    let server = Server::register(&registry, HELD).await;
    registry.end().await;
    server.is_not_probed_now().await;
}

#[tokio::test]
async fn an_instance_that_unregistered_is_not_probed_even_if_it_has_a_successor() {
    let registry = registry(RegistryOptions::default()).await;
    let mut server = Server::register(&registry, HELD).await;
    server.send(UNREGISTER, HELD).await;
    let body = instance(server.port());
    let reply = registry.post(REGISTER, &body);
    // An older server that unregistered must accept a connection before it is listed again.
    let (reply, ()) = tokio::join!(reply, server.is_probed());
    assert_eq!(reply.status, 200);
    server.disconnect(&registry).await;
    server.is_not_probed(&registry).await;
}

#[tokio::test]
async fn a_connection_that_is_held_for_more_instances_than_it_may_tells_of_the_first_ones() {
    let options = RegistryOptions { max_held_per_connection: 1, ..Default::default() };
    let registry = registry(options).await;
    let mut first = Server::register(&registry, HELD).await;
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let body = instance(second.local_addr().unwrap().port());
    for _ in 0..2 {
        first.beats.send(&post(REGISTER, HELD, &body)).await;
        assert_eq!(first.beats.reply().await.status, 200);
    }
    first.disconnect(&registry).await;
    first.is_probed().await;
    let second = Server { listener: second, beats: registry.peer().await };
    second.is_not_probed(&registry).await;
}

#[tokio::test]
async fn a_server_whose_latest_connection_ends_right_after_an_earlier_one_is_found_dead() {
    let registry = registry(RegistryOptions::default()).await;
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    let mut server = Server::register(&registry, HELD).await;
    // As after a pause of the registry, in which the server began another connection, and was killed.
    server.disconnect(&registry).await;
    server.is_probed().await;
    server.send(REGISTER, HELD).await;
    let port = server.port();
    drop(server);
    assert_eq!(next_dead(&mut events).await, port);
}
