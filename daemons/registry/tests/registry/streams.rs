//! Events, log lines and records over HTTP.

use std::time::Duration;

use rpc_host::logging::{LogOptions, LogRing, Logging, daemon_span};
use rpc_registry::RegistryOptions;
use rpc_wire::report::{Level, LogLine};
use serde_json::json;

use crate::harness::{Events, Running, get, instance, within};

#[tokio::test]
async fn records_have_ages() {
    let registry = Running::default().await;
    let body = r#"{"protocol":"json","host":"::1","port":1,"parameters":{"incarnation":7}}"#;
    for _ in 0..3 {
        registry.post("/myRegistry/register", body).await;
    }
    registry.post("/myRegistry/register", r#"{"protocol":"x","host":"h","port":2}"#).await;
    let records = registry.get("/v1/instances?proto=json").await.json();
    let record = &records[0];
    assert_eq!(records.as_array().unwrap().len(), 1);
    for (key, value) in [
        ("host", json!("::1")),
        ("port", json!(1)),
        ("status", json!(true)),
        ("ttl_ms", json!(10_000)),
        ("heartbeats", json!(3)),
        ("state", json!("up")),
        ("incarnation", json!(7)),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
    let registered = record["registered_ms_ago"].as_u64().unwrap();
    assert!(record["age_ms"].as_u64().unwrap() <= registered && registered < 20_000, "{record}");
    let all = registry.get("/v1/instances").await.json();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_watcher_gets_a_snapshot_and_then_every_change_with_its_id() {
    let registry = Running::start(RegistryOptions {
        ttl: Duration::from_millis(300),
        check_interval: Duration::from_millis(100),
        ..Default::default()
    })
    .await;
    let mut events = Events::open(&registry, "/v1/watch?proto=json", "").await;
    let snapshot = events.next().await.unwrap();
    let id = snapshot.id.unwrap();
    let (epoch, revision) = id.split_once('.').unwrap();
    assert_eq!((snapshot.name.as_str(), snapshot.data.as_str(), revision), ("snapshot", "[]", "0"));
    registry.register(1).await;
    for (name, revision) in [("registered", 1), ("expired", 2)] {
        let event = events.next().await.unwrap();
        assert_eq!((event.name.as_str(), event.json()["port"].as_u64()), (name, Some(1)));
        assert_eq!(event.id.unwrap(), format!("{epoch}.{revision}"));
    }
}

#[tokio::test]
async fn a_watcher_of_one_service_gets_its_changes_and_heartbeats_only() {
    let registry = Running::default().await;
    let register = async |port: u16, service: &str| {
        let parameters = format!(r#"{{"service":"{service}"}}"#);
        let body =
            format!(r#"{{"protocol":"json","host":"h","port":{port},"parameters":{parameters}}}"#);
        registry.post("/myRegistry/register", &body).await;
    };
    register(1, "orders").await;
    register(2, "prices").await;
    let mut events = Events::open(&registry, "/v1/watch?service=orders&beats=1", "").await;
    let mut next = async |beats: bool| loop {
        let event = events.next().await.unwrap();
        if (event.name == "beats") == beats {
            let json = event.json();
            let one = json.get(0).cloned().unwrap_or(json);
            return (event.name, one["port"].as_u64().unwrap());
        }
    };
    assert_eq!(next(false).await, ("snapshot".to_owned(), 1));
    register(3, "prices").await;
    register(2, "orders").await;
    assert_eq!(next(false).await, ("registered".to_owned(), 2));
    register(1, "prices").await;
    assert_eq!(next(false).await, ("unregistered".to_owned(), 1));
    for port in [1, 2, 3] {
        register(port, if port == 2 { "orders" } else { "prices" }).await;
    }
    while next(true).await.1 != 2 {}
}

#[tokio::test]
async fn no_line_of_a_snapshot_grows_with_the_number_of_instances() {
    let registry = Running::default().await;
    for port in 1..=20 {
        registry.register(port).await;
    }
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    let snapshot = events.next().await.unwrap();
    assert_eq!(snapshot.json().as_array().unwrap().len(), 20);
    assert_eq!(snapshot.lines, 20);
}

#[tokio::test]
async fn a_watcher_that_reconnects_gets_what_it_missed() {
    let registry = Running::default().await;
    let mut events = Events::open(&registry, "/v1/watch", "").await;
    events.next().await.unwrap();
    registry.register(1).await;
    let id = events.next().await.unwrap().id.unwrap();
    drop(events);
    registry.register(2).await;
    registry.post("/myRegistry/unregister", &instance(1)).await;
    let mut events =
        Events::open(&registry, "/v1/watch", &format!("Last-Event-ID: {id}\r\n")).await;
    let names = [events.next().await.unwrap(), events.next().await.unwrap()].map(|e| e.name);
    assert_eq!(names, ["registered", "unregistered"]);

    let unknown_id = "Last-Event-ID: ffff.1\r\n";
    let mut events = Events::open(&registry, "/v1/watch", unknown_id).await;
    let snapshot = events.next().await.unwrap();
    assert_eq!(
        (snapshot.name.as_str(), snapshot.json()[0]["port"].clone()),
        ("snapshot", json!(2))
    );
}

#[tokio::test]
async fn heartbeat_ages_are_sent_to_watchers_that_ask() {
    // On a busy machine more than the default TTL may pass between two lines.
    let options = RegistryOptions { ttl: Duration::from_secs(600), ..Default::default() };
    let registry = Running::start(options).await;
    registry.register(1).await;
    let mut events = Events::open(&registry, "/v1/watch?beats=1", "").await;
    assert_eq!(events.next().await.unwrap().name, "snapshot");
    registry.register(1).await;
    let event = events.next().await.unwrap();
    assert_eq!((event.name.as_str(), event.id.as_deref()), ("beats", None));
    let ages = event.json();
    assert_eq!((ages[0]["port"].as_u64(), ages[0]["heartbeats"].as_u64()), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_log_is_not_searched_for_a_text_beyond_its_limit() {
    let options = RegistryOptions { log_ring: Some(LogRing::new(10)), ..Default::default() };
    let registry = Running::start(options).await;
    let refused = registry.get(&format!("/v1/logs?contains={}", "x".repeat(1025))).await;
    refused.refuses(400, "query contains: must be at most 1024 bytes");
    let mut peer = registry.peer().await;
    peer.send(&get(&format!("/v1/logs?contains={}", "x".repeat(1024)), "")).await;
    assert_eq!(peer.head().await.status, 200);
}

#[tokio::test]
async fn log_lines_are_streamed_recent_first_with_losses() {
    let ring = LogRing::new(4);
    let push = |level, message: &str| {
        let (target, message) = ("t".to_owned(), message.to_owned());
        let fields = serde_json::Map::new();
        ring.push(LogLine { seq: 0, at_ms: 0, level, target, message, fields });
    };
    for message in ["one", "two \u{1b}[31m\n", "three"] {
        push(Level::Info, message);
    }
    push(Level::Debug, "noise");
    let log_ring = Some(ring.clone());
    let registry = Running::start(RegistryOptions { log_ring, ..Default::default() }).await;
    let mut events = Events::open(&registry, "/v1/logs?level=info&recent=2&contains=t", "").await;
    for message in ["two \u{1b}[31m\n", "three"] {
        let line = events.next().await.unwrap();
        assert_eq!((line.name.as_str(), line.json()["message"].clone()), ("line", json!(message)));
        assert_eq!(line.json().get("dropped"), None);
    }
    push(Level::Warn, "tail");
    let line: LogLine = serde_json::from_str(&events.next().await.unwrap().data).unwrap();
    assert_eq!((line.level, line.message.as_str(), line.seq), (Level::Warn, "tail", 4));
    for n in 0..10 {
        push(Level::Info, &format!("t{n}"));
    }
    let line = events.next().await.unwrap().json();
    assert_eq!((line["message"].as_str(), line["dropped"].as_u64()), (Some("t6"), Some(6)));
}

#[tokio::test]
async fn a_registry_in_a_daemon_span_logs_its_instances_to_its_ring() {
    let log = LogOptions { terminal: false, ..Default::default() };
    let (logging, dispatch) = Logging::build(&log).unwrap();
    // For all threads: while there is only one dispatcher, tracing asks the thread that first meets
    // an event; another test's thread has none and would disable the event for good.
    tracing::dispatcher::set_global_default(dispatch).unwrap();
    let options = RegistryOptions {
        // Long enough for an instance to register and unregister.
        ttl: Duration::from_secs(1),
        check_interval: Duration::from_millis(50),
        log_ring: Some(logging.ring("registry")),
        ..Default::default()
    };
    let registry = Running::start_in(daemon_span("registry"), options).await;
    let mut events = Events::open(&registry, "/v1/logs?contains=127.0.0.1:808", "").await;
    registry.register(8080).await;
    registry.post("/myRegistry/unregister", &instance(8080)).await;
    registry.register(8081).await;
    for (level, message, who) in [
        ("info", "registered", "127.0.0.1:8080"),
        ("info", "unregistered", "127.0.0.1:8080"),
        ("info", "registered", "127.0.0.1:8081"),
        ("warn", "removed: it refuses connections", "127.0.0.1:8081"),
    ] {
        let line = events.next().await.unwrap().json();
        assert_eq!(
            (&line["level"], &line["message"], &line["fields"]["instance"]),
            (&json!(level), &json!(message), &json!(who))
        );
    }
}

#[tokio::test]
async fn a_registry_without_a_log_ring_has_no_logs_to_stream() {
    let registry = Running::default().await;
    registry.get("/v1/logs").await.refuses(404, "Not Found");
}

#[tokio::test]
async fn event_streams_are_limited_and_free_their_place() {
    let keep_alive = Duration::from_millis(20);
    let options = RegistryOptions { max_watchers: 1, keep_alive, ..Default::default() };
    let registry = Running::start(options).await;
    let events = Events::open(&registry, "/v1/watch", "").await;
    registry.get("/v1/watch").await.refuses(503, "1 event streams are open");
    assert_eq!(registry.metric("rpc_registry_streams").await, 1.0);
    drop(events);
    within(async {
        while registry.metric("rpc_registry_streams").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    Events::open(&registry, "/v1/watch", "").await;
}

#[tokio::test]
async fn http_1_1_watchers_get_chunks() {
    let registry = Running::default().await;
    let mut peer = registry.peer().await;
    peer.send(&get("/v1/watch", "")).await;
    let head = peer.head().await;
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(peer.line().await.unwrap().len(), 2, "the size of the chunk");
    assert_eq!(peer.line().await.unwrap(), "event: snapshot");
}

#[tokio::test]
async fn health_readiness_and_metrics_reply() {
    let registry = Running::default().await;
    registry.register(1).await;
    assert_eq!(registry.get("/healthz").await.body, r#"{"status":"ok"}"#);
    assert_eq!(registry.get("/readyz").await.body, r#"{"status":"ready","store_kind":"none"}"#);
    let metrics = registry.get("/metrics").await;
    let content_type = metrics.header("content-type").unwrap();
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.body.contains("\nrpc_registry_instances 1\n"), "{}", metrics.body);
    let metrics = registry.ask(&get("/metrics", "Accept: application/openmetrics-text\r\n")).await;
    let content_type = metrics.header("content-type").unwrap();
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(metrics.body.contains("\nrpc_registry_instances 1\n"), "{}", metrics.body);
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
}
