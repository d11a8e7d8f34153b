//! The three routes of the older system, byte for byte as its programs use them.

use serde_json::json;

use crate::harness::{Running, get, instance, post};

const REGISTER: &str = "/myRegistry/register?proto=json";
const UNREGISTER: &str = "/myRegistry/unregister?proto=json";
const FIND_ALL: &str = "/myRegistry/findAllInstances?proto=json";

#[tokio::test]
async fn an_older_server_registers_renews_and_unregisters_and_clients_find_it() {
    let registry = Running::default().await;
    let listed =
        r#"{"protocol":"json","host":"127.0.0.1","port":8089,"status":true,"parameters":{}}"#;
    for _ in 0..3 {
        let reply = registry.post(REGISTER, &instance(8089)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, listed));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("transfer-encoding"), None);
    }
    let found = registry.get(FIND_ALL).await;
    assert_eq!((found.status, found.body.clone()), (200, format!("[{listed}]")));
    assert_eq!(found.header("content-type"), Some("application/json"));
    for _ in 0..2 {
        let reply = registry.post(UNREGISTER, &instance(8089)).await;
        assert_eq!((reply.status, reply.json()["status"].clone()), (200, json!(false)));
    }
    assert_eq!(registry.get(FIND_ALL).await.body, "[]");
}

#[tokio::test]
async fn a_whole_reply_byte_for_byte() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    let body = instance(8089);
    peer.send(&post(REGISTER, "Connection: close\r\n", &body)).await;
    let reply = peer.rest().await;
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    let length = format!("content-length: {}", body.len());
    let json = "content-type: application/json";
    // The last one is ours; older servers ignore headers.
    assert_eq!(lines, ["HTTP/1.1 200 OK", "connection: close", &length, json, "rpcd-ttl: 10"]);
}

#[tokio::test]
async fn the_bodys_protocol_counts_not_the_querys() {
    let registry = Running::default().await;
    let body = r#"{"protocol":"other","host":"h","port":1}"#;
    registry.post("/myRegistry/register?proto=json", body).await;
    assert_eq!(registry.get(FIND_ALL).await.body, "[]");
    let found = registry.get("/myRegistry/findAllInstances?proto=other").await.json();
    assert_eq!(found[0]["host"], "h");
}

#[tokio::test]
async fn no_instances_no_protocol_or_another_query_give_an_empty_list() {
    let registry = Running::default().await;
    registry.register(8089).await;
    for query in ["", "?", "?proto=", "?proto=none", "?proto=%00", "?x=json", "?Proto=json"] {
        let found = registry.get(&format!("/myRegistry/findAllInstances{query}")).await;
        assert_eq!((found.status, found.body.as_str()), (200, "[]"), "{query}");
    }
    let found = registry.get("/myRegistry/findAllInstances?x=1&proto=json&proto=none").await;
    assert_eq!(found.json()[0]["port"], 8089);
}

#[tokio::test]
async fn extra_keys_are_ignored_and_status_may_be_anything() {
    let registry = Running::default().await;
    for status in ["true", "false", "null", "\"yes\"", "1", "[{}]"] {
        let body = format!(
            r#"{{"status":{status},"protocol":"json","zone":[1],"host":"h","port":1,"parameters":null}}"#
        );
        let reply = registry.post(REGISTER, &body).await;
        assert_eq!(
            reply.body,
            r#"{"protocol":"json","host":"h","port":1,"status":true,"parameters":{}}"#
        );
    }
    assert_eq!(registry.get(FIND_ALL).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn changed_parameters_are_listed() {
    let registry = Running::default().await;
    for weight in [1, 2] {
        let body = format!(
            r#"{{"protocol":"json","host":"h","port":1,"parameters":{{"weight":{weight}}}}}"#
        );
        registry.post(REGISTER, &body).await;
        assert_eq!(registry.get(FIND_ALL).await.json()[0]["parameters"]["weight"], weight);
    }
}

#[tokio::test]
async fn everything_else_is_not_found_in_json() {
    let registry = Running::default().await;
    let body = instance(1);
    for request in [
        get("/", ""),
        get("/nope", ""),
        get("/myRegistry/register?proto=json", ""),
        get("/myRegistry/unregister", ""),
        get("/myRegistry/findAllInstances/", ""),
        get("/v1/heartbeats", ""),
        get("/sd/consul", ""),
        post(FIND_ALL, "", &body),
        post("/v1/instances", "", &body),
        post("/metrics", "", ""),
        get(FIND_ALL, "").replace("GET", "DELETE"),
        get(FIND_ALL, "").replace("GET", "BREW"),
        get("/healthz", "").replace("GET", "PUT"),
    ] {
        let reply = registry.ask(&request).await;
        assert_eq!((reply.status, reply.body.as_str()), (404, r#"{"error":"Not Found"}"#));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn http_1_0_clients_get_a_length_and_a_closed_connection() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    let body = instance(8089);
    let length = body.len();
    peer.send(&format!("POST {REGISTER} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    let reply = peer.reply().await;
    assert_eq!(reply.json()["status"], true);
    assert_eq!(peer.rest().await, "");
}

#[tokio::test]
async fn one_connection_may_carry_many_requests_even_pipelined() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    for port in 1..=3 {
        peer.send(&post(REGISTER, "", &instance(port))).await;
        assert_eq!(peer.reply().await.json()["port"], port);
    }
    peer.send(&get(FIND_ALL, "").repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(peer.reply().await.json().as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_request_gets_its_reply() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    peer.send(&post(REGISTER, "", &instance(8089))).await;
    peer.half_close().await;
    assert_eq!(peer.reply().await.json()["port"], 8089);
}

#[tokio::test]
async fn a_chunked_body_is_read_and_the_reply_is_not_chunked() {
    let registry = Running::default().await;
    let body = instance(8089);
    let (first, second) = body.split_at(40);
    let chunks =
        format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let head = format!("POST {REGISTER} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    let reply = registry.ask(&format!("{head}{chunks}")).await;
    assert_eq!((reply.status, reply.header("transfer-encoding")), (200, None));
    assert_eq!(reply.json()["port"], 8089);
}
