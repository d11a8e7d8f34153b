//! Calls over HTTP: JSON-RPC as `POST /rpc`, and `POST /call/METHOD`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rpc_server::{Call, Limits, Method, Server, ServerBuilder, Share};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::harness::{JSON, Reply, TIMEOUT, kept_call, open, post, rpc, send, serve};

/// Traces that callers are part of.
const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn builder() -> ServerBuilder {
    let add = Method::named("add").parameters(["a", "b"]).sync(|a: i64, b: i64| a + b);
    let fails = Method::named("fails")
        .parameters([])
        .sync(|| Err::<(), _>(std::io::Error::other("out of paper")));
    let slow = Method::named("slow").parameters(["ms"]).asynchronous(async |ms: u64| {
        sleep(Duration::from_millis(ms)).await;
    });
    let count = Method::named("count").parameters(["to"]).stream(|to: u32| stream::iter(1..=to));
    let breaks = Method::named("breaks")
        .parameters([])
        .stream(|| stream::iter([Ok(1), Err(std::io::Error::other("out of paper"))]));
    let seen = Method::named("seen").parameters([]).sync(|call: Call| {
        let remaining = call.remaining().map(|left| left.as_secs());
        (remaining, call.traceparent().map(str::to_owned), call.peer().is_some())
    });
    Server::builder().methods([add, fails, slow, count, breaks, seen])
}

async fn call(address: SocketAddr, method: &str, headers: &str, arguments: &str) -> Reply {
    send(address, &post(&format!("/call/{method}"), &format!("{JSON}{headers}"), arguments)).await
}

#[tokio::test]
async fn what_is_no_call_is_refused_at_its_path_by_a_problem_document_as_well() {
    let address = serve(builder()).await;
    let json = "Content-Type: application/json\r\n";
    let get = "GET /call/add HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let foreign = format!("{json}Origin: http://evil.example\r\n");
    for (request, status, code) in [
        (post("/call/add", "Content-Type: text/plain\r\n", "[1,2]"), 415, -32600),
        (get.to_owned(), 405, -32600),
        (post("/call/add", &foreign, "[1,2]"), 403, -32004),
        (post("/call/", json, "[1,2]"), 404, -32600),
        (post("/call/%ff", json, "[1,2]"), 400, -32600),
        (post("/call", json, "[1,2]"), 404, -32600),
        (post("//call/add", json, "[1,2]"), 404, -32600),
    ] {
        let reply = send(address, &request).await;
        assert!(reply.head.contains("application/problem+json"), "{status}: {}", reply.head);
        let (problem, found) = (reply.json(), reply.status);
        assert_eq!((found, &problem["status"]), (status, &json!(status)), "{problem}");
        assert_eq!((&problem["code"], &problem["retryable"]), (&json!(code), &json!(false)));
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    let elsewhere = send(address, &get.replace("/call/add", "/nothing")).await;
    assert_eq!(elsewhere.json(), json!({"error": "Not Found"}));
}

#[tokio::test]
async fn a_batch_of_more_calls_than_may_be_in_flight_is_answered_in_full() {
    let address = serve(builder().limits(Limits::default().max_calls_per_connection(3))).await;
    let call = |id| json!({"jsonrpc": "2.0", "method": "slow", "params": [2], "id": id});
    let batch = json!((0..10).map(call).collect::<Vec<_>>());
    let reply = rpc(address, &batch.to_string()).await.json();
    let results = reply.as_array().unwrap().iter().filter(|reply| reply["error"].is_null());
    assert_eq!(results.count(), 10, "{reply}");
}

#[tokio::test]
async fn json_rpc_over_http_is_that_of_the_socket() {
    let address = serve(builder()).await;
    let one = rpc(address, r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":7}"#).await;
    assert_eq!((one.status, one.json()), (200, json!({"jsonrpc":"2.0","id":7,"result":3})));
    let batch = r#"[{"jsonrpc":"2.0","method":"slow","params":[20],"id":1},
        {"jsonrpc":"2.0","method":"add","params":{"b":1,"a":1},"id":2},
        {"jsonrpc":"2.0","method":"add"}]"#;
    let batch = rpc(address, batch).await;
    let expected = json!([
        {"jsonrpc":"2.0","id":2,"result":2},
        {"jsonrpc":"2.0","id":1,"result":null},
    ]);
    assert_eq!((batch.status, batch.json()), (200, expected));
    for notification in [
        r#"{"jsonrpc":"2.0","method":"slow","params":[1]}"#,
        r#"[{"jsonrpc":"2.0","method":"add"}]"#,
    ] {
        let nothing = rpc(address, notification).await;
        assert_eq!((nothing.status, nothing.body.as_str()), (204, ""));
    }
    for (body, code) in [
        ("", -32700),
        ("oops", -32700),
        ("5", -32600),
        (r#"{"jsonrpc":"2.0","method":"#, -32700),
        (r#"{"jsonrpc":"2.0","method":"add","id":1}{}"#, -32700),
        (r#"{"a":1,}"#, -32700),
        ("[]", -32600),
        (r#"{"id":1,"method_name":"add"}"#, -32600),
        (r#"{"cancel":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":"no","id":null}"#, -32601),
    ] {
        let refused = rpc(address, body).await;
        assert_eq!(refused.status, 200, "{body}");
        assert_eq!(refused.json()["error"]["code"], code, "{body}: {}", refused.body);
        assert_eq!(refused.json()["id"], Value::Null, "{body}");
    }
}

#[tokio::test]
async fn a_call_takes_bare_arguments_and_returns_the_bare_result() {
    let address = serve(builder()).await;
    for arguments in ["[1,2]", r#"{"a":1,"b":2}"#, " [1, 2]\n"] {
        let reply = call(address, "add", "", arguments).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "3"));
        assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
    }
    let none = send(address, &post("/call/seen", "", "")).await;
    assert_eq!((none.status, none.json()), (200, json!([9, null, true])));
    let headers = format!("Timeout: 3.5\r\nTraceparent: {TRACE}\r\n");
    let seen = call(address, "seen", &headers, "").await;
    assert_eq!(seen.json(), json!([3, TRACE, true]));
    let junk = call(address, "seen", "Timeout: 3.5\r\nTraceparent: junk\r\n", "").await;
    assert_eq!(junk.json(), json!([3, null, true]));
    let patient = call(address, "add", "Timeout: 3e300\r\n", "[1,2]").await;
    assert_eq!((patient.status, patient.body.as_str()), (200, "3"));
    let health = call(address, "rpc.health", "", "").await;
    assert_eq!(health.json()["status"], "ok");
}

#[tokio::test]
async fn the_headers_of_a_json_rpc_request_say_what_its_calls_do_not() {
    let address = serve(builder()).await;
    let rpc = async |headers: &str, body: &str| {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        send(address, &post("/rpc", &headers, body)).await.json()
    };
    let headers = &format!("Timeout: 100.5\r\nTraceparent: {TRACE}\r\n");
    let plain = r#"{"jsonrpc":"2.0","id":1,"method":"seen"}"#;
    assert_eq!(rpc(headers, plain).await["result"], json!([100, TRACE, true]));
    let meta = json!({"deadline_ms": 50500, "traceparent": OWN});
    let own = json!({"jsonrpc": "2.0", "id": 2, "method": "seen", "meta": meta}).to_string();
    assert_eq!(rpc(headers, &own).await["result"], json!([50, OWN, true]));
    let both = rpc(headers, &format!("[{plain},{own}]")).await;
    assert_eq!(both[0]["result"], json!([100, TRACE, true]));
    assert_eq!(both[1]["result"], json!([50, OWN, true]));
    let junk = rpc("Timeout: 100.5\r\nTraceparent: junk\r\n", plain).await;
    assert_eq!(junk["result"], json!([100, null, true]));
    let slow = r#"{"jsonrpc":"2.0","id":3,"method":"slow","params":[5000]}"#;
    assert_eq!(rpc("Timeout: 0.05\r\n", slow).await["error"]["code"], -32000);
}

#[tokio::test]
async fn a_wrong_timeout_header_is_an_error_of_each_call_and_no_reply_to_a_notification() {
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = Method::named("runs").parameters([]).sync({
        let ran = Arc::clone(&ran);
        move || ran.fetch_add(1, SeqCst)
    });
    let address = serve(builder().method(runs)).await;
    let call = |id: &Value| json!({"jsonrpc": "2.0", "id": id, "method": "runs"});
    let notification = json!({"jsonrpc": "2.0", "method": "runs"});
    let own = json!({"jsonrpc": "2.0", "id": 3, "method": "runs", "meta": {"deadline_ms": 900}});
    for (headers, why) in [
        ("Timeout: soon\r\n", "such as 2.5"),
        ("Timeout: 5, 6\r\n", "such as 2.5"),
        ("Timeout: 5\r\nTimeout: 5\r\n", "is there twice"),
    ] {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let rpc =
            async |body: Value| send(address, &post("/rpc", &headers, &body.to_string())).await;
        let one = rpc(call(&json!("x"))).await.json();
        assert_eq!((&one["id"], &one["error"]["code"]), (&json!("x"), &json!(-32600)), "{one}");
        assert!(one["error"]["message"].as_str().unwrap().contains(why), "{one}");
        let batch = rpc(json!([call(&json!(1)), notification, own, 5])).await.json();
        let ids = batch.as_array().unwrap().iter().map(|reply| reply["id"].clone());
        assert_eq!(ids.collect::<Vec<_>>(), [json!(1), json!(3), json!(null)], "{batch}");
        for nothing in [notification.clone(), json!([notification])] {
            let reply = rpc(nothing).await;
            assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        }
        let plain = send(address, &post("/call/runs", &headers, "")).await;
        assert_eq!((plain.status, &plain.json()["code"]), (400, &json!(-32600)));
    }
    assert_eq!(ran.load(SeqCst), 0);
}

#[tokio::test]
async fn a_failed_call_is_a_problem_document_with_the_status_of_its_kind() {
    let limits = Limits::default().max_request_bytes(1000).max_calls_per_connection(1);
    let address = serve(builder().limits(limits)).await;
    let long = format!("[\"{}\"]", "x".repeat(1000));
    for (method, headers, body, status, code) in [
        ("nope", "", "", 404, -32601),
        ("add", "", "[1]", 400, -32602),
        ("add", "", "5", 400, -32600),
        ("add", "", "[1,2", 400, -32700),
        ("add", "", "[1,2]]", 400, -32700),
        ("add", "Timeout: soon\r\n", "[1,2]", 400, -32600),
        ("add", "Timeout: -1\r\n", "[1,2]", 400, -32600),
        ("add", "Timeout: nan\r\n", "[1,2]", 400, -32600),
        ("add", "Timeout: 0\r\n", "[1,2]", 400, -32600),
        ("fails", "", "", 500, -32603),
        ("slow", "Timeout: 0.02\r\n", "[5000]", 504, -32000),
        ("add", "", &long, 413, -32005),
    ] {
        let failed = call(address, method, headers, body).await;
        let problem = failed.json();
        assert_eq!((failed.status, &problem["code"]), (status, &json!(code)), "{method} {body}");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert!(failed.head.contains("content-type: application/problem+json"), "{}", failed.head);
    }
    let detail = call(address, "fails", "", "").await.json()["detail"].clone();
    assert_eq!(detail, "out of paper");
}

#[tokio::test]
async fn a_limit_of_the_caller_is_429_and_one_of_the_server_503_and_both_say_when_to_come_back() {
    for (limits, status) in [
        (Limits::default().max_calls(1).max_calls_per_peer(Share::Whole), 503),
        (Limits::default().max_calls(2).max_calls_per_peer(Share::AtMost(1)), 429),
    ] {
        let address = serve(builder().limits(limits)).await;
        // The first of the others may be before it.
        let held = tokio::spawn(async move {
            while call(address, "slow", "", "[5000]").await.status != 200 {}
        });
        let refused = loop {
            let reply = call(address, "slow", "", "[0]").await;
            if reply.status != 200 {
                break reply;
            }
        };
        assert_eq!((refused.status, refused.json()["retryable"].as_bool()), (status, Some(true)));
        assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
        held.abort();
    }
}

#[tokio::test]
async fn a_stream_is_lines_or_events_and_its_failure_is_seen() {
    let address = serve(builder()).await;
    let lines = call(address, "count", "", "[3]").await;
    assert_eq!((lines.status, lines.body.as_str()), (200, "1\n2\n3\n"));
    assert!(lines.head.contains("content-type: application/x-ndjson"), "{}", lines.head);
    let none = call(address, "count", "", "[0]").await;
    assert_eq!((none.status, none.body.as_str()), (200, ""));
    let events =
        call(address, "count", "Accept: text/html, text/event-stream;q=1\r\n", "[2]").await;
    assert_eq!(events.body, "data: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n");
    assert!(events.head.contains("content-type: text/event-stream"), "{}", events.head);
    let wrong = call(address, "count", "", "[-1]").await;
    assert_eq!((wrong.status, wrong.json()["code"].as_i64()), (400, Some(-32602)));
    let broken = call(address, "breaks", "Accept: text/event-stream\r\n", "").await;
    assert!(
        broken.body.starts_with("data: 1\n\nevent: error\ndata: {\"title\":"),
        "{}",
        broken.body
    );
    // Also where the system takes nothing at the first try, as of a connection that is new.
    for _ in 0..20 {
        let mut stream = open(address, &post("/call/breaks", "", "")).await;
        let mut whole = Vec::new();
        // It may end with a reset.
        let _ = timeout(TIMEOUT, stream.read_to_end(&mut whole)).await.unwrap();
        let whole = String::from_utf8(whole).unwrap();
        assert!(whole.contains("1\n") && whole.contains("out of paper"), "{whole}");
        assert!(
            !whole.ends_with("0\r\n\r\n"),
            "a failed stream does not end as a whole one: {whole}"
        );
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_cancels_its_call() {
    struct Note(Arc<AtomicBool>);
    impl Drop for Note {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let note = dropped.clone();
    let hang = Method::named("hang").parameters([]).asynchronous(move || {
        let note = Note(note.clone());
        async move {
            let _note = note;
            std::future::pending::<()>().await;
        }
    });
    let endless = Method::named("endless")
        .parameters([])
        .stream(|| stream::iter([1]).chain(stream::pending()));
    let address = serve(builder().method(hang).method(endless)).await;
    let stream = open(address, &post("/call/hang", "", "")).await;
    let mut other = open(address, &post("/call/endless", "", "")).await;
    let mut first = [0; 17];
    timeout(TIMEOUT, other.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first[..], b"HTTP/1.1 200 OK\r\n");
    drop((stream, other));
    let gone = async {
        while !dropped.load(SeqCst) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIMEOUT, gone).await.unwrap();
}

#[tokio::test]
async fn requests_that_came_at_once_let_other_connections_have_their_turn() {
    let run = Arc::new(AtomicUsize::new(0));
    let counted = run.clone();
    let busy = Method::named("busy").parameters([]).sync(move || {
        counted.fetch_add(1, SeqCst);
        let until = Instant::now() + Duration::from_millis(1);
        while Instant::now() < until {}
    });
    let address = serve(builder().method(busy)).await;
    let mut streams = [None, None];
    for stream in &mut streams {
        let stream = stream.insert(open(address, &kept_call("add", "[1,2]")).await);
        assert_ne!(stream.read(&mut [0; 1000]).await.unwrap(), 0);
    }
    let [Some(mut long), Some(mut other)] = streams else { panic!("two") };
    long.write_all(kept_call("busy", "").repeat(50).as_bytes()).await.unwrap();
    other.write_all(kept_call("add", "[1,2]").as_bytes()).await.unwrap();
    let read = timeout(TIMEOUT, other.read(&mut [0; 1000])).await.unwrap();
    assert_ne!(read.unwrap(), 0);
    // hyper itself would take sixteen.
    let run = run.load(SeqCst);
    assert!(run < 12, "{run} requests of another connection were served before");
}

#[tokio::test]
async fn only_pages_of_allowed_origins_can_call_and_read() {
    let builder = builder().allowed_origins(["https://app.example".to_owned()]);
    let address = serve(builder).await;
    let preflight = |origin: &str| {
        format!(
            "OPTIONS /call/add HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type, authorization, timeout\r\n\r\n"
        )
    };
    let allowed = send(address, &preflight("https://app.example")).await;
    assert_eq!(allowed.status, 200);
    for header in [
        "access-control-allow-origin: https://app.example",
        "access-control-allow-methods: get,post",
        "access-control-allow-headers: content-type,authorization,timeout,traceparent",
        "access-control-max-age: 600",
    ] {
        assert!(allowed.head.contains(header), "{header}: {}", allowed.head);
    }
    assert_eq!(send(address, &preflight("https://evil.example")).await.status, 403);
    let read = call(address, "add", "Origin: https://app.example\r\n", "[1,2]").await;
    assert!(
        read.status == 200 && read.head.contains("access-control-allow-origin"),
        "{}",
        read.head
    );
    let foreign = call(address, "add", "Origin: https://evil.example\r\n", "[1,2]").await;
    assert_eq!(foreign.status, 403);
    // What a form of a page could send without asking first.
    for headers in ["Origin: https://app.example\r\n", "Content-Type: text/plain\r\n"] {
        for path in ["/call/add", "/rpc"] {
            assert_eq!(send(address, &post(path, headers, "[1,2]")).await.status, 415, "{headers}");
        }
    }
}

#[tokio::test]
async fn another_http_method_is_refused_with_the_one_that_is_there() {
    let address = serve(builder()).await;
    for path in ["/call/add", "/rpc"] {
        let request =
            format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let refused = send(address, &request).await;
        assert!(refused.status == 405 && refused.head.contains("allow: post"), "{}", refused.head);
    }
}

#[tokio::test]
async fn the_openapi_document_names_every_method() {
    let address = serve(builder()).await;
    let request = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let document = send(address, request).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let add = &document["paths"]["/call/add"]["post"];
    let schemas = &add["requestBody"]["content"]["application/json"]["schema"]["anyOf"];
    assert_eq!(schemas[0]["required"], json!(["a", "b"]));
    assert_eq!(schemas[1]["minItems"], 2);
    assert_eq!(add["responses"]["200"]["content"]["application/json"]["schema"]["type"], "integer");
    let count = &document["paths"]["/call/count"]["post"]["responses"]["200"]["content"];
    assert_eq!(count["application/x-ndjson"]["schema"]["type"], "integer");
    assert_eq!(document["paths"].as_object().unwrap().len(), 6);
}
