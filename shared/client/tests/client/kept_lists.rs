//! Lists that say "nobody" while the instances of the last one answer: it is kept.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_client::{CallError, Client, ListProblem, ListSource};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::fake_registry::{FakeRegistry, entry};
use crate::fakes::{Do, adder, classic};
use crate::{eventually, options};

fn nobody() -> [Value; 2] {
    [json!([]), json!([null, 1, {"a": 2}])]
}

fn problem(client: &Client) -> Option<ListProblem> {
    client.list_status().unwrap().problem
}

async fn sum(client: &Client) -> Result<Value, CallError> {
    client.call("add", (1, 2)).await
}

#[tokio::test]
async fn a_list_of_nobody_is_not_believed_while_an_instance_answers() {
    for empty in nobody() {
        for registry in [FakeRegistry::old_style().await, FakeRegistry::new_style().await] {
            let peer = adder().await;
            registry.list(&[peer.address]);
            let client = Client::through_registry(&registry.url(), options()).unwrap();
            assert_eq!(sum(&client).await.unwrap(), 3);
            registry.list_json(&empty);
            let unlisted = || problem(&client) == Some(ListProblem::ListsNobody);
            eventually("the empty list is known", unlisted).await;
            let status = client.list_status().unwrap();
            assert_eq!((status.source, status.instances), (ListSource::Registry, 1));
            assert_eq!(status.skipped, empty.as_array().unwrap().len());
            assert!(!status.is_live() && client.instances()[0].stale);
            for _ in 0..20 {
                assert_eq!(sum(&client).await.unwrap(), 3);
            }
            registry.list(&[peer.address]);
            eventually("the list is live", || client.list_status().unwrap().is_live()).await;
        }
    }
}

#[tokio::test]
async fn an_instance_without_a_connection_is_probed_before_a_list_of_nobody_is_believed() {
    let registry = FakeRegistry::old_style().await;
    let (newer, older) = (adder().await, classic(|_| Do::Write(r#"{"res": 3}"#.to_owned())).await);
    registry.list(&[newer.address, older.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    eventually("both are known", || client.instances().len() == 2).await;
    registry.list_json(&json!([]));
    eventually("the empty list is known", || problem(&client).is_some()).await;
    assert_eq!(client.instances().len(), 2, "it was never called");
    drop(newer);
    let before = registry.requests().len();
    eventually("it is asked again", || registry.requests().len() > before + 3).await;
    assert_eq!(client.instances().len(), 2, "the older one is up");
}

#[tokio::test]
async fn a_list_of_nobody_is_believed_once_nobody_answers() {
    for empty in nobody() {
        for registry in [FakeRegistry::old_style().await, FakeRegistry::new_style().await] {
            let peer = adder().await;
            let dead: SocketAddr = ReservedPort::new().address();
            registry.list(&[peer.address, dead]);
            let client = Client::through_registry(&registry.url(), options()).unwrap();
            assert_eq!(sum(&client).await.unwrap(), 3);
            registry.list_json(&empty);
            eventually("the empty list is known", || problem(&client).is_some()).await;
            // The list has not changed since, only the instances.
            drop(peer);
            eventually("it is believed", || client.instances().is_empty()).await;
            assert!(client.list_status().unwrap().is_live());
            let error = sum(&client).await.unwrap_err();
            assert!(matches!(error, CallError::NoInstance { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn the_readable_entries_of_a_list_count_and_the_others_are_counted() {
    let registry = FakeRegistry::old_style().await;
    let (one, two) = (adder().await, adder().await);
    registry.list(&[one.address]);
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    assert_eq!(sum(&client).await.unwrap(), 3);
    registry.list_json(&json!([null, entry(two.address, json!({})), {"a": 2}]));
    let is_second = || client.instances()[0].instance.port == two.address.port();
    eventually("the second is known", is_second).await;
    let status = client.list_status().unwrap();
    assert_eq!((status.instances, status.skipped, status.is_live()), (1, 2, true));
    assert!(status.age.is_some_and(|age| age < Duration::from_secs(5)));
}

#[tokio::test]
async fn before_its_first_reply_there_is_no_list_and_for_one_server_there_never_is() {
    let unused = ReservedPort::new();
    let client = Client::through_registry(&unused.url(), options()).unwrap();
    let status = client.list_status().unwrap();
    assert_eq!((status.source, status.age, status.problem), (ListSource::None, None, None));
    client.list_refreshed().await;
    let status = client.list_status().unwrap();
    assert!(matches!(status.problem, Some(ListProblem::Registry(_))), "{status}");
    assert_eq!(status.source, ListSource::None);
    let peer = adder().await;
    assert!(Client::direct(peer.name(), options()).unwrap().list_status().is_none());
}
