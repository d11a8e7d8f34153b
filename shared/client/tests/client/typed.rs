//! The client's side of a `#[rpc_service]` trait, without a server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_client::{
    Balance, CallError, CallOptions, Client, ClientOptions, ServiceError, rpc_service,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, extended, failure, result};
use crate::offering::Offering;
use crate::{direct, options};

#[rpc_service(name = "orders", client)]
trait Orders {
    async fn place(&self, call: Call<'_>, what: String, #[default(1)] count: u32) -> Placed;
    #[rpc(idempotent)]
    async fn cancel(&self) -> u8;
    #[rpc(read_only)]
    async fn find(&self) -> Result<u8, Missing>;
    fn watch(&self) -> impl Stream<Item = u8>;
}

#[derive(Debug, Deserialize, PartialEq)]
struct Placed {
    number: u64,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Missing {
    order: u64,
}

fn orders(client: Client) -> OrdersClient {
    OrdersClient::new(client)
}

#[tokio::test]
async fn required_arguments_go_by_position_and_optional_ones_by_name_if_given() {
    let peer = extended(|request| Do::Write(result(request, r#"{"number":7}"#))).await;
    let orders = orders(direct(peer.address));
    assert_eq!(orders.place("tea".to_owned(), None).await, Ok(Placed { number: 7 }));
    assert_eq!(orders.place("tea".to_owned(), 3).await, Ok(Placed { number: 7 }));
    let sent: Vec<(Value, Value)> = peer.seen.calls().into_iter().map(arguments).collect();
    assert_eq!(sent, [(json!(["tea"]), json!({})), (json!(["tea"]), json!({"count": 3}))]);
}

fn arguments(call: Value) -> (Value, Value) {
    (call["method_args"].clone(), call["method_kwargs"].clone())
}

#[tokio::test]
async fn an_error_is_the_methods_own_if_its_data_are() {
    let replies = [
        r#"{"code":-32603,"message":"no order 3","data":{"order":3}}"#,
        r#"{"code":-32603,"message":"a panic"}"#,
        r#"{"code":-32602,"message":"bad","data":{"order":3}}"#,
    ];
    for (number, error) in replies.into_iter().enumerate() {
        let reply = move |request: &Value| {
            Do::Write(format!(r#"{{"id":{},"error":{error}}}"#, request["id"]))
        };
        let peer = extended(reply).await;
        let error = orders(direct(peer.address)).find().await.unwrap_err();
        let is_own = error == ServiceError::Service(Missing { order: 3 });
        assert_eq!(is_own, number == 0, "{error:?}");
    }
}

#[tokio::test]
async fn a_result_of_another_type_is_an_error_that_names_the_method() {
    let peer = extended(|request| Do::Write(result(request, "\"x\""))).await;
    let orders = orders(direct(peer.address));
    let error = orders.cancel().await.unwrap_err();
    assert!(matches!(&error, CallError::WrongType { method, .. } if method == "cancel"), "{error}");
}

#[tokio::test]
async fn options_are_those_of_the_call() {
    let [silent, other] = [extended(|_| Do::Nothing).await, extended(|_| Do::Nothing).await];
    let orders = orders(direct(silent.address));
    let limit = Duration::from_millis(50);
    let there = CallOptions::default().timeout(limit).on(other.address.to_string());
    let error = orders.with(there).cancel().await.unwrap_err();
    let CallError::Timeout { peer, after, .. } = error else { panic!("{error}") };
    assert_eq!((peer, after), (other.address.to_string(), limit));
}

#[tokio::test]
async fn a_method_known_to_be_repeatable_is_retried_and_others_on_request() {
    let calls = Arc::new(AtomicUsize::new(0));
    let mut peers = Vec::new();
    for _ in 0..2 {
        let calls = Arc::clone(&calls);
        let every_second = move |request: &Value| match calls.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Do::Close,
            _ => Do::Write(result(
                request,
                if request["method_name"] == "place" { r#"{"number":1}"# } else { "1" },
            )),
        };
        peers.push(extended(every_second).await);
    }
    let registry = FakeRegistry::new_style().await;
    registry.list(&[peers[0].address, peers[1].address]);
    let round_robin = ClientOptions { balance: Balance::RoundRobin, ..options() };
    let client = Client::through_registry(&registry.url(), round_robin).unwrap();
    let orders = OrdersClient::any_service(client);
    assert_eq!(orders.cancel().await, Ok(1));
    assert_eq!(orders.find().await, Ok(1));
    let twice = orders.with(CallOptions::default().idempotent());
    assert_eq!(twice.place("tea".to_owned(), None).await, Ok(Placed { number: 1 }));
    assert_eq!(calls.load(Ordering::SeqCst), 6);
    let error = orders.place("tea".to_owned(), None).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
}

#[tokio::test]
async fn calls_go_to_instances_of_the_service_or_of_the_one_that_the_client_is_for() {
    let (ours, others) = (Offering::new(&["cancel"]).await, Offering::new(&["cancel"]).await);
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([ours.entry("orders"), others.entry("orders-eu")]));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    for _ in 0..20 {
        orders(client.clone()).cancel().await.unwrap();
    }
    assert_eq!((ours.count("cancel"), others.count("cancel")), (20, 0));
    for _ in 0..20 {
        orders(client.service("orders-eu")).cancel().await.unwrap();
    }
    assert_eq!((ours.count("cancel"), others.count("cancel")), (20, 20));
    for _ in 0..50 {
        OrdersClient::any_service(client.clone()).cancel().await.unwrap();
    }
    assert!(ours.count("cancel") > 20 && others.count("cancel") > 20);
}

#[tokio::test]
async fn a_stream_ends_with_the_first_error() {
    let peer = extended(|request| Do::Write(failure(request, -32603))).await;
    let orders = orders(direct(peer.address));
    let mut numbers = orders.watch().await.unwrap();
    let first = numbers.next().await;
    assert!(matches!(first, Some(Err(CallError::Remote { .. }))), "{first:?}");
    assert!(numbers.next().await.is_none());
}
