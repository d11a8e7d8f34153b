//! Operators' overrides over HTTP: lists, records, events, and what the instance is told.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_registry::RegistryOptions;
use serde_json::{Value, json};

use crate::harness::{Event, Events, Reply, Running, get, post, within};

const LIST: &str = "/myRegistry/findAllInstances?proto=json";

fn with_body(method: &str, target: &str, headers: &str, body: &str) -> String {
    post(target, headers, body).replacen("POST", method, 1)
}

async fn put(registry: &Running, target: &str, body: &Value) -> Reply {
    registry.ask(&with_body("PUT", target, "", &body.to_string())).await
}

async fn delete(registry: &Running, target: &str) -> Reply {
    registry.ask(&get(target, "").replacen("GET", "DELETE", 1)).await
}

fn of(port: u16) -> String {
    format!("/v1/overrides/json/127.0.0.1/{port}")
}

fn ports(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|it| it["port"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_drained_instance_leaves_the_older_list_and_is_told_until_it_is_taken_back() {
    let registry = Running::default().await;
    registry.register(1).await;
    registry.register(2).await;
    let before = registry.get(LIST).await;
    assert_eq!(ports(&before.json()), [1, 2]);

    let body = json!({"state": "draining", "reason": "deploy 7", "for": "10m", "by": "me@home"});
    let reply = put(&registry, &of(1), &body).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let set = reply.json();
    let left = set["for_ms"].as_u64().unwrap();
    assert!((590_000..=600_000).contains(&left), "{set}");
    let mut expected = json!({"protocol": "json", "host": "127.0.0.1", "port": 1,
        "state": "draining", "reason": "deploy 7", "by": "me@home", "listed": true});
    expected["for_ms"] = left.into();
    assert_eq!(set, expected);

    let after = registry.get(LIST).await;
    assert_eq!(ports(&after.json()), [2]);
    assert_ne!(after.header("etag"), before.header("etag"));
    let records = registry.get("/v1/instances").await.json();
    assert_eq!(
        (records[0]["state"].as_str(), records[1]["state"].as_str()),
        (Some("draining"), Some("up"))
    );
    assert_eq!(records[0]["override"]["reason"], "deploy 7");
    assert_eq!(records[0]["override"]["by"], "me@home");
    assert_eq!(records[1].get("override"), None);
    let all = registry.get("/v1/overrides").await.json();
    assert_eq!((ports(&all), all[0]["reason"].as_str()), (vec![1], Some("deploy 7")));

    for port in [1, 2] {
        let beat = registry.register(port).await;
        assert_eq!(beat.json()["status"], true);
        assert_eq!(beat.header("rpcd-override"), (port == 1).then_some("draining"));
    }
    let taken = delete(&registry, &of(1)).await;
    assert_eq!((taken.status, taken.json()["reason"].as_str()), (200, Some("deploy 7")));
    assert_eq!(registry.register(1).await.header("rpcd-override"), None);
    assert_eq!(registry.get(LIST).await.body, before.body);
    let none = delete(&registry, &of(1)).await;
    assert_eq!((none.status, none.json()), (200, Value::Null));
    assert_eq!(registry.get("/v1/overrides").await.body, "[]");
    registry.end().await;
}

#[tokio::test]
async fn an_override_waits_for_its_instance_and_stays_when_that_restarts() {
    let registry = Running::default().await;
    let body = r#"{"protocol":"json","host":"::1","port":7,"parameters":{"incarnation":1}}"#;
    let target = "/v1/overrides/json/%3A%3A1/7";
    let set = put(&registry, target, &json!({"state": "maintenance"})).await.json();
    assert_eq!((set["listed"].as_bool(), set["by"].as_str()), (Some(false), Some("127.0.0.1")));
    assert_eq!(set.get("for_ms"), None);
    for incarnation in 1..=3 {
        let body = body.replace("n\":1", &format!("n\":{incarnation}"));
        let reply = registry.post("/myRegistry/register", &body).await;
        assert_eq!(reply.header("rpcd-override"), Some("maintenance"), "{body}");
        assert_eq!(registry.get(LIST).await.body, "[]");
        assert_eq!(registry.get("/v1/instances").await.json()[0]["state"], "maintenance");
        if incarnation < 3 {
            registry.post("/myRegistry/unregister", &body).await;
        }
    }
    let taken = delete(&registry, "/v1/overrides/json/[::1]/7").await.json();
    assert_eq!(taken["listed"], true);
    assert_eq!(ports(&registry.get(LIST).await.json()), [7]);
    registry.end().await;
}

/// A reader of events: the older list is what it has without those out of use.
#[derive(Default)]
struct Folded(BTreeMap<u64, String>);

impl Folded {
    fn fold(&mut self, event: &Event) {
        let json = event.json();
        let records = json.as_array().cloned().unwrap_or_else(|| vec![json]);
        if event.name == "snapshot" {
            self.0.clear();
        }
        for record in &records {
            let port = record["port"].as_u64().unwrap();
            match event.name.as_str() {
                "unregistered" | "expired" => self.0.remove(&port),
                _ => self.0.insert(port, record["state"].as_str().unwrap().to_owned()),
            };
        }
    }

    fn up(&self) -> Vec<u64> {
        self.0.iter().filter(|(_, state)| *state == "up").map(|(port, _)| *port).collect()
    }
}

#[tokio::test]
async fn watchers_get_an_update_for_each_override_and_what_they_fold_is_the_list() {
    let registry = Running::default().await;
    registry.register(1).await;
    registry.register(2).await;
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    let mut folded = Folded::default();
    folded.fold(&events.next().await.unwrap());
    let mut last = 2;
    let mut next = async |folded: &mut Folded, state: &str| {
        let event = events.next().await.unwrap();
        folded.fold(&event);
        let json = event.json();
        assert_eq!((event.name.as_str(), json["state"].as_str()), ("updated", Some(state)));
        assert_eq!(json.get("override").is_some(), state != "up", "{json}");
        last += 1;
        assert!(event.id.unwrap().ends_with(&format!(".{last}")), "one revision each");
        assert_eq!(folded.up(), ports(&registry.get(LIST).await.json()));
    };
    put(&registry, &of(9), &json!({"state": "draining"})).await;
    put(&registry, &of(2), &json!({"state": "draining"})).await;
    next(&mut folded, "draining").await;
    put(&registry, &of(2), &json!({"state": "maintenance"})).await;
    next(&mut folded, "maintenance").await;
    registry
        .post(
            "/myRegistry/register",
            r#"{"protocol":"json","host":"127.0.0.1","port":2,"parameters":{"weight":3}}"#,
        )
        .await;
    next(&mut folded, "maintenance").await;
    delete(&registry, &of(9)).await;
    delete(&registry, &of(2)).await;
    next(&mut folded, "up").await;
    registry.end().await;
}

#[tokio::test]
async fn an_override_ends_at_its_time_and_a_long_poll_sees_it() {
    let registry = Running::default().await;
    registry.register(1).await;
    // A later one first: the timer takes the one that ends first.
    put(&registry, &of(2), &json!({"state": "draining", "for": "1h"})).await;
    put(&registry, &of(1), &json!({"state": "draining", "for": "300ms"})).await;
    let drained = registry.get(LIST).await;
    assert_eq!(drained.body, "[]");
    let condition = format!("If-None-Match: {}\r\n", drained.header("etag").unwrap());
    let list = within(registry.ask(&get(&format!("{LIST}&wait=15s"), &condition))).await;
    assert_eq!((list.status, ports(&list.json())), (200, vec![1]));
    assert_eq!(ports(&registry.get("/v1/overrides").await.json()), [2]);
    assert_eq!(registry.register(1).await.header("rpcd-override"), None);
    registry.end().await;
}

#[tokio::test]
async fn overrides_are_refused_like_everything_else() {
    let options = RegistryOptions { max_overrides: 1, ..RegistryOptions::default() };
    let registry = Running::start(options).await;
    let draining = json!({"state": "draining"});
    for target in ["/v1/overrides", "/v1/overrides/json/h", "/v1/overrides/json/h/1/2", "/nope"] {
        put(&registry, target, &draining).await.refuses(404, "Not Found");
        delete(&registry, target).await.refuses(404, "Not Found");
    }
    registry.post(&of(1), &draining.to_string()).await.refuses(404, "Not Found");
    put(&registry, &of(0), &draining).await.refuses(400, "port: is 0");
    put(&registry, "/v1/overrides/json/a%20b/1", &draining).await.refuses(400, "host: must be");
    put(&registry, &of(1), &json!({"state": "up"})).await.refuses(400, "body: unknown variant");
    put(&registry, &of(1), &json!({"state": "draining", "for": "ever"}))
        .await
        .refuses(400, "for: ");
    let put_as = |headers: &str| with_body("PUT", &of(1), headers, &draining.to_string());
    registry.ask(&put_as("Content-Type: text/plain\r\n")).await.refuses(415, "content-type");
    registry.ask(&put_as("Origin: http://evil.example\r\n")).await.refuses(403, "");
    let foreign = get(&of(1), "Origin: http://evil.example\r\n").replacen("GET", "DELETE", 1);
    registry.ask(&foreign).await.refuses(403, "");
    assert_eq!(put(&registry, &of(1), &draining).await.status, 200);
    put(&registry, &of(2), &draining).await.refuses(503, "raise max_overrides");
    assert_eq!(put(&registry, &of(1), &draining).await.status, 200);
    registry.end().await;
}

#[tokio::test]
async fn an_older_body_and_reply_are_the_same_whether_or_not_it_is_drained() {
    let registry = Running::start(RegistryOptions {
        ttl: Duration::from_secs(60),
        ..RegistryOptions::default()
    })
    .await;
    let before = registry.register(1).await;
    put(&registry, &of(1), &json!({"state": "draining"})).await;
    let after = registry.register(1).await;
    assert_eq!((after.status, after.body), (before.status, before.body));
    registry.end().await;
}
