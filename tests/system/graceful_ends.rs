//! A server that ends loses no call: what is told to whom, for how long, and what is refused meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rpc_client::{Balance, CallError, Client, ClientOptions};
use rpc_server::{Method, Server, ServerError, ServerHandle};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::{SOON, soon};
use rpc_tests::fakes::{self, Do};
use rpc_tests::proxy::Proxy;
use rpc_tests::python::{has_python, old_client};
use rpc_tests::queries::{has_in_flight, http, lists};
use rpc_tests::raw::{Raw, classic, extended};
use rpc_tests::recording_registry::{Manner, RecordingRegistry};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Longer than a test waits: whatever ends in time did not end by this limit.
const NEVER: &str = "10m";
const LONG_DRAIN: (&str, &str) = ("SERVER_DRAIN_TIMEOUT", "20m");

async fn unlisted(settings: &[(&str, &str)]) -> (Daemon, SocketAddr) {
    Daemon::server_with(settings, &["--no-registry"]).await
}

fn add(id: u32) -> String {
    extended(&json!(id), "add", &json!([1, 2]))
}

fn is_refused(reply: &Value, id: u32) -> bool {
    (&reply["id"], &reply["error"]["code"], &reply["error"]["retryable"])
        == (&json!(id), &json!(-32003), &json!(true))
}

#[tokio::test]
async fn calls_that_arrive_while_a_server_ends_are_refused_until_their_client_closes() {
    let (mut server, address) = unlisted(&[LONG_DRAIN, ("SERVER_CLOSE_TIMEOUT", NEVER)]).await;
    let mut client = Raw::connect(address).await;
    client.ask(add(1)).await;
    server.signal(Signal::TERM);
    assert_eq!(client.reply().await, json!({"draining": true}));
    for id in 2..10 {
        // Apart, as calls are that cross with the server's word.
        let refused = client.ask(add(id)).await;
        assert!(is_refused(&refused, id), "{refused}");
    }
    assert!(server.is_running());
    client.half_close().await;
    assert_eq!(client.line().await, None);
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn a_client_that_goes_on_sending_is_closed_after_a_while_and_without_a_reset() {
    let (mut server, address) = unlisted(&[("SERVER_CLOSE_TIMEOUT", "300ms")]).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(add(0).as_bytes()).await.unwrap();
    let mut first = [0; 20];
    soon("a reply", stream.read(&mut first)).await.unwrap();
    server.signal(Signal::TERM);
    let (mut reader, mut writer) = stream.split();
    let sends = async {
        let until = Instant::now() + Duration::from_millis(600);
        let mut id = 0;
        while Instant::now() < until {
            id += 1;
            writer.write_all(add(id).as_bytes()).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        // It has read nothing so far: a reset would have taken what waits to be read.
        let mut replies = String::new();
        soon("the end", reader.read_to_string(&mut replies)).await.expect("no reset");
        replies
    };
    let replies = sends.await;
    let refused = replies.lines().filter(|line| line.contains("-32003")).count();
    assert!(replies.contains(r#"{"draining":true}"#) && refused > 10, "{replies}");
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn whose_first_call_arrives_while_a_server_ends_is_told_before_it_is_refused() {
    let (mut server, address) = unlisted(&[]).await;
    let mut client = Raw::connect(address).await;
    let call = add(1);
    let (begin, rest) = call.split_at(call.len() / 2);
    client.send(begin).await;
    let mut other = Raw::connect(address).await;
    other.ask(add(1)).await;
    server.signal(Signal::TERM);
    assert_eq!(other.reply().await, json!({"draining": true}));
    assert_eq!(client.ask(rest).await, json!({"draining": true}));
    let refused = client.reply().await;
    assert!(is_refused(&refused, 1), "{refused}");
    drop((client, other));
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn calls_that_outlast_the_drain_may_have_been_executed() {
    let settings = [("SERVER_DRAIN_TIMEOUT", "300ms"), ("SERVER_DEFAULT_DEADLINE", "9m")];
    let (mut server, address) = unlisted(&settings).await;
    let mut older = Raw::connect(address).await;
    older.send(classic("sleep", &json!([600]))).await;
    let mut newer = Raw::connect(address).await;
    newer.send(extended(&json!(7), "sleep", &json!([600]))).await;
    has_in_flight(address, "sleep", 2).await;
    server.signal(Signal::TERM);
    assert_eq!(newer.reply().await, json!({"draining": true}));
    let abandoned = newer.reply().await;
    assert_eq!((&abandoned["id"], &abandoned["error"]["code"]), (&json!(7), &json!(-32006)));
    assert_eq!(abandoned["error"]["retryable"], false);
    for text in [abandoned["res"].to_string(), older.reply().await["res"].to_string()] {
        assert!(text.contains("may have been executed"), "{text}");
    }
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn calls_by_http_that_outlast_the_drain_are_told_so_and_what_wants_no_reply_gets_none() {
    let settings = [("SERVER_DRAIN_TIMEOUT", "300ms"), ("SERVER_DEFAULT_DEADLINE", "9m")];
    let (mut server, address) = unlisted(&settings).await;
    let sleep = json!({"jsonrpc": "2.0", "method": "sleep", "params": [600]});
    let mut request = sleep.clone();
    request["id"] = json!(5);
    let text = request.to_string();
    let by_call = tokio::spawn(async move { http(address, "POST /call/sleep", b"[600]").await });
    let by_rpc = tokio::spawn(async move { http(address, "POST /rpc", text.as_bytes()).await });
    let mut half = TcpStream::connect(address).await.unwrap();
    let head = "POST /call/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    half.write_all(format!("{head}content-length: 5\r\n\r\n[1").as_bytes()).await.unwrap();
    let mut silent = Raw::connect(address).await;
    silent.send(format!("{sleep}\n[{sleep}]\n")).await;
    let oneway =
        json!({"id": 7, "method_name": "sleep", "method_args": [600], "meta": {"oneway": true}});
    silent.send(format!("{oneway}\n")).await;
    has_in_flight(address, "sleep", 5).await;
    server.signal(Signal::TERM);

    let (status, body) = by_call.await.unwrap();
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("-32006") && body.contains("may have been executed"), "{body}");
    let (status, body) = by_rpc.await.unwrap();
    let reply: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &reply["id"], &reply["error"]["code"]), (200, &json!(5), &json!(-32006)));
    let mut refused = String::new();
    soon("its refusal", half.read_to_string(&mut refused)).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("-32003"), "{refused}");
    assert_eq!(silent.reply().await, json!({"draining": true}));
    assert_eq!(silent.line().await, None, "nobody asked for a reply");
    assert_eq!(server.exit_code().await, 0);
}

/// A registered server that an older client has just called.
async fn called_by_an_older_client(notice: &str) -> (Daemon, SocketAddr, RecordingRegistry) {
    let registry = RecordingRegistry::start().await;
    let settings = [LONG_DRAIN, ("SERVER_SHUTDOWN_NOTICE", notice)];
    let (server, address) = Daemon::server_with(&settings, &["--registry", &registry.url()]).await;
    registry.has_received("register", 1).await;
    assert_eq!(older_call(address).await, json!({"res": 13}));
    (server, address, registry)
}

/// One call of an older client, on a connection of its own.
async fn older_call(address: SocketAddr) -> Value {
    Raw::connect(address).await.ask(classic("add", &json!([1, 2]))).await
}

#[tokio::test]
async fn older_clients_are_served_until_they_can_know_of_the_end() {
    let (mut server, address, registry) = called_by_an_older_client("2s").await;
    server.signal(Signal::TERM);
    registry.has_received("unregister", 1).await;
    let unregistered = Instant::now();
    while unregistered.elapsed() < Duration::from_millis(1500) {
        assert_eq!(older_call(address).await, json!({"res": 13}));
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn without_calls_of_older_clients_nobody_is_waited_for() {
    let registry = RecordingRegistry::start().await;
    let settings = [LONG_DRAIN, ("SERVER_SHUTDOWN_NOTICE", NEVER)];
    let (mut server, address) =
        Daemon::server_with(&settings, &["--registry", &registry.url()]).await;
    registry.has_received("register", 1).await;
    let mut client = Raw::connect(address).await;
    client.ask(add(1)).await;
    server.signal(Signal::TERM);
    assert!(server.exits_within(SOON).await.success());
}

#[tokio::test]
async fn without_the_registrys_word_the_listener_closes_at_once() {
    let (mut server, _, registry) = called_by_an_older_client(NEVER).await;
    registry.behave(Manner::Failing);
    server.signal(Signal::TERM);
    assert!(server.exits_within(SOON).await.success());
}

#[tokio::test]
async fn an_older_client_loses_no_call_when_one_of_two_servers_ends() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&[]).await;
    let of_registry = ["--registry", &format!("http://{registry}")];
    let (_stays, first) = Daemon::server(&of_registry).await;
    let (mut ends, second) = Daemon::server(&of_registry).await;
    lists(registry, &[first, second]).await;
    // It looks into the registry every 3 s, and gives up at the first call that fails.
    let mut client = old_client(&["--registry", &registry.to_string(), "repeat"]);
    let mut stdin = client.take_stdin();
    let mut calls = 0;
    let mut call = async || {
        calls += 1;
        stdin.write_all(b"[\"square\", [3], {}]\n").await.unwrap();
        assert_eq!(client.stdout().at_least(calls).await[calls - 1], "9");
    };
    for _ in 0..20 {
        call().await;
    }
    ends.signal(Signal::TERM);
    while ends.is_running() {
        call().await;
        sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..20 {
        call().await;
    }
    assert!(calls > 200, "{calls}");
}

/// Half of a round trip of 10 ms.
const DELAY: Duration = Duration::from_millis(5);
const CALLS_PER_SECOND: u32 = 1000;

/// A server with one method that counts its calls, which nothing says may run twice.
struct Counting {
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServerError>>,
    way: Proxy,
}

impl Counting {
    async fn start(calls: &Arc<AtomicUsize>) -> Self {
        let calls = Arc::clone(calls);
        let count = Method::named("count").sync(move || calls.fetch_add(1, SeqCst));
        let server = Server::builder().method(count).bind(([127, 0, 0, 1], 0)).await.unwrap();
        let way = Proxy::with_delay(server.local_addr(), DELAY).await;
        let handle = server.handle();
        Self { handle, serving: tokio::spawn(server.serve(std::future::pending())), way }
    }

    async fn end(&mut self) {
        self.handle.stop();
        soon("the server ends", &mut self.serving).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_or_run_twice_at_a_round_trip_of_ten_milliseconds() {
    let executed = Arc::default();
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Counting::start(&executed).await);
    }
    let registry = RecordingRegistry::start().await;
    registry.list_with(servers.iter().map(|server| (server.way.address(), json!({"wire": 1}))));
    let options = ClientOptions { balance: Balance::RoundRobin, ..ClientOptions::default() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    client.call("count", ()).await.unwrap();

    let start = Instant::now();
    let caller = client.clone();
    let calls = tokio::spawn(async move {
        let mut calls = JoinSet::new();
        for number in 0..2 * CALLS_PER_SECOND {
            sleep_until(start + number * (Duration::from_secs(1) / CALLS_PER_SECOND)).await;
            let client = caller.clone();
            calls.spawn(async move { client.call_as::<usize>("count", ()).await });
        }
        calls.join_all().await
    });
    for server in &mut servers[1..] {
        sleep(Duration::from_millis(400)).await;
        server.end().await;
    }
    let results: Vec<Result<usize, CallError>> = soon("the calls", calls).await.unwrap();
    let lost: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), results.len(), lost[0]);
    assert_eq!(executed.load(SeqCst), results.len() + 1);
    assert!(client.stats().retries > 0, "no call crossed with the word of a server that ends");
}

#[tokio::test]
async fn a_load_test_of_calls_that_may_run_twice_loses_none_to_an_instance_that_loses_them() {
    let loses = fakes::extended(|request| match request["method_name"].as_str() {
        Some("m") => Do::Close,
        _ => Do::Write(fakes::failure(request, -32601)),
    })
    .await;
    let serves = fakes::extended(|request| Do::Write(fakes::result(request, "1"))).await;
    let registry = RecordingRegistry::start().await;
    registry.list(&[loses.address, serves.address]);
    let bench = ["bench", "m", "--count", "8", "--yes", "--json", "--balance", "round_robin"];
    for (further, loses_calls) in [(&[][..], true), (&["--idempotent"][..], false)] {
        let target = ["--registry", &registry.url(), "--max-error-ratio", "1"];
        let (_, stdout, stderr) = run_rpcd([&bench[..], &target, further].concat()).await;
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        assert_eq!(report["failed"] != json!(0), loses_calls, "{report}");
    }
}
