//! The lives of a server at one address, as its requests show them.

use rpc_registry::RegistryOptions;
use rpc_wire::instance::incarnation;
use serde_json::json;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Reply, Running, instance, post};

const REGISTER: &str = "/myRegistry/register?proto=json";
const UNREGISTER: &str = "/myRegistry/unregister?proto=json";

async fn send(registry: &Running, path: &str, incarnation: u64) -> Reply {
    let instance = json!({"protocol": "json", "host": "127.0.0.1", "port": 1,
        "parameters": {"incarnation": incarnation}});
    registry.post(path, &instance.to_string()).await
}

async fn incarnations(registry: &Running) -> Vec<u64> {
    let list = registry.get("/v1/instances").await.json();
    list.as_array().unwrap().iter().map(|entry| entry["incarnation"].as_u64().unwrap()).collect()
}

fn starting_in(time: Duration) -> u64 {
    incarnation(SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + time, 0)
}

#[tokio::test]
async fn an_earlier_life_is_told_the_later_one_and_its_farewell_changes_nothing() {
    let registry = Running::default().await;
    for incarnation in [5, 6] {
        assert_eq!(send(&registry, REGISTER, incarnation).await.status, 200);
    }
    let refused = send(&registry, REGISTER, 5).await;
    let error = "incarnation: 6 has registered at this address; a server that listens there may follow with one more";
    assert_eq!(refused.json(), json!({"error": error, "incarnation": 6, "listed": true}));
    assert_eq!(refused.status, 409);
    let farewell = send(&registry, UNREGISTER, 5).await;
    assert_eq!((farewell.status, farewell.json()["status"].clone()), (200, json!(false)));
    assert_eq!(incarnations(&registry).await, [6]);
}

#[tokio::test]
async fn a_heartbeat_that_was_overtaken_by_its_farewell_lists_nobody() {
    let registry = Running::default().await;
    send(&registry, REGISTER, 5).await;
    send(&registry, UNREGISTER, 5).await;
    let refused = send(&registry, REGISTER, 5).await.json();
    assert_eq!((&refused["incarnation"], &refused["listed"]), (&json!(5), &json!(false)));
    assert_eq!(incarnations(&registry).await, [0; 0]);
    // A server that listens there follows with the next number.
    assert_eq!(send(&registry, REGISTER, 6).await.status, 200);
    assert_eq!(incarnations(&registry).await, [6]);
}

#[tokio::test]
async fn an_incarnation_of_the_day_after_tomorrow_is_refused() {
    let options = RegistryOptions::default();
    let registry = Running::start(RegistryOptions::default()).await;
    for path in [REGISTER, UNREGISTER] {
        let ahead = starting_in(options.max_clock_ahead + Duration::from_secs(60));
        send(&registry, path, ahead).await.refuses(400, "set the clock of the server");
    }
    assert_eq!(incarnations(&registry).await, [0; 0]);
    let tomorrow = starting_in(Duration::from_secs(24 * 3600));
    assert_eq!(send(&registry, REGISTER, tomorrow).await.status, 200);
}

#[tokio::test]
async fn one_request_has_the_heartbeats_of_many_and_its_answer_says_who_must_register_again() {
    let registry = Running::default().await;
    send(&registry, REGISTER, 5).await;
    registry.register(2).await;
    let draining = r#"{"state":"draining"}"#;
    let overrides = "/v1/overrides/json/127.0.0.1/2";
    registry.ask(&post(overrides, "", draining).replacen("POST", "PUT", 1)).await;
    let key = |port: u16| json!({"protocol": "json", "host": "127.0.0.1", "port": port});
    let life = |port: u16, incarnation: u64| {
        let mut key = key(port);
        key["incarnation"] = incarnation.into();
        key
    };
    let beats = json!([life(1, 5), key(2), key(3), life(1, 4), key(1)]);
    let answer = registry.post("/v1/heartbeats", &beats.to_string()).await;
    let mut overridden = key(2);
    overridden["state"] = "draining".into();
    let expected =
        json!({"renewed": 2, "unknown": [key(3), key(1), key(1)], "overridden": [overridden]});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let list = registry.get("/v1/instances").await.json();
    let counts: Vec<_> =
        list.as_array().unwrap().iter().map(|entry| entry["heartbeats"].clone()).collect();
    assert_eq!(counts, [2, 2]);
    assert_eq!(registry.metric("rpc_registry_heartbeats_total").await, 2.0);
}

#[tokio::test]
async fn what_is_no_list_of_instances_renews_nobody() {
    let registry = Running::default().await;
    registry.register(1).await;
    let one = instance(1);
    for body in ["", "{}", &one, "[7]", &format!("[{one},{{\"port\":1}}]")] {
        let answer = registry.post("/v1/heartbeats", body).await;
        answer.refuses(400, "body: not a list of instances");
    }
    let list = registry.get("/v1/instances").await.json();
    assert_eq!(list[0]["heartbeats"], 1);
}
