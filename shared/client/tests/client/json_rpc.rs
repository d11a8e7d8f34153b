//! The client against servers that speak JSON-RPC 2.0 only, over TCP and HTTP, polite ones and rude ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rpc_client::{
    CallError, Client, ClientError, ClientOptions, Code, Dialect, ErrorKind, Phase, Request,
    Target, Token, WireLog,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fakes::{Peer, Seen, scripted};
use crate::{direct, eventually, options};

/// What a server does with a request.
enum Do {
    Write(String),
    Nothing,
    Close,
}

fn result(request: &Value, value: &Value) -> Do {
    Do::Write(json!({"jsonrpc": "2.0", "id": request["id"], "result": value}).to_string())
}

fn error(request: &Value, code: i64, data: Value) -> Do {
    let mut error = json!({"code": code, "message": "Words of its own"});
    if !data.is_null() {
        error["data"] = data;
    }
    Do::Write(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}).to_string())
}

/// Methods that most tests call.
fn methods(request: &Value) -> Do {
    let sum =
        |values: &mut dyn Iterator<Item = &Value>| values.filter_map(Value::as_i64).sum::<i64>();
    match (request["method"].as_str().unwrap_or_default(), &request["params"]) {
        ("add", Value::Array(values)) => result(request, &sum(&mut values.iter()).into()),
        ("add", Value::Object(values)) => result(request, &sum(&mut values.values()).into()),
        ("fail", _) => error(request, -32000, json!({"why": 1})),
        ("own", _) => error(request, -32003, json!({"retryable": true})),
        ("silent", _) => Do::Nothing,
        ("log", _) => Do::Write(String::new()),
        ("close", _) => Do::Close,
        ("strange", _) => Do::Write(
            concat!(
                r#"{"jsonrpc":"2.0","id":"x","result":1}[1]{"jsonrpc":"2.0","method":"m"}"#,
                r#"{"jsonrpc":"2.0","id":99,"result":1}"#
            )
            .to_owned(),
        ),
        ("nan", _) => Do::Write(format!(r#"{{"id":{},"result":NaN}}"#, request["id"])),
        ("unread", _) => Do::Write(
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#.to_owned(),
        ),
        ("junk", _) => Do::Write("HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()),
        ("deep", _) => {
            let deep = "[".repeat(40_000) + &"]".repeat(40_000);
            Do::Write(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{deep}}}"#, request["id"]))
        }
        ("long", _) => result(request, &"x".repeat(1 << 20).into()),
        _ => error(request, -32601, Value::Null),
    }
}

/// A server over TCP, without framing. `others`: what it does with messages that are not JSON-RPC.
async fn server(
    handler: impl Fn(&Value) -> Do + Send + Sync + 'static,
    others: impl Fn() -> Do + Send + Sync + 'static,
) -> Peer {
    let (handler, others) = (Arc::new(handler), Arc::new(others));
    scripted(move |_, socket, seen| speak(socket, seen, Arc::clone(&handler), Arc::clone(&others)))
        .await
}

fn invalid() -> Do {
    error(&json!({"id": null}), -32600, Value::Null)
}

async fn speak(
    mut socket: TcpStream,
    seen: Arc<Seen>,
    handler: Arc<impl Fn(&Value) -> Do>,
    others: Arc<impl Fn() -> Do>,
) {
    let mut buffer = Vec::new();
    while socket.read_buf(&mut buffer).await.unwrap_or(0) > 0 {
        let mut messages = serde_json::Deserializer::from_slice(&buffer).into_iter::<Value>();
        let found: Vec<Value> = messages.by_ref().map_while(Result::ok).collect();
        let read = messages.byte_offset();
        buffer.drain(..read);
        for message in found {
            seen.note(&message);
            let reaction = if message["jsonrpc"] == "2.0" { handler(&message) } else { others() };
            match reaction {
                Do::Write(text) => drop(socket.write_all(text.as_bytes()).await),
                Do::Nothing => {}
                Do::Close => return,
            }
        }
    }
}

/// A server over HTTP that gives each request this status.
async fn http_server(
    status: &'static str,
    handler: impl Fn(&str, &Value) -> Do + Send + Sync + 'static,
) -> Peer {
    let handler = Arc::new(handler);
    scripted(move |_, mut socket, seen| {
        let handler = Arc::clone(&handler);
        async move {
            let mut buffer = Vec::new();
            while socket.read_buf(&mut buffer).await.unwrap_or(0) > 0 {
                let text = String::from_utf8_lossy(&buffer).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let Ok(message) = serde_json::from_str::<Value>(body) else { continue };
                seen.note(&message);
                buffer.clear();
                let reply = match handler(head, &message) {
                    Do::Write(text) => {
                        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{text}", text.len())
                    }
                    Do::Nothing => continue,
                    Do::Close => return,
                };
                drop(socket.write_all(reply.as_bytes()).await);
            }
        }
    })
    .await
}

fn over_http(peer: &Peer, options: ClientOptions) -> Client {
    Client::new(Target::JsonRpc { url: format!("http://{}/rpc", peer.name()) }, options).unwrap()
}

/// The same server over TCP and over HTTP, with a client of each.
async fn both() -> [(Peer, Client); 2] {
    let tcp = server(methods, invalid).await;
    let http = http_server("200 OK", |_, request| methods(request)).await;
    let clients = [direct(tcp.address), over_http(&http, options())];
    let [first, second] = clients;
    [(tcp, first), (http, second)]
}

#[tokio::test]
async fn a_server_is_called_by_position_and_by_name_without_being_told_its_dialect() {
    for (peer, client) in both().await {
        assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
        assert_eq!(client.call("add", json!({"a": 1, "b": 3})).await, Ok(json!(4)));
        assert_eq!(client.call("add", ()).await, Ok(json!(0)));
        let response = client.request(Request::new("add", (1,)).unwrap()).await.unwrap();
        assert_eq!((response.dialect, response.peer), (Dialect::JsonRpc, peer.name()));
        let sent: Vec<_> = peer.seen.messages();
        let params: Vec<_> = sent.iter().rev().take(4).map(|sent| &sent["params"]).collect();
        assert_eq!(params, [&json!([1]), &json!([]), &json!({"a": 1, "b": 3}), &json!([1, 2])]);
        let mut mixed = rpc_client::Args::none();
        mixed.push(&1).unwrap();
        mixed.insert("a", &2).unwrap();
        let error = client.call("add", mixed).await.unwrap_err();
        assert!(matches!(error, CallError::BadArguments(_)), "{error}");
        assert_eq!(peer.seen.messages().len(), sent.len(), "nothing was sent");
    }
}

#[tokio::test]
async fn errors_are_typed_and_a_servers_own_codes_stay_its_own() {
    for (peer, client) in both().await {
        let fault = async |method: &str| match client.call(method, ()).await.unwrap_err() {
            CallError::Remote { fault, peer: from } => {
                assert_eq!(from, peer.name());
                *fault
            }
            other => panic!("{other}"),
        };
        let missing = fault("nope").await;
        assert_eq!((missing.code, missing.message.as_str()), (Code::MethodNotFound, "nope"));
        let failed = fault("fail").await;
        assert_eq!((failed.code, failed.data), (Code::Other(-32000), Some(json!({"why": 1}))));
        assert_eq!(fault("own").await.code, Code::Draining);
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_a_late_reply_is_nobodys() {
    for (peer, client) in both().await {
        let request = Request::new("silent", ()).unwrap().timeout(Duration::from_millis(100));
        let error = client.request(request).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Timeout { phase: Phase::Reply, peer: at, .. } if *at == peer.name()),
            "{error}"
        );
        assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    }
}

#[tokio::test]
async fn calls_are_in_flight_together_on_one_connection_and_replies_come_in_any_order() {
    let held = std::sync::Mutex::new(Vec::new());
    let handler = move |request: &Value| {
        let mut held = held.lock().unwrap();
        held.push(request.clone());
        if held.len() < 50 {
            return Do::Nothing;
        }
        let reply = |request: &Value| match result(request, &request["params"][0]) {
            Do::Write(text) => text,
            _ => unreachable!(),
        };
        Do::Write(held.drain(..).rev().map(|request| reply(&request)).collect())
    };
    let peer = server(handler, invalid).await;
    let client = direct(peer.address);
    let calls = join_all((0..50).map(|number| client.call("echo", (number,)))).await;
    let numbers: Vec<_> = calls.into_iter().map(Result::unwrap).collect();
    assert_eq!(numbers, (0..50).map(Value::from).collect::<Vec<_>>());
    assert_eq!(peer.seen.accepted(), 2, "the probe's, and that of the calls");
}

#[tokio::test]
async fn no_more_calls_are_in_flight_than_max_in_flight_and_dropped_ones_take_no_room() {
    let peer = server(methods, invalid).await;
    let options = ClientOptions { max_in_flight: 2, ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    for _ in 0..20 {
        let short = || Request::new("silent", ()).unwrap().timeout(Duration::from_millis(10));
        for outcome in join_all((0..3).map(|_| client.request(short()))).await {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
        }
    }
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
}

#[tokio::test]
async fn a_server_that_ignores_other_dialects_is_known_within_two_seconds() {
    let peer = server(methods, || Do::Nothing).await;
    let began = Instant::now();
    assert_eq!(direct(peer.address).call("add", (1, 2)).await, Ok(json!(3)));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_closes_the_connection_on_other_dialects_is_asked_on_another_one() {
    let peer = server(methods, || Do::Close).await;
    let client = direct(peer.address);
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(client.call("add", (2, 2)).await, Ok(json!(4)));
    let sent =
        |method: &str| peer.seen.messages().iter().filter(|it| it["method"] == method).count();
    assert_eq!((sent("rpc.health"), sent("add")), (1, 2), "each call once");
    assert_eq!(peer.seen.accepted(), 3, "that of each probe, and that of the calls");
}

#[tokio::test]
async fn a_server_that_closes_every_connection_is_asked_twice_and_cannot_be_reached() {
    let peer = server(|_| Do::Close, || Do::Close).await;
    let error = direct(peer.address).call("add", (1, 2)).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("lost during the probe"), "{error}");
    assert_eq!((peer.seen.accepted(), peer.seen.messages().len()), (2, 2), "no call was sent");
}

#[tokio::test]
async fn a_server_that_ignores_other_dialects_is_known_in_time_for_a_short_timeout() {
    let peer = server(methods, || Do::Nothing).await;
    let options = ClientOptions { timeout: Duration::from_secs(1), ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
}

#[tokio::test]
async fn a_server_that_answers_no_probe_is_told_as_that_at_half_of_the_timeout() {
    let peer = server(|_| Do::Nothing, || Do::Nothing).await;
    let options = ClientOptions { timeout: Duration::from_secs(2), ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    let began = Instant::now();
    let error = client.call("add", (1, 2)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(matches!(error, CallError::Timeout { phase: Phase::Probe, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("within 1s (it is connected, and answered no probe)"), "{text}");
    assert!(text.contains("not answer methods that it does not know"), "{text}");
    assert!(text.contains("-i jsonrpc+tcp://"), "{text}");
    assert!(!error.may_have_run());
    assert_eq!(peer.seen.messages().len(), 2, "the two probes");
}

#[tokio::test]
async fn a_server_that_is_said_to_speak_json_rpc_is_not_asked() {
    let only_add = |request: &Value| match request["method"] == "add" {
        true => methods(request),
        false => Do::Nothing,
    };
    let peer = server(only_add, || Do::Nothing).await;
    let url = format!("jsonrpc+tcp://{}", peer.name());
    let options = ClientOptions { dialect_ttl: Duration::ZERO, ..options() };
    let client = Client::new(Target::server(&url).unwrap(), options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(client.dialect(), Some(Dialect::JsonRpc));
    peer.close_connections();
    eventually("the connections end", || peer.seen.open() == 0).await;
    assert_eq!(client.call("add", (2, 2)).await, Ok(json!(4)));
    let seen = peer.seen.messages();
    assert!(seen.len() == 2 && seen.iter().all(|it| it["method"] == "add"), "{seen:?}");
    let nobody = Target::JsonRpc { url: "jsonrpc+tcp://127.0.0.1:9".to_owned() };
    let error = Client::new(nobody, ClientOptions::default()).unwrap().call("add", ()).await;
    assert!(matches!(error, Err(CallError::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn a_slow_server_of_ours_is_not_taken_for_one_of_json_rpc() {
    let peer = scripted(|_, mut socket, _| async move {
        let health = r#"{"status":"ok","wire":1,"version":"1","uptime_ms":1}"#;
        let mut buffer = [0; 1024];
        let mut number = 0;
        loop {
            let count = socket.read(&mut buffer).await.unwrap_or(0);
            let Ok(message) = serde_json::from_slice::<Value>(&buffer[..count]) else { return };
            let id = &message["id"];
            let reply = match message["jsonrpc"].is_null() {
                true if number == 0 => {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    format!("{{\"id\":{id},\"res\":{health}}}\n")
                }
                true => format!("{{\"id\":{id},\"res\":7}}\n"),
                false => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{health}}}\n"),
            };
            number += 1;
            socket.write_all(reply.as_bytes()).await.unwrap();
        }
    })
    .await;
    let response = direct(peer.address).request(Request::new("m", ()).unwrap()).await.unwrap();
    assert_eq!((response.value.get(), response.dialect), ("7", Dialect::Extended));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_the_next_call_has_a_new_one_without_a_probe() {
    let peer = server(methods, invalid).await;
    let client = direct(peer.address);
    let error = client.call("close", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    peer.close_connections();
    eventually("the connections end", || peer.seen.open() == 0).await;
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)), "nothing of it was sent before");
    let probes = peer.seen.messages().iter().filter(|it| it["jsonrpc"].is_null()).count();
    assert_eq!(probes, 1);
}

#[tokio::test]
async fn what_is_no_reply_is_an_error_of_the_only_call_and_nothing_worse() {
    let peer = server(methods, invalid).await;
    let client = direct(peer.address);
    let error = client.call("nan", ()).await.unwrap_err();
    assert!(matches!(error, CallError::NotExact { .. }), "{error}");
    let error = client.call("unread", ()).await.unwrap_err();
    assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::NotJson));
    let error = client.call("junk", ()).await.unwrap_err();
    assert!(matches!(error, CallError::BadReply { .. }), "{error}");
    let error = client.call("strange", ()).await.unwrap_err();
    assert!(error.to_string().contains("it answers id \"x\""), "{error}");
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert_eq!(client.stats().unmatched_replies, 3, "of nobody");
}

#[tokio::test]
async fn a_reply_to_what_was_never_asked_is_an_error_that_says_what_came() {
    let wrong = |request: &Value| {
        let (id, method) = (&request["id"], request["method"].as_str().unwrap());
        let reply = |id: Value| json!({"jsonrpc": "2.0", "id": id, "result": 1});
        Do::Write(match method {
            "text" => reply(json!(id.to_string())).to_string(),
            "other" => reply(json!(12345)).to_string(),
            "nobody" => reply(Value::Null).to_string(),
            "batch" => json!([reply(id.clone())]).to_string(),
            "empty" => json!({"jsonrpc": "2.0", "id": id}).to_string(),
            _ => reply(id.clone()).to_string(),
        })
    };
    let tcp = server(wrong, invalid).await;
    let http = http_server("200 OK", move |_, request| wrong(request)).await;
    for client in [direct(tcp.address), over_http(&http, options())] {
        for (number, (method, says)) in [
            ("text", "it answers id \"1\", and the call has id 1"),
            ("other", "it answers id 12345, and the call has id 2"),
            ("nobody", "it answers id null, and the call has id 3"),
            ("batch", "it is an array, and the call was no batch"),
            ("empty", "it has neither a result nor an error"),
        ]
        .into_iter()
        .enumerate()
        {
            let error = client.call(method, ()).await.unwrap_err();
            assert!(matches!(&error, CallError::BadReply { .. }), "{number}: {error}");
            assert!(error.to_string().contains(says) && error.may_have_run(), "{error}");
        }
        assert_eq!(client.call("right", ()).await, Ok(json!(1)), "on the same connection");
    }
    assert_eq!(tcp.seen.accepted(), 2, "that of the probe and that of the calls");
}

#[tokio::test]
async fn a_reply_that_is_nested_too_deeply_is_an_error() {
    for (_peer, client) in both().await {
        let error = client.call("deep", ()).await.unwrap_err();
        assert!(
            matches!(&error, CallError::BadReply { reason, .. } if reason.contains("deeper than 128")),
            "{error}"
        );
        assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    }
}

#[tokio::test]
async fn a_reply_over_the_limit_is_an_error() {
    let tcp = server(methods, invalid).await;
    let http = http_server("200 OK", |_, request| methods(request)).await;
    let options = ClientOptions { max_reply_bytes: 1000, ..options() };
    for client in [Client::direct(tcp.name(), options.clone()).unwrap(), over_http(&http, options)]
    {
        let error = client.call("long", ()).await.unwrap_err();
        assert!(matches!(error, CallError::ReplyTooLarge { limit: 1000, .. }), "{error}");
        assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    }
}

#[tokio::test]
async fn streams_and_methods_that_nobody_describes_say_what_to_do_instead() {
    for (_peer, client) in both().await {
        let error = client.stream("ticks", ()).await.unwrap_err();
        assert!(matches!(error, CallError::NotInJsonRpc { what: "streams", .. }), "{error}");
        let error = client.methods().await.unwrap_err();
        assert!(matches!(error, CallError::NotInJsonRpc { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("--openrpc"), "{error}");
    }
}

#[tokio::test]
async fn a_notification_is_a_request_without_an_id_and_is_done_when_it_is_written_or_taken() {
    for (peer, client) in both().await {
        client.notify("log", ("full", 1)).await.unwrap();
        client.notify("log", json!({"text": "full"})).await.unwrap();
        assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
        let of = |it: &Value| (it["method"] == "log").then(|| it.clone());
        let seen: Vec<_> = peer.seen.messages().iter().filter_map(of).collect();
        let expected = |params: Value| json!({"jsonrpc": "2.0", "method": "log", "params": params});
        assert_eq!(
            seen,
            [expected(json!(["full", 1])), expected(json!({"text": "full"}))],
            "{:?}",
            client.target()
        );
    }
}

#[tokio::test]
async fn a_notification_over_http_is_taken_by_any_status_of_success_and_by_no_other() {
    let says =
        |status, text: &'static str| http_server(status, move |_, _| Do::Write(text.to_owned()));
    for (status, text) in [("204 No Content", ""), ("200 OK", "thanks"), ("202 Accepted", "{}")] {
        let peer = says(status, text).await;
        let client = over_http(&peer, options());
        assert_eq!(client.notify("log", ()).await, Ok(()), "{status}");
        assert_eq!(client.notify("log", ()).await, Ok(()), "{status}: again");
    }
    let invalid = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
    let peer = says("400 Bad Request", invalid).await;
    let error = over_http(&peer, options()).notify("log", ()).await.unwrap_err();
    assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::Malformed));
    let peer = says("404 Not Found", "nothing here").await;
    let error = over_http(&peer, options()).notify("log", ()).await.unwrap_err();
    assert!(error.to_string().contains("HTTP 404 Not Found"), "{error}");
}

#[tokio::test]
async fn methods_are_those_of_rpc_discover() {
    let describe = |request: &Value| match request["method"].as_str() {
        Some("rpc.discover") => {
            let method = json!({"name": "add", "params": [{"name": "a", "required": true}]});
            result(request, &json!({"openrpc": "1.2.6", "methods": [method]}))
        }
        _ => methods(request),
    };
    let peer = server(describe, invalid).await;
    let methods = direct(peer.address).methods().await.unwrap();
    assert_eq!((methods[0].name.as_str(), methods[0].parameters[0].name.as_str()), ("add", "a"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_rpc_discover_is_not_said_to_have_run_anything() {
    let unless_discover = |reaction: fn() -> Do| {
        move |request: &Value| match request["method"] == "rpc.discover" {
            true => reaction(),
            false => methods(request),
        }
    };
    let options = || ClientOptions { timeout: Duration::from_secs(1), ..options() };
    let peer = server(unless_discover(|| Do::Nothing), invalid).await;
    let error = Client::direct(peer.name(), options()).unwrap().methods().await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { phase: Phase::Discovery, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("(it was asked for its methods); nothing was called"), "{text}");
    assert!(text.contains("rpc.discover") && text.contains("--openrpc FILE"), "{text}");
    assert!(!error.may_have_run());
    let peer = server(unless_discover(|| Do::Close), invalid).await;
    let error = Client::direct(peer.name(), options()).unwrap().methods().await.unwrap_err();
    assert!(error.to_string().contains("when it was asked for its methods"), "{error}");
    assert!(!error.may_have_run(), "{error}");
}

#[tokio::test]
async fn the_messages_of_a_call_are_recorded_as_they_were_sent_and_received() {
    for (_peer, client) in both().await {
        let log = WireLog::new(1000);
        client.request(Request::new("add", (1, 2)).unwrap().recorded(log.clone())).await.unwrap();
        let messages = log.take();
        let [sent, received] = &messages[..] else { panic!("{messages:?}") };
        let sent: Value = serde_json::from_slice(&sent.bytes).unwrap();
        assert_eq!((&sent["method"], &sent["params"]), (&json!("add"), &json!([1, 2])));
        let received: Value = serde_json::from_slice(&received.bytes).unwrap();
        assert_eq!(received["result"], 3);
    }
}

#[tokio::test]
async fn a_status_says_what_is_wrong_unless_the_body_does() {
    let of = async |status: &'static str, body: &'static str| {
        let peer = http_server(status, move |_, _| Do::Write(body.to_owned())).await;
        over_http(&peer, options()).call("m", ()).await.unwrap_err()
    };
    let error = of("404 Not Found", "<html>").await;
    assert!(
        matches!(&error, CallError::BadReply { reason, .. } if reason.contains("404") && reason.contains("/rpc")),
        "{error}"
    );
    // What servers of no JSON-RPC write, ours among them.
    let error = of("404 Not Found", r#"{"error":"Not Found"}"#).await;
    assert!(matches!(&error, CallError::BadReply { .. }), "{error}");
    let error = of("403 Forbidden", "").await;
    assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::Unauthorised));
    let error = of("403 Forbidden", r#"{"error":"this token lacks the role call"}"#).await;
    assert!(error.to_string().contains("this token lacks the role call"), "{error}");
    let plain = r#"{"error":"this server takes TLS only; call it with TLS"}"#;
    let error = of("403 Forbidden", plain).await;
    assert!(matches!(&error, CallError::Insecure { .. }), "{error}");
    let said = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"?"}}"#;
    let error = of("400 Bad Request", said).await;
    assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::Malformed));
    let error = of("200 OK", "[]").await;
    assert!(matches!(error, CallError::BadReply { .. }), "{error}");
    for id in [r#""1""#, "77", "null"] {
        let other = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":1}}"#);
        let error = of("200 OK", other.leak()).await;
        assert!(
            matches!(&error, CallError::BadReply { reason, .. } if reason.contains("it answers id ")),
            "{error}"
        );
    }
    let error = of("302 Found", "").await;
    assert!(matches!(error, CallError::BadReply { .. }), "{error}");
    // A status of success is none of a call that has no reply.
    for (status, body, said) in [
        ("204 No Content", "", "HTTP 204 No Content at "),
        ("200 OK", "", "/rpc, without a reply; "),
        (
            "200 OK\r\nContent-Type: text/html; charset=utf-8",
            "<p>",
            "/rpc, with text/html instead of JSON; ",
        ),
        ("200 OK\r\nContent-Type: application/json", "no", "not JSON"),
    ] {
        let error = of(status, body).await;
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert!(error.may_have_run(), "{error}");
    }
}

#[tokio::test]
async fn a_token_goes_to_this_machine_by_http_and_to_no_server_of_json_rpc_over_tcp() {
    let token = || Some(Token::new("canary-canary".into()));
    let heads = Arc::new(std::sync::Mutex::new(String::new()));
    let seen = Arc::clone(&heads);
    let http = http_server("200 OK", move |head, request| {
        seen.lock().unwrap().push_str(head);
        methods(request)
    })
    .await;
    let client = over_http(&http, ClientOptions { token: token(), ..options() });
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert!(heads.lock().unwrap().contains("authorization: Bearer canary-canary"));
    let tcp = server(methods, invalid).await;
    let options = ClientOptions { token: token(), ..options() };
    let client = Client::direct(tcp.name(), options).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(3)));
    assert!(!format!("{:?}", tcp.seen.messages()).contains("canary"));
}

#[tokio::test]
async fn a_url_that_is_none_and_a_server_that_is_not_there_are_told() {
    let new = |url: &str| Client::new(Target::JsonRpc { url: url.to_owned() }, options());
    assert!(matches!(new("ftp://h"), Err(ClientError::BadAddress(_))));
    let gone = http_server("200 OK", |_, request| methods(request)).await;
    let url = format!("http://{}", gone.name());
    drop(gone);
    let error = new(&url).unwrap().call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    let closes = http_server("200 OK", |_, _| Do::Close).await;
    let error = over_http(&closes, options()).call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
}
