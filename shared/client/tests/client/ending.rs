//! Closing and dropping: every task and socket ends, and no call waits for ever.

use std::time::Duration;

use rpc_client::{CallError, Client};
use tokio::runtime::Handle;

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, Peer, adder, classic, extended, result, sum};
use crate::{direct, eventually, options};

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

async fn old_adder() -> Peer {
    classic(|request| Do::Write(format!("{{\"res\": {}}}", sum(request)))).await
}

#[tokio::test]
async fn after_close_no_task_is_left_and_the_peer_sees_the_end() {
    let peers = [adder().await, old_adder().await];
    for peer in &peers {
        let before = tasks();
        let client = direct(peer.address);
        let other = client.clone();
        client.call("add", (1, 2)).await.unwrap();
        assert!(tasks() > before);
        let with_peers = tasks();
        client.close().await;
        assert!(tasks() < with_peers, "no task is left when close returns");
        eventually("the peer sees the end", || peer.seen.open() == 0).await;
        eventually("no task of the peer's is left", || tasks() == before).await;
        assert_eq!(other.call("add", (1, 2)).await, Err(CallError::Closed));
        other.close().await;
    }
}

#[tokio::test]
async fn dropping_the_last_clone_ends_everything_too() {
    let peers = [adder().await, old_adder().await];
    for peer in &peers {
        let before = tasks();
        let client = direct(peer.address);
        let other = client.clone();
        client.call("add", (1, 2)).await.unwrap();
        drop(client);
        other.call("add", (1, 2)).await.unwrap();
        drop(other);
        eventually("the peer sees the end", || peer.seen.open() == 0).await;
        eventually("no task is left", || tasks() == before).await;
    }
}

#[tokio::test]
async fn a_client_of_a_registry_leaves_nothing_behind_either() {
    let peer = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peer.address]);
    let before = tasks();
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    client.call("add", (1, 2)).await.unwrap();
    client.close().await;
    eventually("the peer sees the end", || peer.seen.open() == 0).await;
    eventually("the registry sees the end", || registry.open() == 0).await;
    eventually("no task is left", || tasks() == before).await;
}

#[tokio::test]
async fn calls_and_streams_in_flight_fail_when_the_client_closes() {
    let peer = extended(|_| Do::Nothing).await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("m", ()).await }
    });
    eventually("both are sent", || peer.seen.calls().len() == 2).await;
    client.close().await;
    assert_eq!(call.await.unwrap(), Err(CallError::Closed));
    assert_eq!(stream.next().await.unwrap().unwrap_err(), CallError::Closed);
    eventually("the peer sees the end", || peer.seen.open() == 0).await;
}

#[tokio::test]
async fn a_call_that_still_connects_fails_when_the_client_closes() {
    let peer = crate::fakes::scripted(|_, socket, _| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let client = direct(peer.address);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call("m", ()).await }
    });
    eventually("it connects", || peer.seen.accepted() == 1).await;
    client.close().await;
    assert_eq!(call.await.unwrap(), Err(CallError::Closed));
}

#[tokio::test]
async fn a_stream_ends_with_the_last_clone_of_its_client() {
    let peer = extended(|_| Do::Nothing).await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    drop(client);
    assert_eq!(stream.next().await.unwrap().unwrap_err(), CallError::Closed);
}

#[tokio::test]
async fn a_draining_server_gets_no_new_call_and_replies_to_those_in_flight() {
    let peer = extended(|request| match request["method_name"].as_str() {
        Some("drain") => Do::Write(format!("{{\"draining\":true}}\n{}", result(request, "1"))),
        _ => Do::WriteAfter(Duration::from_millis(50), result(request, "2")),
    })
    .await;
    let client = direct(peer.address);
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.call_as::<i64>("slow", ()).await }
    });
    eventually("the slow call is sent", || peer.seen.calls().len() == 1).await;
    assert_eq!(client.call_as::<i64>("drain", ()).await, Ok(1));
    assert_eq!(client.call_as::<i64>("next", ()).await, Ok(2), "on a new connection");
    assert_eq!(slow.await.unwrap(), Ok(2));
    assert_eq!(peer.seen.accepted(), 2);
    eventually("the drained connection is closed", || peer.seen.open() == 1).await;
}
