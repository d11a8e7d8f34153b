//! An instance that leaves the list while it is called.

use std::time::Duration;

use rpc_client::{Client, Request};
use rpc_tests::fakes::{self, Do, failure, result};
use rpc_wire::signature::{contract, to_openrpc};
use serde_json::{Value, json};

use crate::fake_registry::{FakeRegistry, entry};
use crate::offering::read_only;
use crate::{eventually, options};

#[tokio::test]
async fn what_its_methods_change_is_still_known_if_it_abandons_a_call() {
    let methods = [read_only("get")];
    let document = to_openrpc("t", "1", &methods).to_string();
    let server = |get: fn(&Value) -> Do| {
        let document = document.clone();
        fakes::extended(move |request| match request["method_name"].as_str() {
            Some("rpc.discover") => Do::Write(result(request, &document)),
            _ => get(request),
        })
    };
    for knows_before in [true, false] {
        let leaves =
            server(|request| Do::WriteAfter(Duration::from_secs(1), failure(request, -32006)));
        let stays = server(|request| Do::Write(result(request, "2")));
        let (leaves, stays) = (leaves.await, stays.await);
        let listed =
            |address| json!([entry(address, json!({"contract": contract(&methods), "wire": 1}))]);
        let registry = FakeRegistry::new_style().await;
        registry.list_json(&listed(leaves.address));
        let client = Client::through_registry(&registry.url(), options()).unwrap();
        if knows_before {
            client.catalog().await.unwrap();
        }
        let call = client.request(Request::new("get", ()).unwrap());
        let leaving = async {
            eventually("it is called", || {
                leaves.seen.calls().iter().any(|call| call["method_name"] == "get")
            })
            .await;
            registry.list_json(&listed(stays.address));
        };
        let (response, ()) = tokio::join!(call, leaving);
        assert_eq!(response.unwrap().peer, stays.name());
    }
}
