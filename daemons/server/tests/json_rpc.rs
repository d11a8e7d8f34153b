//! JSON-RPC 2.0: the examples of its specification, and what it says nothing about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rpc_server::{Call, InMemory, Limits, Method, Server, ServerBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

fn builder() -> ServerBuilder {
    let subtract = Method::named("subtract")
        .parameters(["minuend", "subtrahend"])
        .sync(|minuend: i64, subtrahend: i64| minuend - subtrahend);
    let ignored = |name| Method::named(name).parameters([]).sync(|| ());
    let sum =
        Method::named("sum").parameters(["a", "b", "c"]).sync(|a: i64, b: i64, c: i64| a + b + c);
    let get_data = Method::named("get_data").parameters([]).sync(|| ("hello", 5));
    let dialect = Method::named("dialect")
        .parameters([])
        .sync(|call: Call| format!("{:?} {:?}", call.dialect(), call.traceparent()));
    let slow = Method::named("slow").parameters(["ms", "name"]).asynchronous(
        async |ms: u64, name: String| {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            name
        },
    );
    let builder = ["update", "foobar", "notify_hello", "notify_sum"]
        .into_iter()
        .fold(Server::builder(), |builder, name| builder.method(ignored(name)));
    builder.methods([subtract, sum, get_data, dialect, slow])
}

fn server() -> InMemory {
    builder().in_memory().unwrap()
}

/// The replies as text, without line ends.
async fn text(server: &mut InMemory, request: &str) -> String {
    let replies = server.answer(request.as_bytes()).await.to_vec();
    String::from_utf8(replies).unwrap().trim_end().to_owned()
}

async fn reply(server: &mut InMemory, request: &str) -> Value {
    let text = text(server, request).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{request}: {text:?}: {error}"))
}

fn result(id: impl Into<Value>, result: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "result": result.into()})
}

/// A connection to a server of its own.
async fn connect(builder: ServerBuilder) -> BufReader<TcpStream> {
    let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    BufReader::new(TcpStream::connect(address).await.unwrap())
}

async fn next(stream: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    timeout(Duration::from_secs(20), stream.read_line(&mut line)).await.unwrap().unwrap();
    serde_json::from_str(&line).unwrap()
}

async fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> Value {
    stream.get_mut().write_all(request.as_bytes()).await.unwrap();
    next(stream).await
}

/// The codes and ids of errors, and nothing beside what the specification allows.
fn error(reply: &Value) -> (i64, Value) {
    let object = reply["error"].as_object().unwrap();
    assert!(
        object.keys().all(|key| ["code", "message", "data"].contains(&key.as_str())),
        "{reply}"
    );
    assert!(object["message"].is_string() && reply.get("result").is_none(), "{reply}");
    assert_eq!((reply["jsonrpc"].as_str(), reply.as_object().unwrap().len()), (Some("2.0"), 3));
    (object["code"].as_i64().unwrap(), reply["id"].clone())
}

#[tokio::test]
async fn the_specifications_single_requests_are_answered_as_it_says() {
    let mut server = server();
    for (request, id, expected) in [
        (r#"{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}"#, 1, 19),
        (r#"{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}"#, 2, -19),
        (
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}"#,
            3,
            19,
        ),
        (
            r#"{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}"#,
            4,
            19,
        ),
    ] {
        assert_eq!(reply(&mut server, request).await, result(id, expected));
    }
    for notification in [
        r#"{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}"#,
        r#"{"jsonrpc": "2.0", "method": "foobar"}"#,
        r#"{"jsonrpc": "2.0", "method": "no such method"}"#,
    ] {
        assert_eq!(text(&mut server, notification).await, "");
    }
    let unknown = reply(&mut server, r#"{"jsonrpc": "2.0", "method": "no", "id": "1"}"#).await;
    assert_eq!(error(&unknown), (-32601, json!("1")));
    let invalid = reply(&mut server, r#"{"jsonrpc": "2.0", "method": 1, "params": "bar"}"#).await;
    assert_eq!(error(&invalid), (-32600, Value::Null));
}

#[tokio::test]
async fn the_specifications_batches_are_answered_as_it_says() {
    let mut server = server();
    assert_eq!(error(&reply(&mut server, "[]").await), (-32600, Value::Null));
    let invalid = (-32600, Value::Null);
    for (batch, count) in [("[1]", 1), ("[1,2,3]", 3)] {
        let replies = reply(&mut server, batch).await;
        let errors: Vec<_> = replies.as_array().unwrap().iter().map(error).collect();
        assert_eq!(errors, vec![invalid.clone(); count]);
    }
    let batch = r#"[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]"#;
    let replies = reply(&mut server, batch).await;
    let [sum, difference, not_a_request, unknown, data] = &replies.as_array().unwrap()[..] else {
        panic!("{replies}");
    };
    assert_eq!((sum, difference), (&result("1", 7), &result("2", 19)));
    assert_eq!((error(not_a_request), error(unknown)), (invalid, (-32601, json!("5"))));
    assert_eq!(data, &result("9", json!(["hello", 5])));
    let notifications = r#"[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]"#;
    assert_eq!(text(&mut server, notifications).await, "");
}

#[tokio::test]
async fn the_replies_of_a_batch_do_not_wait_for_its_notifications() {
    let mut stream = connect(builder()).await;
    let batch = r#"[{"jsonrpc":"2.0","method":"slow","params":[100000,"x"],"meta":{"deadline_ms":100000}},
        {"jsonrpc":"2.0","method":"slow","params":[1,"y"],"id":1}]"#;
    assert_eq!(ask(&mut stream, batch).await, json!([result(1, "y")]));
    let last_is_a_call = r#"[{"jsonrpc":"2.0","method":"slow","params":[100000,"x"]},
        {"jsonrpc":"2.0","method":"get_data","id":2}]"#;
    assert_eq!(ask(&mut stream, last_is_a_call).await, json!([result(2, json!(["hello", 5]))]));
}

#[tokio::test]
async fn the_specifications_invalid_json_is_a_parse_error() {
    for request in [
        r#"{"jsonrpc": "2.0", "method": "foobar", "params": "bar", "baz"]}"#,
        r#"[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]"#,
    ] {
        assert_eq!(error(&reply(&mut server(), request).await), (-32700, Value::Null), "{request}");
    }
    let mut classic = server();
    assert!(reply(&mut classic, "{oops}").await["res"].is_string());
}

#[tokio::test]
async fn an_id_is_echoed_as_it_was_written() {
    let mut server = server();
    for id in
        ["null", "0", "-7", "1.50", "1e3", "\"\"", "\"\\u0061\"", "123456789012345678901234567890"]
    {
        let request = format!(r#"{{"jsonrpc":"2.0","method":"foobar","id":{id}}}"#);
        let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":null}}"#);
        assert_eq!(text(&mut server, &request).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_says_what_is_wrong() {
    let mut server = server();
    for (request, id, what) in [
        (r#"{"jsonrpc":"1.0","method":"foobar","id":1}"#, json!(1), "jsonrpc must be"),
        (r#"{"jsonrpc":2.0,"method":"foobar","id":1}"#, json!(1), "jsonrpc must be"),
        (r#"{"jsonrpc":"2.0","id":1}"#, json!(1), "no method"),
        (r#"{"jsonrpc":"2.0","method":"foobar","id":{}}"#, Value::Null, "id must be"),
        (r#"{"jsonrpc":"2.0","method":"foobar","id":true}"#, Value::Null, "id must be"),
        (r#"{"jsonrpc":"2.0","method":"foobar","id":1,"params":5}"#, json!(1), "params must be"),
        (r#"{"jsonrpc":"2.0","method":"foobar","id":1,"meta":[]}"#, json!(1), "meta must be"),
        (r#"{"jsonrpc":"2.0","method_name":"foobar","id":1}"#, json!(1), "no method"),
    ] {
        let refused = reply(&mut server, request).await;
        assert_eq!(error(&refused), (-32600, id), "{request}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(what), "{refused}");
    }
    let long = "x".repeat(200);
    let request = format!(r#"{{"jsonrpc":"2.0","method":"foobar","id":"{long}"}}"#);
    assert_eq!(error(&reply(&mut server, &request).await), (-32600, Value::Null));
}

#[tokio::test]
async fn arguments_that_do_not_fit_and_deadlines_have_their_codes_and_say_whether_to_try_again() {
    let mut server = server();
    let wrong = reply(&mut server, r#"{"jsonrpc":"2.0","method":"subtract","params":[1],"id":1}"#);
    let wrong = wrong.await;
    assert_eq!(error(&wrong), (-32602, json!(1)));
    assert!(wrong["error"].get("data").is_none(), "{wrong}");
    let late =
        r#"{"jsonrpc":"2.0","method":"slow","params":[5000,"x"],"id":2,"meta":{"deadline_ms":20}}"#;
    let late = reply(&mut server, late).await;
    assert_eq!(error(&late), (-32000, json!(2)));
    assert_eq!(late["error"]["data"], json!({"retryable": false}));
}

#[tokio::test]
async fn the_replies_of_a_batch_are_one_array_however_long_its_calls_take() {
    let mut server = server();
    let call = |id: u64, ms: u64| json!({"jsonrpc": "2.0", "method": "slow", "params": [ms, format!("n{id}")], "id": id});
    let batches = json!([call(1, 30), call(2, 0)]).to_string() + &json!([call(3, 0)]).to_string();
    let single = r#"{"id":4,"method_name":"subtract","method_args":[3,1]}"#;
    let replies = text(&mut server, &(batches + single)).await;
    let mut lines: Vec<Value> =
        replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.remove(0), json!({"id": 4, "res": 2}));
    assert_eq!(lines.remove(0), json!([result(3, "n3")]), "one batch does not wait for another");
    assert_eq!(lines, [json!([result(2, "n2"), result(1, "n1")])], "in the order they finish");
}

#[tokio::test]
async fn a_batch_of_too_many_requests_is_refused_as_a_whole() {
    let limits = Limits::default().max_batch_requests(3);
    let mut server = builder().limits(limits).in_memory().unwrap();
    let batch = |count| vec![json!({"jsonrpc": "2.0", "method": "foobar", "id": 1}); count];
    let all = reply(&mut server, &json!(batch(3)).to_string()).await;
    assert_eq!(all, json!(vec![result(1, Value::Null); 3]));
    let refused = reply(&mut server, &json!(batch(4)).to_string()).await;
    assert_eq!(error(&refused), (-32005, Value::Null));
}

#[tokio::test]
async fn the_replies_of_a_batch_have_a_limit_together() {
    let echo = Method::named("echo").parameters(["it"]).sync(|it: String| it);
    let limits = Limits::default().max_unwritten_bytes(1000);
    let mut stream = connect(builder().method(echo).limits(limits)).await;
    let call = json!({"jsonrpc": "2.0", "method": "echo", "params": ["x".repeat(400)], "id": 1});
    let replies = ask(&mut stream, &json!(vec![call; 5]).to_string()).await;
    let replies = replies.as_array().unwrap();
    assert_eq!(replies.len(), 5);
    assert!(replies[..3].iter().all(|reply| reply["result"].is_string()), "{replies:?}");
    assert!(replies[3..].iter().all(|reply| error(reply) == (-32005, json!(1))), "{replies:?}");
}

#[tokio::test]
async fn replies_that_wait_for_others_of_their_batch_have_the_same_limit() {
    let echo = Method::named("echo").parameters(["it"]).asynchronous(async |it: String| {
        tokio::task::yield_now().await;
        it
    });
    let limits = Limits::default().max_unwritten_bytes(1000);
    let mut stream = connect(builder().method(echo).limits(limits)).await;
    let call = |text: &str| json!({"jsonrpc": "2.0", "method": "echo", "params": [text], "id": 1});
    let replies = ask(&mut stream, &json!(vec![call(&"x".repeat(400)); 5]).to_string()).await;
    let replies = replies.as_array().unwrap();
    let failed = replies.iter().filter(|reply| reply.get("result").is_none());
    let lost = failed.filter(|reply| error(reply) == (-32005, json!(1)));
    let told = lost.map(|reply| reply["error"]["message"].as_str().unwrap());
    let told: Vec<_> = told.filter(|text| text.contains("was executed")).collect();
    assert_eq!((replies.len(), told.len()), (5, 2), "{replies:?}");
    assert_eq!(ask(&mut stream, &json!([call("y")]).to_string()).await, json!([result(1, "y")]));
}

#[tokio::test]
async fn calls_of_a_batch_with_too_many_replies_do_not_begin_if_they_still_wait() {
    let large = Method::named("large").parameters([]).asynchronous(async || {
        tokio::task::yield_now().await;
        "x".repeat(2000)
    });
    let queued = Method::named("queued").parameters([]).asynchronous(async |call: Call| {
        call.set_waiting(true);
        std::future::pending::<()>().await;
    });
    let limits = Limits::default().max_unwritten_bytes(1000);
    let methods = [large, queued];
    let mut stream = connect(builder().methods(methods).limits(limits)).await;
    let call = |method: &str| json!({"jsonrpc": "2.0", "method": method, "id": 1});
    let batch = json!([call("queued"), call("large"), call("queued")]);
    let replies = ask(&mut stream, &batch.to_string()).await;
    let replies = replies.as_array().unwrap();
    let refused: Vec<_> = replies.iter().filter(|reply| reply["error"].is_object()).collect();
    assert_eq!((replies.len(), refused.len()), (3, 2), "{replies:?}");
    for reply in refused {
        assert_eq!(error(reply), (-32005, json!(1)));
        assert!(!reply["error"]["message"].as_str().unwrap().contains("executed"), "{reply}");
    }
}

#[tokio::test]
async fn a_peer_that_closes_its_half_gets_its_replies() {
    let mut stream = connect(builder()).await;
    let request = json!({"jsonrpc": "2.0", "method": "slow", "params": [50, "x"], "id": 1});
    stream.get_mut().write_all(json!([request]).to_string().as_bytes()).await.unwrap();
    stream.get_mut().shutdown().await.unwrap();
    assert_eq!(next(&mut stream).await, json!([result(1, "x")]));
}

#[tokio::test]
async fn a_long_batch_lets_other_connections_have_their_turn() {
    let busy = Method::named("busy").parameters([]).sync(|| {
        let until = Instant::now() + Duration::from_millis(1);
        while Instant::now() < until {}
    });
    let limits = Limits::default();
    let server =
        builder().method(busy).limits(limits).bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    let mut long = TcpStream::connect(address).await.unwrap();
    let mut other = BufReader::new(TcpStream::connect(address).await.unwrap());
    let call = json!({"jsonrpc": "2.0", "method": "busy", "id": 1});
    long.write_all(json!(vec![call; 500]).to_string().as_bytes()).await.unwrap();
    let ping = r#"{"jsonrpc":"2.0","method":"foobar","id":7}"#;
    assert_eq!(ask(&mut other, ping).await, result(7, Value::Null));
    let mut begun = [0; 1];
    let unanswered = long.try_read(&mut begun);
    assert_eq!(unanswered.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it is still busy");
}

/// A method that waits, and how many of its calls ran at once at most.
fn counted() -> (Method, Arc<AtomicUsize>) {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counter = most.clone();
    let method = Method::named("counted").parameters(["ms"]).asynchronous(move |ms: u64| {
        let (running, most) = (running.clone(), most.clone());
        async move {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            running.fetch_sub(1, SeqCst);
            ms
        }
    });
    (method, counter)
}

#[tokio::test]
async fn a_batch_of_more_calls_than_may_be_in_flight_waits_for_its_own() {
    let call = |id| json!({"jsonrpc": "2.0", "method": "counted", "params": [2], "id": id});
    let batch = json!((0..10).map(call).collect::<Vec<_>>()).to_string();
    let behind = r#"{"jsonrpc":"2.0","method":"foobar","id":"behind"}"#;
    let limits = || Limits::default().max_calls_per_connection(3);
    let mut ids: Vec<Vec<u64>> = Vec::new();
    let mut check = |replies: &Value| {
        let result = |reply: &Value| (reply["result"] == 2).then(|| reply["id"].as_u64()).flatten();
        let mut all: Vec<u64> = replies
            .as_array()
            .unwrap()
            .iter()
            .map(|reply| result(reply).unwrap_or_else(|| panic!("{reply}")))
            .collect();
        all.sort_unstable();
        ids.push(all);
    };
    let (method, most) = counted();
    let mut stream = connect(builder().method(method).limits(limits())).await;
    stream.get_mut().write_all((batch.clone() + behind).as_bytes()).await.unwrap();
    let (first, second) = (next(&mut stream).await, next(&mut stream).await);
    // What is behind the batch begins when all of its calls have begun.
    assert_eq!(first, result("behind", Value::Null));
    check(&second);
    assert_eq!(most.load(SeqCst), 3);
    let (method, most) = counted();
    let mut server = builder().method(method).limits(limits()).in_memory().unwrap();
    check(&reply(&mut server, &batch).await);
    assert_eq!(most.load(SeqCst), 3);
    assert_eq!(ids, vec![(0..10).collect::<Vec<_>>(); 2]);
}

#[tokio::test]
async fn what_a_batch_waits_for_counts_for_the_deadlines_of_its_calls() {
    let (method, _) = counted();
    let limits = Limits::default().max_calls_per_connection(1);
    let mut server = builder().method(method).limits(limits).in_memory().unwrap();
    let call = |id: u64, ms: u64, deadline: u64| json!({"jsonrpc": "2.0", "method": "counted", "params": [ms], "id": id, "meta": {"deadline_ms": deadline}});
    let batch = json!([call(1, 60, 5000), call(2, 0, 30), call(3, 0, 5000)]).to_string();
    let replies = reply(&mut server, &batch).await;
    let of = |id: u64| replies.as_array().unwrap().iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(*of(1), result(1, 60));
    assert_eq!(error(of(2)), (-32000, json!(2)));
    assert_eq!(*of(3), result(3, 0));
}

#[tokio::test]
async fn a_batch_waits_for_no_calls_but_its_own_and_the_rest_is_served() {
    let limits = Limits::default().max_calls_per_connection(2);
    let mut stream = connect(builder().limits(limits)).await;
    let call = |id| json!({"jsonrpc": "2.0", "method": "slow", "params": [2000, "x"], "id": id});
    let quick = json!({"jsonrpc": "2.0", "method": "foobar", "id": 4});
    let all = format!("{}{}{}", call(1), call(2), json!([call(3), quick]));
    stream.get_mut().write_all(all.as_bytes()).await.unwrap();
    let replies = next(&mut stream).await;
    assert_eq!(error(&replies[0]), (-32002, json!(3)));
    assert_eq!(replies[1], result(4, Value::Null));
}

#[tokio::test]
async fn a_batch_that_waits_is_answered_before_the_connection_is_closed_for_what_follows_it() {
    let (method, _) = counted();
    let limits = Limits::default().max_calls_per_connection(2);
    let mut stream = connect(builder().method(method).limits(limits)).await;
    let call = |id| json!({"jsonrpc": "2.0", "method": "counted", "params": [5], "id": id});
    let batch = json!((0..5).map(call).collect::<Vec<_>>()).to_string();
    stream.get_mut().write_all((batch + "nonsense").as_bytes()).await.unwrap();
    assert_eq!(next(&mut stream).await.as_array().unwrap().len(), 5);
    assert_eq!(error(&next(&mut stream).await), (-32700, Value::Null));
}

#[tokio::test]
async fn a_method_sees_the_dialect_and_the_trace_and_a_stream_names_the_dialect_that_has_streams() {
    let ticks = Method::named("ticks").parameters([]).stream(|| futures_util::stream::iter([1, 2]));
    let mut server = builder().method(ticks).in_memory().unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let long = format!("cc{}-{}", &trace[2..], "x".repeat(1000));
    for (given, seen) in
        [(trace, format!("Some({trace:?})")), ("00-a", "None".into()), (&long, "None".into())]
    {
        let meta = json!({"traceparent": given, "x": 1});
        let request = json!({"jsonrpc": "2.0", "method": "dialect", "id": 1, "meta": meta});
        let reply = reply(&mut server, &request.to_string()).await;
        assert_eq!(
            reply,
            result(1, format!("JsonRpc {seen}")),
            "what is none, or too long, is not kept"
        );
    }
    for method in ["ticks", "rpc.logs"] {
        let request =
            json!({"jsonrpc": "2.0", "method": method, "id": 1, "meta": {"stream": true}});
        let refused = reply(&mut server, &request.to_string()).await;
        assert_eq!(error(&refused), (-32602, json!(1)));
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("JSON-RPC does not have"), "{message}");
    }
    let document = reply(&mut server, r#"{"jsonrpc":"2.0","method":"rpc.discover","id":1}"#).await;
    assert!(document["result"]["openrpc"].is_string());
}
