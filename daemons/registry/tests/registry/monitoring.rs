//! What monitoring asks a registry: targets of Prometheus, and the catalog of services.

use serde_json::{Value, json};

use crate::harness::Running;

const CONTRACT: &str = "6fd366f4bb221e5e84839607df2cdc62";

async fn register(registry: &Running, host: &str, port: u16, parameters: &Value) {
    let instance =
        json!({"protocol": "json", "host": host, "port": port, "parameters": parameters});
    let reply = registry.post("/myRegistry/register?proto=json", &instance.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn every_instance_is_a_target_with_what_it_says_of_itself() {
    let registry = Running::default().await;
    let empty = registry.get("/sd/prometheus").await;
    assert_eq!((empty.status, empty.body.as_str()), (200, "[]"));
    assert_eq!(empty.header("content-type"), Some("application/json"));
    let told =
        json!({"wire": 1, "service": "orders", "version": "1 \"odd\"", "contract": CONTRACT});
    register(&registry, "::1", 1, &told).await;
    // What is no service, no version and no wire is no label.
    let odd = json!({"wire": "x", "service": "or ders", "version": 2, "contract": "c"});
    register(&registry, "10.0.0.7", 2, &odd).await;
    register(&registry, "old.example", 3, &json!({})).await;
    let plain = json!({"__meta_rpcd_protocol": "json", "__meta_rpcd_state": "up"});
    let expected = json!([
        {"targets": ["[::1]:1"], "labels": {
            "__meta_rpcd_protocol": "json", "__meta_rpcd_state": "up", "__meta_rpcd_wire": "1",
            "__meta_rpcd_service": "orders", "__meta_rpcd_version": "1 \"odd\"",
            "__meta_rpcd_contract": CONTRACT}},
        {"targets": ["10.0.0.7:2"], "labels": plain},
        {"targets": ["old.example:3"], "labels": plain},
    ]);
    assert_eq!(registry.get("/sd/prometheus").await.json(), expected);
    let orders = registry.get("/sd/prometheus?service=orders").await.json();
    assert_eq!(orders, json!([expected[0]]));
}

#[tokio::test]
async fn targets_of_many_pages_are_one_list() {
    let registry = Running::default().await;
    // 400 of these are more than three pages.
    let parameters = json!({"wire": 1, "version": "v".repeat(200)});
    for port in 1..=400 {
        register(&registry, "127.0.0.1", port, &parameters).await;
    }
    let reply = registry.get("/sd/prometheus").await;
    let targets = reply.json();
    let found = targets.as_array().unwrap().iter().map(|target| &target["targets"][0]);
    let expected = (1..=400).map(|port| Value::from(format!("127.0.0.1:{port}")));
    assert!(found.eq(expected.collect::<Vec<_>>().iter()), "{targets}");
}

#[tokio::test]
async fn the_catalog_counts_the_instances_of_each_service_and_those_of_none() {
    let registry = Running::default().await;
    let nobody =
        json!({"instances": 0, "protocols": {}, "states": {}, "versions": {}, "contracts": {}});
    let catalog = async || registry.get("/v1/catalog").await.json();
    assert_eq!(catalog().await, json!({"services": [], "without_service": nobody}));
    let orders =
        |version: &str| json!({"service": "orders", "version": version, "contract": CONTRACT});
    register(&registry, "127.0.0.1", 1, &orders("1.0")).await;
    register(&registry, "127.0.0.1", 2, &orders("1.1")).await;
    register(&registry, "127.0.0.1", 3, &orders(&"é".repeat(100))).await;
    register(&registry, "127.0.0.1", 4, &json!({"service": "mail"})).await;
    register(&registry, "127.0.0.1", 5, &json!({})).await;
    let one = |versions: Value| {
        json!({"instances": 1, "protocols": {"json": 1}, "states": {"up": 1},
               "versions": versions, "contracts": {}})
    };
    let mut mail = one(json!({}));
    mail["name"] = "mail".into();
    let long = format!("{}…", "é".repeat(64));
    let orders = json!({"name": "orders", "instances": 3, "protocols": {"json": 3},
        "states": {"up": 3}, "versions": {"1.0": 1, "1.1": 1, long: 1}, "contracts": {CONTRACT: 3}});
    let expected = json!({"services": [mail, orders], "without_service": one(json!({}))});
    assert_eq!(catalog().await, expected);
    // Prepared, and never older than the last change.
    assert_eq!(catalog().await, expected);
    let mail = json!({"protocol": "json", "host": "127.0.0.1", "port": 4});
    registry.post("/myRegistry/unregister?proto=json", &mail.to_string()).await;
    let names = catalog().await["services"].as_array().unwrap().len();
    assert_eq!(names, 1, "only orders is left");
}
