//! Refused requests: status, text, and that the registry goes on.

use rpc_registry::RegistryOptions;

use crate::harness::{Running, get, instance, post};

const REGISTER: &str = "/myRegistry/register?proto=json";
const UNREGISTER: &str = "/myRegistry/unregister?proto=json";

#[tokio::test]
async fn a_bad_body_gets_400_with_what_and_where() {
    let registry = Running::default().await;
    let host = |host: &str| format!(r#"{{"protocol":"json","host":{host},"port":1}}"#);
    let port = |port: &str| format!(r#"{{"protocol":"json","host":"h","port":{port}}}"#);
    let cases = [
        (String::new(), "body: not a JSON object"),
        ("{".to_owned(), "body: not a JSON object"),
        (r#"["json","h",1,true,{}]"#.to_owned(), "body: not a JSON object"),
        ("null".to_owned(), "body: not a JSON object"),
        (port("70000"), "port: is 70000"),
        (port("0"), "port: is 0"),
        (port("\"1\""), "port: is \"1\""),
        (host("\"\""), "host: is 0 bytes"),
        (host("\"a\\u001b[31m\""), "host: must be an IP address"),
        (host(&format!("\"{}\"", "x".repeat(254))), "host: is 254 bytes"),
        (host("1"), "host: is 1"),
        (r#"{"protocol":"JSON!","host":"h","port":1}"#.to_owned(), "protocol: must be"),
        (r#"{"host":"h","port":1}"#.to_owned(), "protocol: is missing"),
        (
            r#"{"protocol":"json","host":"h","port":1,"parameters":[]}"#.to_owned(),
            "parameters: is []",
        ),
    ];
    for (body, what) in &cases {
        for route in [REGISTER, UNREGISTER] {
            registry.post(route, body).await.refuses(400, what);
        }
    }
    assert_eq!(registry.register(1).await.status, 200);
    assert_eq!(registry.metric("rpc_registry_refused_total{status=\"400\"}").await, 28.0);
}

#[tokio::test]
async fn a_body_over_the_limit_gets_413_even_if_it_is_sent_whole_first() {
    let registry = Running::default().await;
    let huge = "x".repeat(10 * 1024 * 1024);
    let chunked = format!(
        "POST {REGISTER} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
        huge.len()
    );
    registry.post(REGISTER, &huge).await.refuses(413, "body: larger than 65536 bytes");
    registry.ask(&chunked).await.refuses(413, "body: larger than 65536 bytes");
    registry.post("/nope", &huge).await.refuses(404, "Not Found");
    let waits = format!(
        "POST {REGISTER} HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
    );
    registry.ask(&waits).await.refuses(413, "body: larger");
    assert_eq!(registry.register(1).await.status, 200);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let registry = Running::default().await;
    let padding = 64 * 1024 - instance(1).len();
    let body = instance(1) + &" ".repeat(padding);
    assert_eq!(registry.post(REGISTER, &body).await.status, 200);
    registry.post(REGISTER, &format!("{body} ")).await.refuses(413, "body");
}

#[tokio::test]
async fn a_web_page_cannot_use_the_registry() {
    let allowed_origins = vec!["http://console.example".to_owned()];
    let registry = Running::start(RegistryOptions { allowed_origins, ..Default::default() }).await;
    let evil = "Origin: http://evil.example\r\n";
    let mine = "Origin: http://console.example\r\n";
    let body = instance(1);
    for request in [
        post(REGISTER, evil, &body),
        get("/v1/instances", evil),
        get("/nope", "Origin: null\r\n"),
        get("/v1/watch", &format!("{mine}{evil}")),
    ] {
        registry.ask(&request).await.refuses(403, "origin: not allowed");
    }
    assert_eq!(registry.ask(&get("/v1/instances", mine)).await.body, "[]");
    registry.ask(&post(REGISTER, mine, &body)).await.refuses(415, "content-type");
    let json = format!("{mine}Content-Type: application/json\r\n");
    assert_eq!(registry.ask(&post(REGISTER, &json, &body)).await.status, 200);
}

/// DNS rebinding: a page's own name resolves to this machine, so that no origin is foreign.
#[tokio::test]
async fn a_request_for_a_foreign_name_at_loopback_is_refused() {
    let allowed_hosts = vec!["registry.example".to_owned()];
    let registry = Running::start(RegistryOptions { allowed_hosts, ..Default::default() }).await;
    let of =
        |headers: &str| format!("GET /v1/instances HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    for host in ["127.0.0.1:9999", "[::1]", "localhost:9999", "registry", "registry.example:9999"] {
        let reply = registry.ask(&of(&format!("Host: {host}\r\n"))).await;
        assert_eq!(reply.status, 200, "{host}");
    }
    for host in ["rebind.attacker.example", "127.0.0.1.attacker.example:9999"] {
        registry
            .ask(&of(&format!("Host: {host}\r\n")))
            .await
            .refuses(403, "host: not a known name");
    }
    let cross = "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n";
    registry.ask(&of(cross)).await.refuses(403, "sec-fetch-site: a page of another site");
    let older = "GET /myRegistry/findAllInstances?proto=json HTTP/1.0\r\n\r\n";
    assert_eq!(registry.ask(older).await.body, "[]");
}

#[tokio::test]
async fn a_content_type_other_than_json_is_refused() {
    let registry = Running::default().await;
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ] {
        let header = format!("Content-Type: {content_type}\r\n");
        let reply = registry.ask(&post(REGISTER, &header, &instance(1))).await;
        assert_eq!(reply.status, status, "{content_type}");
        if status == 415 {
            reply.refuses(415, "content-type: must be application/json");
        }
    }
}

#[tokio::test]
async fn a_full_registry_refuses_registrations_and_accepts_heartbeats() {
    let registry = Running::start(RegistryOptions { max_instances: 2, ..Default::default() }).await;
    for port in [1, 2] {
        assert_eq!(registry.register(port).await.status, 200);
    }
    registry.register(3).await.refuses(503, "the registry is full with 2 instances");
    assert_eq!(registry.register(1).await.status, 200);
}

#[tokio::test]
async fn bad_query_values_are_named() {
    let log_ring = Some(rpc_host::logging::LogRing::new(10));
    let registry = Running::start(RegistryOptions { log_ring, ..Default::default() }).await;
    for (target, what) in [
        ("/myRegistry/findAllInstances?proto=json&wait=30", "query wait: must be a time"),
        ("/v1/watch?beats=yes", "query beats: must be 0 or 1"),
        ("/v1/logs?level=loud", "query level: must be trace"),
        ("/v1/logs?recent=-1", "query recent: must be a number"),
    ] {
        registry.get(target).await.refuses(400, what);
    }
}

#[tokio::test]
async fn bytes_that_are_not_http_close_only_their_own_connection() {
    let registry = Running::default().await;
    for junk in
        ["\0\0\0\0\r\n\r\n", "{\"method_name\": \"add\"}\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n"]
    {
        let mut peer = registry.peer().await;
        peer.send(junk).await;
        peer.half_close().await;
        peer.rest().await;
    }
    let mut peer = registry.peer().await;
    peer.send(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))).await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 431 "));
    assert_eq!(registry.register(1).await.status, 200);
}
