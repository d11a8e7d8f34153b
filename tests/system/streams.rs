//! Streams of real daemons: the registry's changes and log, a server's log.

use rpc_client::registry::{RegistryClient, RegistryClientOptions, Watch};
use rpc_client::{Client, ClientOptions};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::soon;
use rpc_wire::instance::{Instance, WatchEvent};
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::report::{Level, LogLine};
use rustix::process::Signal;
use serde_json::json;

#[tokio::test]
async fn a_watcher_gets_every_change_once_and_in_order_and_resumes_where_it_was() {
    let settings = [("REGISTRY_SERVER_TTL", "3s"), ("REGISTRY_SERVER_CHECK_INTERVAL", "100ms")];
    let (_registry, at) = Daemon::registry_with(&settings, 0, &[]).await;
    let client =
        RegistryClient::new(&format!("http://{at}"), RegistryClientOptions::default()).unwrap();
    let mut watch = client.watch(PROTO_JSON, false, None).await.unwrap();
    let (first_id, event) = next(&mut watch).await;
    assert_eq!(event, WatchEvent::Snapshot(Vec::new()));

    let mut stays = Instance::new("127.0.0.1", 1001);
    let goes = Instance::new("::1", 1002);
    client.register(&stays).await.unwrap();
    client.register(&goes).await.unwrap();
    // Heartbeats change nothing.
    client.register(&stays).await.unwrap();
    client.register(&goes).await.unwrap();
    client.unregister(&goes).await.unwrap();
    stays.parameters.insert("weight".to_owned(), json!(3));
    client.register(&stays).await.unwrap();
    // No heartbeats from here on.
    let events = async |watch: &mut Watch| {
        let mut events = Vec::new();
        while events.last() != Some(&("expired", 1001)) {
            events.push(match next(watch).await.1 {
                WatchEvent::Registered(record) => ("registered", record.instance.port),
                WatchEvent::Updated(record) => {
                    assert_eq!(record.instance.weight(), 3);
                    ("updated", record.instance.port)
                }
                WatchEvent::Unregistered(key) => ("unregistered", key.port),
                WatchEvent::Expired(key, _) => ("expired", key.port),
                other => panic!("{other:?}"),
            });
        }
        events
    };
    let expected = [
        ("registered", 1001),
        ("registered", 1002),
        ("unregistered", 1002),
        ("updated", 1001),
        ("expired", 1001),
    ];
    assert_eq!(events(&mut watch).await, expected);

    let mut resumed = client.watch(PROTO_JSON, false, first_id).await.unwrap();
    assert_eq!(events(&mut resumed).await, expected);
    let unknown = Some("0123.7".to_owned());
    let mut fresh = client.watch(PROTO_JSON, false, unknown).await.unwrap();
    assert_eq!(next(&mut fresh).await.1, WatchEvent::Snapshot(Vec::new()));
}

#[tokio::test]
async fn heartbeat_ages_are_sent_to_watchers_that_ask() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let beats = [("SERVER_HEARTBEAT_INTERVAL", "100ms")];
    let (_server, server) = Daemon::server_with(&beats, &["--registry", &url]).await;
    rpc_tests::queries::lists(at, &[server]).await;
    let client = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let mut watch = client.watch(PROTO_JSON, true, None).await.unwrap();
    let (_, WatchEvent::Snapshot(records)) = next(&mut watch).await else { panic!("a snapshot") };
    assert_eq!(records.len(), 1);
    let mut counts = Vec::new();
    for _ in 0..2 {
        let (_, WatchEvent::Beats(beats)) = next(&mut watch).await else { panic!("beats") };
        assert_eq!(beats[0].key.port, server.port());
        assert!(beats[0].age_ms < 5_000, "{beats:?}");
        counts.push(beats[0].heartbeats);
    }
    assert!(Some(counts[0]) > records[0].heartbeats && counts[1] > counts[0], "{counts:?}");
}

#[tokio::test]
async fn a_servers_log_is_streamed_recent_lines_first_then_live() {
    let (server, address) =
        Daemon::server(&["--registry", "http://127.0.0.1:1", "--log-level", "debug"]).await;
    let client = Client::direct(address.to_string(), ClientOptions::default()).unwrap();
    let arguments = json!({"level": "info", "contains": "", "recent": 100});
    let mut lines = client.stream("rpc.logs", arguments).await.unwrap();
    let mut next = async || -> LogLine {
        let item = soon("a log line", lines.next()).await.unwrap().unwrap();
        serde_json::from_str(item.value.get()).unwrap()
    };
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &LogLine| line.text().contains(&address.to_string())) {
        seen.push(next().await);
    }
    server.signal(Signal::TERM);
    while !seen.iter().any(|line: &LogLine| line.message.contains("draining")) {
        seen.push(next().await);
    }
    assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq), "{seen:?}");
    assert!(seen.iter().all(|line| line.level >= Level::Info), "{seen:?}");
    client.close().await;
}

#[tokio::test]
async fn a_log_stream_is_filtered_and_never_below_the_daemons_own_level() {
    let (_registry, at) = Daemon::registry(&["--log-level", "info"]).await;
    let client =
        RegistryClient::new(&format!("http://{at}"), RegistryClientOptions::default()).unwrap();
    let mut lines = client.logs(Level::Trace, "1003", 0).await.unwrap();
    for port in [1001, 1003, 1002] {
        client.register(&Instance::new("127.0.0.1", port)).await.unwrap();
    }
    client.unregister(&Instance::new("127.0.0.1", 1003)).await.unwrap();
    for word in ["registered", "unregistered"] {
        let line = soon("a log line", lines.next()).await.unwrap().unwrap().line;
        assert!(line.text().contains(word) && line.text().contains("1003"), "{line:?}");
        assert!(line.level >= Level::Info, "{line:?}");
    }
}

#[tokio::test]
async fn a_cancelled_call_gets_exactly_one_reply_and_the_connection_goes_on() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let mut raw = rpc_tests::raw::Raw::connect(address).await;
    raw.send(r#"{"id":7,"method_name":"sleep","method_args":[9]}{"cancel":7}"#).await;
    let reply = raw.reply().await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(7), &json!(-32001)), "{reply}");
    // No other reply came before this one; an unknown cancel gets no reply either.
    let sum = raw.ask(r#"{"cancel":7}{"id":8,"method_name":"add","method_args":[1,2]}"#).await;
    assert_eq!(sum, json!({"id": 8, "res": 13}));
}

async fn next(watch: &mut Watch) -> (Option<String>, WatchEvent) {
    soon("an event", watch.next()).await.expect("the stream is open").unwrap()
}
