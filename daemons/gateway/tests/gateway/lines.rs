//! A gateway as a client meets it that starts it as a child: line by line, with a server behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rpc_gateway::{Exposure, GatewayOptions};
use rpc_server::{Method, ServerHandle, rpc_method};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf, duplex,
    split,
};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::harness::{TIMEOUT, double, gateway, methods_with, modern};

#[rpc_method(read_only)]
async fn pause(milliseconds: u64) -> u64 {
    sleep(Duration::from_millis(milliseconds)).await;
    milliseconds
}

#[rpc_method]
fn put() {}

/// A client, the gateway it speaks with, and the server behind that.
struct Agent {
    input: Option<WriteHalf<DuplexStream>>,
    output: Lines<BufReader<ReadHalf<DuplexStream>>>,
    serving: JoinHandle<std::io::Result<()>>,
    server: ServerHandle,
}

impl Agent {
    async fn with(options: GatewayOptions) -> Self {
        Self::of(methods_with([pause::method(), put::method()]), options).await
    }

    async fn of(methods: Vec<Method>, options: GatewayOptions) -> Self {
        let (gateway, server) = gateway(methods, options).await;
        let (ours, theirs) = duplex(1 << 16);
        let (input, output) = split(theirs);
        let serving = tokio::spawn(async move { gateway.serve_lines(input, output).await });
        let (output, input) = split(ours);
        let output = BufReader::new(output).lines();
        Self { input: Some(input), output, serving, server }
    }

    async fn send(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    async fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        let params = json!({"name": tool, "arguments": arguments});
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}))
            .await;
    }

    async fn next(&mut self) -> Value {
        let line = timeout(TIMEOUT, self.output.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    }

    /// What comes until the end of the output, after the end of the input.
    async fn rest(mut self) -> Vec<Value> {
        self.input.take().unwrap().shutdown().await.unwrap();
        let mut all = Vec::new();
        while let Some(line) = timeout(TIMEOUT, self.output.next_line()).await.unwrap().unwrap() {
            all.push(serde_json::from_str(&line).unwrap());
        }
        timeout(TIMEOUT, self.serving).await.unwrap().unwrap().unwrap();
        all
    }
}

fn tool_names(reply: &Value) -> Vec<&str> {
    let tools = reply["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn everything_asked_before_the_end_of_input_is_answered() {
    let mut agent = Agent::with(GatewayOptions::default()).await;
    agent.call(1, "pause", json!({"milliseconds": 300})).await;
    agent.call(2, "double", json!({"number": 21})).await;
    agent.send(json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"})).await;
    let rest = agent.rest().await;
    assert_eq!(rest.len(), 3, "{rest:?}");
    let of = |id: u64| rest.iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(of(1)["result"]["structuredContent"], json!({"result": 300}));
    assert_eq!(of(2)["result"]["content"][0]["text"], "42");
    assert_eq!(tool_names(of(3)), ["count", "double", "pause", "text", "wait"]);
    assert_eq!(rest[2]["id"], 1, "nothing waits for a slow call: {rest:?}");
}

#[tokio::test]
async fn a_cancelled_call_is_not_answered_and_its_id_is_free() {
    let options = GatewayOptions { max_calls: 1, ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    agent.call(1, "wait", json!({})).await;
    agent.call(2, "double", json!({"number": 1})).await;
    let busy = agent.next().await;
    assert_eq!((&busy["id"], &busy["result"]["isError"]), (&json!(2), &json!(true)));
    assert!(
        busy["result"]["content"][0]["text"].as_str().unwrap().contains("1 calls are in flight")
    );
    agent.call(1, "wait", json!({})).await;
    assert_eq!(agent.next().await["error"]["code"], -32600, "its id is in use");
    let cancel = json!({"requestId": 1});
    agent
        .send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}))
        .await;
    // Its place is free again soon after.
    loop {
        agent.call(1, "double", json!({"number": 4})).await;
        let reply = agent.next().await;
        assert_eq!(reply["id"], 1);
        if reply["result"]["isError"] == false {
            assert_eq!(reply["result"]["content"][0]["text"], "8");
            break;
        }
    }
    assert_eq!(agent.rest().await, [Value::Null; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_free_as_soon_as_its_request_is_answered() {
    let mut agent = Agent::with(GatewayOptions::default()).await;
    for number in 0..500 {
        agent.call(1, "double", json!({"number": number})).await;
        let reply = agent.next().await;
        assert_eq!(reply["result"]["structuredContent"], json!({"result": 2 * number}), "{reply}");
    }
}

#[tokio::test]
async fn items_of_a_stream_are_progress_and_then_the_result() {
    let options =
        GatewayOptions { progress_interval: Duration::from_millis(1), ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    let params = json!({"name": "count", "arguments": {"to": 3}});
    let mut request = modern(7, "tools/call", params);
    request["params"]["_meta"]["progressToken"] = json!("p");
    agent.send(request).await;
    for count in 1..=3 {
        let progress = agent.next().await;
        assert_eq!(progress["method"], "notifications/progress");
        let params = json!({"progressToken": "p", "progress": count, "message": count.to_string()});
        assert_eq!(progress["params"], params);
    }
    let result = agent.next().await["result"].take();
    assert_eq!(result["structuredContent"], json!([1, 2, 3]));
    // Nobody asked to be told.
    agent.call(8, "count", json!({"to": 2})).await;
    assert_eq!(agent.next().await["result"]["structuredContent"], json!({"result": [1, 2]}));
}

#[tokio::test]
async fn progress_that_comes_too_soon_is_not_reported() {
    let options =
        GatewayOptions { progress_interval: Duration::from_secs(600), ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    let mut request = modern(1, "tools/call", json!({"name": "count", "arguments": {"to": 9}}));
    request["params"]["_meta"]["progressToken"] = json!(1);
    agent.send(request).await;
    assert_eq!(agent.next().await["params"]["progress"], 1);
    assert_eq!(agent.next().await["result"]["structuredContent"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn a_stream_ends_at_its_time_and_at_its_room_with_what_there_is() {
    let options = GatewayOptions { max_items: 20, ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    agent.call(1, "count", json!({"to": 1000})).await;
    let full = agent.next().await["result"].take();
    assert_eq!(full["structuredContent"]["result"].as_array().unwrap().len(), 20);
    assert!(full["content"][1]["text"].as_str().unwrap().contains("first 20 items"));
    let options = GatewayOptions {
        timeout: Duration::from_secs(1),
        max_items: 1_000_000,
        ..GatewayOptions::default()
    };
    let mut agent = Agent::with(options).await;
    agent.call(1, "count", json!({"to": 1_000_000})).await;
    let late = agent.next().await["result"].take();
    assert_eq!(late["isError"], false);
    assert!(late["content"][1]["text"].as_str().unwrap().contains("the time of a call was over"));
}

#[tokio::test]
async fn a_call_that_takes_too_long_or_returns_too_much_is_an_error_that_says_what_to_do() {
    let options = GatewayOptions {
        timeout: Duration::from_millis(200),
        max_result_bytes: 1000,
        ..GatewayOptions::default()
    };
    let mut agent = Agent::with(options).await;
    agent.call(1, "wait", json!({})).await;
    let late = agent.next().await["result"].take();
    assert_eq!(late["isError"], true);
    agent.call(2, "text", json!({"bytes": 2000})).await;
    let long = agent.next().await["result"].take();
    assert!(
        long["content"][0]["text"].as_str().unwrap().contains("more than 1000 bytes"),
        "{long}"
    );
}

#[tokio::test]
async fn changes_are_told_to_sessions_and_to_subscriptions_until_they_end() {
    let mut agent = Agent::with(GatewayOptions::default()).await;
    agent.send(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})).await;
    agent.next().await;
    agent.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    for (id, filter) in [(2, json!({"toolsListChanged": true})), (3, json!({}))] {
        agent.send(modern(id, "subscriptions/listen", json!({"notifications": filter}))).await;
        let granted = agent.next().await;
        assert_eq!(granted["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(granted["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(granted["params"]["notifications"], filter);
    }
    agent.server.replace_methods(vec![double::method()]).unwrap();
    let mut told = [agent.next().await, agent.next().await];
    told.sort_by_key(|it| it.get("params").is_some());
    let changed = "notifications/tools/list_changed";
    assert_eq!([&told[0]["method"], &told[1]["method"]], [changed, changed]);
    assert_eq!(told[1]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 2);
    agent.send(json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list"})).await;
    assert_eq!(tool_names(&agent.next().await), ["double"]);
    let mut rest = agent.rest().await;
    rest.sort_by_key(|it| it["id"].as_u64());
    let ids: Vec<_> = rest.iter().map(|it| (&it["id"], &it["result"]["resultType"])).collect();
    assert_eq!(ids, [(&json!(2), &json!("complete")), (&json!(3), &json!("complete"))]);
}

#[tokio::test]
async fn one_subscription_more_than_the_limit_is_refused() {
    let options = GatewayOptions { max_subscriptions: 1, ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    agent.send(modern(1, "subscriptions/listen", json!({}))).await;
    agent.next().await;
    agent.send(modern(2, "subscriptions/listen", json!({}))).await;
    let refused = agent.next().await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("max_subscriptions"));
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_read_no_further() {
    let mut agent = Agent::with(GatewayOptions::default()).await;
    let mut input = agent.input.take().unwrap();
    let call = json!({"name": "double", "arguments": {"number": 1}});
    let line = format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": "ID", "method": "tools/call", "params": call})
    );
    // Far more than fits in the pipes and queues between.
    for number in 0..100_000 {
        let line = line.replace("\"ID\"", &number.to_string());
        let written = input.write_all(line.as_bytes());
        if timeout(Duration::from_secs(1), written).await.is_err() {
            return;
        }
    }
    panic!("everything was read");
}

#[tokio::test]
async fn a_client_that_reads_no_results_gets_no_more_of_them_until_it_does() {
    const CALLS: u64 = 60;
    const RESULT: usize = 100_000;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let large = Method::named("large").parameters([]).sync(move || {
        count.fetch_add(1, Ordering::SeqCst);
        "x".repeat(RESULT)
    });
    let options = GatewayOptions {
        exposure: Exposure { all: true, ..Exposure::default() },
        max_result_bytes: RESULT + 10,
        // For ten of them.
        max_unwritten_bytes: 11 * RESULT,
        ..GatewayOptions::default()
    };
    let mut agent = Agent::of(vec![large], options).await;
    for id in 0..CALLS {
        agent.call(id, "large", json!({})).await;
    }
    // What does not need a result's room comes though none is left.
    agent.send(json!({"jsonrpc": "2.0", "id": CALLS, "method": "ping"})).await;
    let mut before = 0;
    while made.load(Ordering::SeqCst) == 0 || made.load(Ordering::SeqCst) != before {
        before = made.load(Ordering::SeqCst);
        sleep(Duration::from_millis(300)).await;
    }
    assert!((5..=11).contains(&before), "{before} calls were made");
    let mut answers = agent.rest().await;
    answers.sort_by_key(|it| it["id"].as_u64());
    let ids: Vec<_> = answers.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..=CALLS).collect::<Vec<_>>());
    for answer in &answers[..CALLS as usize] {
        assert_eq!(answer["result"]["content"][0]["text"].as_str().unwrap().len(), RESULT);
    }
    assert_eq!(made.load(Ordering::SeqCst) as u64, CALLS);
}

#[tokio::test]
async fn requests_that_wait_are_read_only_as_far_as_there_is_room_and_all_are_answered() {
    let options = GatewayOptions {
        max_message_bytes: 20_000,
        max_result_bytes: 20_000,
        max_unwritten_bytes: 60_000,
        ..GatewayOptions::default()
    };
    let mut agent = Agent::with(options).await;
    let mut input = agent.input.take().unwrap();
    let call = |id: u64| {
        let mut call = json!({"name": "pause", "arguments": {"milliseconds": 500}});
        call["note"] = "x".repeat(10_000).into();
        format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": call}))
    };
    let mut written = 0;
    let filled = timeout(Duration::from_millis(400), async {
        for id in 0..100 {
            input.write_all(call(id).as_bytes()).await.unwrap();
            written += 1;
        }
    });
    assert!(filled.await.is_err() && written < 20, "{written} were read");
    drop(input);
    for _ in 0..written {
        assert_eq!(agent.next().await["result"]["content"][0]["text"], "500");
    }
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_next_one_too() {
    let options = GatewayOptions { max_message_bytes: 1000, ..GatewayOptions::default() };
    let mut agent = Agent::with(options).await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}{}}}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    let input = agent.input.as_mut().unwrap();
    for line in
        ["nonsense", &"x".repeat(5000), &deep, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#]
    {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    for code in [-32700, -32600, -32600] {
        assert_eq!(agent.next().await["error"]["code"], code);
    }
    assert_eq!(agent.next().await["result"], json!({}));
}

#[tokio::test]
async fn methods_that_may_change_something_are_tools_only_if_they_are_allowed() {
    let exposure = |all, allow: &[&str], deny: &[&str]| Exposure {
        all,
        allow: allow.iter().map(|it| it.parse().unwrap()).collect(),
        deny: deny.iter().map(|it| it.parse().unwrap()).collect(),
    };
    for (exposure, expected) in [
        (exposure(false, &["p*"], &["*t"]), vec!["double", "pause"]),
        (exposure(false, &["put"], &["count", "text", "wait"]), vec!["double", "pause", "put"]),
        (exposure(true, &[], &["d*", "c*", "text", "w*"]), vec!["pause", "put"]),
    ] {
        let options = GatewayOptions { exposure, prefix: "my_".to_owned(), ..Default::default() };
        let mut agent = Agent::with(options).await;
        agent.send(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await;
        let expected: Vec<_> = expected.iter().map(|name| format!("my_{name}")).collect();
        assert_eq!(tool_names(&agent.next().await), expected);
    }
}
