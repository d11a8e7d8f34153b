//! The registry's routes, old and new, and invalid replies.

use std::time::Duration;

use futures_util::StreamExt;
use rpc_client::registry::{List, RegistryClient, RegistryClientError, RegistryClientOptions};
use rpc_tests::reserved_port::ReservedPort;
use rpc_wire::instance::{Instance, WatchEvent};
use rpc_wire::report::Level;
use serde_json::json;

use crate::fake_registry::{FakeRegistry, entry};

fn client_of(registry: &FakeRegistry) -> RegistryClient {
    let options = RegistryClientOptions {
        timeout: Duration::from_secs(2),
        max_list_bytes: 1000,
        max_event_line_bytes: 500,
        ..RegistryClientOptions::default()
    };
    RegistryClient::new(&registry.url(), options).unwrap()
}

#[tokio::test]
async fn both_kinds_of_registry_register_list_and_unregister() {
    for registry in [FakeRegistry::old_style().await, FakeRegistry::new_style().await] {
        let client = client_of(&registry);
        let instance = Instance::new("127.0.0.1", 8000);
        assert!(client.register(&instance).await.unwrap().instance.status);
        let plain = entry("127.0.0.1:8000".parse().unwrap(), serde_json::json!({}));
        registry.list_json(&serde_json::Value::from(vec![plain]));
        assert_eq!(client.find_all("json").await.unwrap(), std::slice::from_ref(&instance));
        assert!(!client.unregister(&instance).await.unwrap().status);
        let requests = registry.requests();
        assert!(requests[0].starts_with("POST /myRegistry/register?proto=json HTTP/1.1\r\n"));
        assert!(requests[0].contains("content-length: "), "{}", requests[0]);
        assert!(requests[0].contains("content-type: application/json"), "{}", requests[0]);
    }
}

#[tokio::test]
async fn an_unchanged_list_is_not_sent_again() {
    let registry = FakeRegistry::new_style().await;
    let client = client_of(&registry);
    let List::Changed { etag, .. } = client.find_all_if_changed("json", None, None).await.unwrap()
    else {
        panic!("the first list is a change");
    };
    let again = client.find_all_if_changed("json", None, etag.as_deref()).await.unwrap();
    assert_eq!(again, List::NotModified);
    registry.list(&["127.0.0.1:1".parse().unwrap()]);
    let changed = client.find_all_if_changed("json", None, etag.as_deref()).await.unwrap();
    assert!(matches!(changed, List::Changed { instances, .. } if instances.len() == 1));
}

#[tokio::test]
async fn an_invalid_entry_is_skipped_and_the_others_are_used() {
    let registry = FakeRegistry::old_style().await;
    registry.list_json(&json!([
        {"protocol": "json", "host": "a", "port": "8000"}, 7, null, {"host": "b"},
        {"protocol": "json", "host": "c", "port": 1, "status": null, "parameters": null},
    ]));
    let found = client_of(&registry).find_all("json").await.unwrap();
    assert_eq!(found.iter().map(|i| i.host.as_str()).collect::<Vec<_>>(), ["c"]);
    let list = client_of(&registry).find_all_if_changed("json", None, None).await.unwrap();
    assert!(matches!(list, List::Changed { invalid: 4, .. }), "{list:?}");
}

#[tokio::test]
async fn an_older_registry_lacks_the_newer_routes() {
    let registry = FakeRegistry::old_style().await;
    let client = client_of(&registry);
    let errors = [
        client.instances("json").await.unwrap_err(),
        client.watch("json", false, None).await.unwrap_err(),
        client.logs(Level::Info, "", 10).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, RegistryClientError::Unsupported { .. }), "{error}");
    }
}

#[tokio::test]
async fn ages_and_states_are_read() {
    let registry = FakeRegistry::new_style().await;
    let record = r#"[{"protocol":"json","host":"h","port":1,"status":true,"parameters":{},"age_ms":5,
        "ttl_ms":10000,"registered_ms_ago":9,"heartbeats":2,"state":"suspect"}]"#;
    registry.reply(http(record));
    let records = client_of(&registry).instances("json").await.unwrap();
    assert_eq!((records[0].age_ms, records[0].instance.host.as_str()), (Some(5), "h"));
    let one_bad = record.replacen('[', r#"[{"host":"no port"},"#, 1);
    registry.reply(http(&one_bad));
    let client = client_of(&registry);
    assert_eq!(client.instances("json").await.unwrap(), records);
    assert_eq!(client.invalid(), 1);
}

fn http(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn sse(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn invalid_replies_are_typed_errors_in_one_line() {
    type Check = fn(&RegistryClientError) -> bool;
    let cases: [(String, Check); 7] = [
        (http("<html>"), |e| matches!(e, RegistryClientError::BadReply { .. })),
        (http(r#"{"a":1}"#), |e| matches!(e, RegistryClientError::BadReply { .. })),
        (http(&format!("[{}]", " ".repeat(2000))), |e| {
            matches!(e, RegistryClientError::TooLarge { limit: 1000, .. })
        }),
        ("not http at all\r\n\r\n".to_owned(), |e| {
            matches!(e, RegistryClientError::Unreachable { .. })
        }),
        (
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n{\"error\": \"Not Found\"}"
                .to_owned(),
            |e| matches!(e, RegistryClientError::NotARegistry { .. }),
        ),
        (String::new(), |e| matches!(e, RegistryClientError::Unreachable { .. })),
        (
            "HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n{\"error\": \"disk \\u001b[31mfull\"}"
                .to_owned(),
            |e| matches!(e, RegistryClientError::Refused { status: 500, message, .. } if message == "disk [31mfull"),
        ),
    ];
    for (reply, is_expected) in cases {
        let registry = FakeRegistry::new_style().await;
        registry.reply(reply.clone());
        let error = client_of(&registry).find_all("json").await.unwrap_err();
        assert!(is_expected(&error), "{reply}: {error:?}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_registry_that_hangs_is_a_timeout_and_one_that_is_gone_unreachable() {
    let silent = crate::fakes::scripted(|_, socket, _| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let options = RegistryClientOptions {
        timeout: Duration::from_millis(50),
        ..RegistryClientOptions::default()
    };
    let client = RegistryClient::new(&format!("http://{}", silent.address), options.clone());
    let client = client.unwrap();
    let error = client.find_all("json").await.unwrap_err();
    assert!(matches!(error, RegistryClientError::Timeout { .. }), "{error}");
    let error = client.watch("json", false, None).await.unwrap_err();
    assert!(matches!(error, RegistryClientError::Timeout { .. }), "{error}");
    let unused = ReservedPort::new();
    let url = unused.url();
    let error = RegistryClient::new(&url, options).unwrap().find_all("json").await.unwrap_err();
    assert!(matches!(error, RegistryClientError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

/// What is wrong with the first of two registries.
#[derive(Debug)]
enum First {
    Gone,
    Hangs,
    Fails,
    IsNone,
}

#[tokio::test]
async fn while_one_of_several_registries_does_not_work_another_is_used() {
    for first in [First::Gone, First::Hangs, First::Fails, First::IsNone] {
        let gone = ReservedPort::new();
        let bad = FakeRegistry::new_style().await;
        let url = match first {
            First::Gone => gone.url(),
            First::Hangs | First::Fails | First::IsNone => bad.url(),
        };
        match first {
            First::Gone => {}
            First::Hangs => bad.hang(),
            First::Fails => bad.reply("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
            First::IsNone => bad.reply("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"),
        }
        let good = FakeRegistry::new_style().await;
        let given = format!("{url},{}", good.address);
        let options = RegistryClientOptions {
            timeout: Duration::from_millis(300),
            ..RegistryClientOptions::default()
        };
        let client = RegistryClient::new(&given, options).unwrap();
        let instance = Instance::new("127.0.0.1", 8000);
        let reply = client.register(&instance).await;
        assert!(reply.unwrap().instance.status, "{first:?}");
        assert_eq!((client.url(), client.given_url()), (&*good.url(), &*given), "{first:?}");
        assert!(good.requests()[0].contains(r#""port":8000"#), "{:?}", good.requests());

        let asked = bad.requests().len();
        client.find_all("json").await.unwrap();
        assert_eq!(bad.requests().len(), asked, "{first:?}: asked again");
    }
}

#[tokio::test]
async fn one_that_hangs_costs_a_short_time_and_not_that_of_the_whole_request() {
    let (hanging, good) = (FakeRegistry::new_style().await, FakeRegistry::new_style().await);
    hanging.hang();
    let long = Duration::from_secs(60);
    let options = RegistryClientOptions {
        timeout: long,
        connect_timeout: long,
        failover_after: Duration::from_millis(50),
        ..RegistryClientOptions::default()
    };
    let url = format!("{},{}", hanging.url(), good.address);
    let client = || RegistryClient::new(&url, options.clone()).unwrap();
    let asking = async {
        client().find_all("json").await.unwrap();
        client().register(&Instance::new("127.0.0.1", 8000)).await.unwrap();
        let watch = client().watch("json", false, None).await;
        assert!(!matches!(watch, Err(RegistryClientError::Timeout { .. })));
    };
    tokio::time::timeout(long / 2, asking).await.expect("the next one is asked soon");

    // There is no other one that it could be left for.
    let alone = RegistryClient::new(&hanging.url(), options).unwrap();
    let asking = tokio::time::timeout(Duration::from_millis(200), alone.find_all("json"));
    assert!(asking.await.is_err(), "it has its whole time");
}

#[tokio::test]
async fn a_refusal_is_not_taken_to_another_registry() {
    let refusing = FakeRegistry::new_style().await;
    refusing.reply("HTTP/1.1 400 No\r\ncontent-length: 13\r\n\r\n{\"error\":\"n\"}");
    let other = FakeRegistry::new_style().await;
    let url = format!("{},{}", refusing.url(), other.address);
    let client = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let error = client.register(&Instance::new("127.0.0.1", 8000)).await.unwrap_err();
    assert!(matches!(error, RegistryClientError::Refused { status: 400, .. }), "{error}");
    assert_eq!((client.url(), other.requests().len()), (&*refusing.url(), 0));
}

#[tokio::test]
async fn when_no_registry_works_the_error_names_all() {
    let (one, other) = (ReservedPort::new(), ReservedPort::new());
    let url = format!("{},127.0.0.1:{}", one.url(), other.number());
    let client = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let error = client.find_all("json").await.unwrap_err();
    assert!(error.to_string().contains(&format!("{url}: ")), "{error}");
    assert_eq!(client.url(), one.url(), "none is better");
}

#[test]
fn an_invalid_registry_url_is_refused() {
    let secure = if cfg!(feature = "tls") { "gopher://host:1" } else { "https://host:1" };
    for url in ["", "127.0.0.1:9999", secure, "http://", "ftp://host"] {
        let error = RegistryClient::new(url, RegistryClientOptions::default()).unwrap_err();
        assert!(matches!(error, RegistryClientError::BadUrl { .. }), "{url}: {error}");
    }
    for url in ["127.0.0.1:9999", "localhost:9999", "[::1]:9999"] {
        let error = RegistryClient::new(url, RegistryClientOptions::default()).unwrap_err();
        let said =
            format!("`{url}` is not a registry's URL: it has no http://; write http://{url}");
        assert_eq!(error.to_string(), said);
    }
}

#[tokio::test]
async fn changes_are_events_with_ids_and_unknown_ones_are_skipped() {
    let registry = FakeRegistry::new_style().await;
    registry.reply(sse(
        ": comment\nevent: snapshot\ndata: []\nid: e.1\n\nevent: later\ndata: {}\n\n\
         event: expired\ndata: {\"protocol\":\"json\",\"host\":\"h\",\ndata: \"port\":1}\nid: e.2\n\n",
    ));
    let client = client_of(&registry);
    let watch = client.watch("json", true, Some("e.0".to_owned())).await.unwrap();
    let events: Vec<_> = watch.map(Result::unwrap).collect().await;
    assert_eq!(events[0], (Some("e.1".to_owned()), WatchEvent::Snapshot(Vec::new())));
    assert!(matches!(&events[1], (Some(id), WatchEvent::Expired(..)) if id == "e.2"));
    let request = &registry.requests()[0];
    assert!(request.starts_with("GET /v1/watch?proto=json&owners=1&beats=1 "), "{request}");
    assert!(request.contains("last-event-id: e.0\r\n"), "{request}");
    let _of_orders = client.watch_service("json", Some("orders"), false, None).await.unwrap();
    let request = &registry.requests()[1];
    assert!(request.starts_with("GET /v1/watch?proto=json&owners=1&service=orders "), "{request}");
}

#[tokio::test]
async fn what_of_a_watch_cannot_be_read_is_skipped_and_counted() {
    let registry = FakeRegistry::new_style().await;
    let key = |host: &str| format!(r#"{{"protocol":"json","host":"{host}","port":1}}"#);
    let beat = r#"{"protocol":"json","host":"h","port":1,"age_ms":1,"heartbeats":2}"#;
    let expired = |host: &str| format!("event: expired\ndata: {}\n\n", key(host));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(130), "]".repeat(130));
    let body = [
        format!("event: snapshot\ndata: [{},\ndata: 7]\n\n", key("h")),
        format!("event: registered\ndata: {deep}\n\n"),
        expired("$(id)"),
        format!("event: beats\ndata: [{{}},{beat}]\n\n"),
        expired("h"),
        "event: snapshot\ndata: []\n\n".to_owned(),
    ];
    registry.reply(sse(&body.concat()));
    let mut watch = client_of(&registry).watch("json", true, None).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = watch.next().await {
        seen.push((event.unwrap().1.name(), watch.invalid()));
    }
    assert_eq!(seen, [("snapshot", 2), ("beats", 5), ("expired", 5), ("snapshot", 0)]);
}

#[tokio::test]
async fn a_snapshot_that_is_no_list_ends_the_watch() {
    let registry = FakeRegistry::new_style().await;
    registry.reply(sse("event: snapshot\ndata: {}\n\nevent: snapshot\ndata: []\n\n"));
    let mut watch = client_of(&registry).watch("json", true, None).await.unwrap();
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(error, RegistryClientError::BadReply { .. }), "{error}");
}

#[tokio::test]
async fn log_lines_have_the_number_lost_before_them() {
    let registry = FakeRegistry::new_style().await;
    let line = r#"{"seq":4,"at_ms":1,"level":"info","target":"t","message":"m","fields":{"peer":"p"},"dropped":3}"#;
    registry.reply(sse(&format!("event: line\ndata: {line}\n\nevent: x\ndata: y\n\n")));
    let logs = client_of(&registry).logs(Level::Warn, "a b", 5).await.unwrap();
    let lines: Vec<_> = logs.map(Result::unwrap).collect().await;
    assert_eq!((lines.len(), lines[0].line.seq, lines[0].dropped), (1, 4, 3));
    let request = &registry.requests()[0];
    assert!(request.starts_with("GET /v1/logs?level=warn&contains=a+b&recent=5 "), "{request}");
}

#[tokio::test]
async fn a_line_or_event_over_its_limit_ends_the_stream_with_an_error() {
    for (body, limit) in [
        (format!("data: {}", "x".repeat(600)), 500),
        ("data: xxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(60), 1000),
    ] {
        let registry = FakeRegistry::new_style().await;
        registry.reply(sse(&body));
        let mut watch = client_of(&registry).watch("json", false, None).await.unwrap();
        let error = watch.next().await.unwrap().unwrap_err();
        assert!(
            matches!(error, RegistryClientError::TooLarge { limit: l, .. } if l == limit),
            "{error}"
        );
        assert!(watch.next().await.is_none());
    }
}

fn with_token(registry: &FakeRegistry, token: &str) -> RegistryClient {
    client_of(registry).with_token(rpc_client::SecretString::from(token), false)
}

#[tokio::test]
async fn each_request_shows_the_token_and_a_redirect_is_not_followed() {
    let (registry, elsewhere) = (FakeRegistry::new_style().await, FakeRegistry::new_style().await);
    let client = with_token(&registry, "canary");
    client.find_all("json").await.unwrap();
    client.register(&Instance::new("127.0.0.1", 8000)).await.unwrap();
    let requests = registry.requests();
    assert!(requests.iter().all(|request| request.contains("authorization: Bearer canary\r\n")));
    registry.reply(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/myRegistry/findAllInstances\r\ncontent-length: 0\r\n\r\n",
        elsewhere.url()
    ));
    assert!(client.find_all("json").await.is_err());
    assert_eq!(elsewhere.requests(), [""; 0]);
}

#[tokio::test]
async fn a_registry_that_asks_who_this_is_is_a_clear_error_that_says_if_the_token_was_kept_back() {
    let registry = FakeRegistry::new_style().await;
    let body = r#"{"error":"this needs a token with the role observe; set RPCD_TOKEN"}"#;
    let length = body.len();
    registry.reply(format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {length}\r\n\r\n{body}"));
    let error = client_of(&registry).find_all("json").await.unwrap_err();
    assert!(
        matches!(error, RegistryClientError::NotAllowed { status: 401, kept_back: false, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("needs a token with the role observe"), "{error}");
    assert_eq!(error.kind(), rpc_client::ErrorKind::Remote);
}
