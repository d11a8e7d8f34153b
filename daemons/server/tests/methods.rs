//! `#[rpc_method]` as its users write it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::Stream;
use rpc_server::method::{Example, Fallible};
use rpc_server::schemars::JsonSchema;
use rpc_server::{Effect, Failure, Method, Server, Typed, rpc_method};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "rpc_server::schemars")]
struct Point {
    x: i32,
    y: i32,
}

/// Moves a point.
///
/// By one, unless given.
#[rpc_method]
fn shift(
    point: Point,
    #[default(1)] by: i32,
    #[default("right".to_owned())] r#where: String,
) -> Point {
    match r#where.as_str() {
        "up" => Point { y: point.y + by, ..point },
        _ => Point { x: point.x + by, ..point },
    }
}

#[rpc_method]
async fn wait(milliseconds: u64) -> Result<u64, Failure> {
    if milliseconds > 100 {
        return Err(Failure::new("too long"));
    }
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(milliseconds)
}

#[rpc_method(blocking)]
fn parse(text: String) -> Result<i32, std::num::ParseIntError> {
    text.parse()
}

#[rpc_method(stream, name = "numbers")]
fn count(to: u32) -> impl Stream<Item = u32> {
    futures_util::stream::iter(1..=to)
}

#[rpc_method]
fn nothing() {}

/// Adds numbers.
#[rpc_method(read_only)]
#[example(1, 2)]
#[example("three": 1, 2, 3 => 6)]
fn sum(a: i64, b: i64, #[default(10)] c: i64) -> i64 {
    a + b + c
}

#[rpc_method(idempotent)]
#[deprecated]
#[example]
fn reset() {}

/// Its name does not say that it is a `Result`.
type Parsed = Result<u8, std::num::ParseIntError>;

#[rpc_method]
fn byte(text: String) -> Parsed {
    text.parse()
}

#[derive(Debug, Serialize, JsonSchema, thiserror::Error)]
#[schemars(crate = "rpc_server::schemars")]
#[error("only {left} left")]
struct SoldOut {
    left: u32,
}

#[rpc_method]
fn order(count: u32) -> Result<u32, Typed<SoldOut>> {
    if count > 3 { Err(SoldOut { left: 3 })? } else { Ok(count) }
}

#[rpc_method]
fn order_untyped(count: u32) -> Result<u32, SoldOut> {
    if count > 3 { Err(SoldOut { left: 3 }) } else { Ok(count) }
}

#[rpc_method(stream)]
fn halves(from: u32) -> Result<impl Stream<Item = Result<u32, Failure>>, Failure> {
    if from == 0 {
        return Err(Failure::bad_arguments("zero has no half"));
    }
    let halves = std::iter::successors(Some(from), |n| Some(n / 2));
    let halves = halves.map(|n| if n > 1 { Ok(n / 2) } else { Err(Failure::new("odd")) });
    Ok(futures_util::stream::iter(halves))
}

async fn ask(methods: Vec<Method>, request: Value) -> String {
    let server = Server::builder().methods(methods).bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr();
    let task = tokio::spawn(server.serve(std::future::pending()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.to_string().as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{seen:?}");
        let replies = String::from_utf8_lossy(&seen);
        let has_ended = replies.contains("end") || replies.contains("error");
        if replies.ends_with('\n') && (!replies.contains("item") || has_ended) {
            task.abort();
            return replies.into_owned();
        }
    }
}

#[tokio::test]
async fn a_function_becomes_a_method_and_stays_a_function() {
    assert_eq!(shift(Point { x: 1, y: 1 }, 2, "up".to_owned()).y, 3);
    let call = |args: Value, kwargs: Value| {
        let request =
            json!({"id": 1, "method_name": "shift", "method_args": args, "method_kwargs": kwargs});
        ask(vec![shift::method()], request)
    };
    let point = json!([{"x": 1, "y": 1}]);
    assert_eq!(call(point.clone(), json!({})).await, "{\"id\":1,\"res\":{\"x\":2,\"y\":1}}\n");
    let reply = call(point, json!({"where": "up", "by": 5})).await;
    assert_eq!(reply, "{\"id\":1,\"res\":{\"x\":1,\"y\":6}}\n");
    let reply = call(json!([{"x": "one", "y": 1}]), json!({})).await;
    assert!(reply.contains("Argument error: shift() argument 'point': invalid type: string"));
}

#[tokio::test]
async fn every_kind_of_body_returns_its_result() {
    let call = |method: Method, args: Value| {
        let name = method.signature().name.clone();
        let meta = json!({"stream": method.signature().stream});
        let request = json!({"id": 1, "method_name": name, "method_args": args, "meta": meta});
        ask(vec![method], request)
    };
    assert_eq!(call(wait::method(), json!([1])).await, "{\"id\":1,\"res\":1}\n");
    assert!(call(wait::method(), json!([101])).await.contains("Error calling method: too long"));
    assert_eq!(call(parse::method(), json!(["7"])).await, "{\"id\":1,\"res\":7}\n");
    assert!(call(parse::method(), json!(["x"])).await.contains("invalid digit"));
    assert_eq!(call(nothing::method(), json!([])).await, "{\"id\":1,\"res\":null}\n");
    assert_eq!(
        call(count::method(), json!([2])).await,
        "{\"id\":1,\"item\":1}\n{\"id\":1,\"item\":2}\n{\"id\":1,\"end\":true}\n"
    );
}

#[test]
fn discovery_sees_names_types_defaults_and_docs() {
    let method = shift::method();
    let signature = method.signature();
    assert_eq!(signature.doc, "Moves a point.\n\nBy one, unless given.");
    let names: Vec<_> = signature.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["point", "by", "where"]);
    assert_eq!(signature.parameters[0].schema["properties"]["x"]["type"], "integer");
    assert_eq!(signature.parameters[2].default, Some(json!("right")));
    assert_eq!(count::method().signature().name, "numbers");
    assert!(count::method().signature().stream);
}

fn call(method: &Method, args: Value) -> Value {
    let signature = method.signature();
    json!({"id": 1, "method_name": signature.name, "method_args": args,
           "meta": {"stream": signature.stream}})
}

#[tokio::test]
async fn a_result_is_told_by_its_type() {
    let ask = |method: Method, args: Value| {
        let request = call(&method, args);
        ask(vec![method], request)
    };
    assert_eq!(ask(byte::method(), json!(["7"])).await, "{\"id\":1,\"res\":7}\n");
    assert!(ask(byte::method(), json!(["300"])).await.contains("number too large"));
    assert_eq!(byte::method().signature().result.as_ref().unwrap()["type"], "integer");
    // An error that could be a value is an error when it is said so.
    let order = Method::named("order").parameters(["count"]);
    let order = order.sync::<_, _, Fallible>(order_untyped);
    assert!(ask(order, json!([4])).await.contains("-32603"));
    assert!(ask(order_untyped::method(), json!([4])).await.contains("-32603"));
    let reply = ask(halves::method(), json!([8])).await;
    let lines: Vec<_> = reply.lines().collect();
    assert_eq!(lines.len(), 4, "{reply}");
    assert!(lines[2].contains("\"item\":1") && lines[3].contains("odd"), "{reply}");
    let reply = ask(halves::method(), json!([0])).await;
    assert!(reply.contains("-32602") && reply.contains("zero has no half"), "{reply}");
}

#[tokio::test]
async fn a_typed_error_travels_as_data() {
    let reply = ask(vec![order::method()], call(&order::method(), json!([4]))).await;
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["error"]["message"], "only 3 left");
    assert_eq!(reply["error"]["data"], json!({"left": 3}));
    assert_eq!(reply["error"]["code"], -32603);
}

#[test]
fn discovery_sees_what_a_method_says_of_itself() {
    let sum = sum::method();
    let signature = sum.signature();
    assert_eq!((signature.effect, signature.deprecated), (Effect::ReadOnly, false));
    let examples: Vec<_> =
        signature.examples.iter().map(|e| (e.name.as_str(), &e.result)).collect();
    assert_eq!(examples, [("", &None), ("three", &Some(json!(6)))]);
    let named = |pairs: &[(&str, i64)]| -> Vec<_> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    };
    assert_eq!(signature.examples[0].arguments, named(&[("a", 1), ("b", 2)]));
    assert_eq!(signature.examples[1].arguments, named(&[("a", 1), ("b", 2), ("c", 3)]));
    let reset = reset::method();
    let signature = reset.signature();
    assert_eq!((signature.effect, signature.deprecated), (Effect::Idempotent, true));
    assert_eq!(signature.examples.len(), 1);
    let both = Method::named("m").read_only().idempotent().deprecated().sync(|| ());
    assert_eq!((both.signature().effect, both.signature().deprecated), (Effect::ReadOnly, true));
}

#[tokio::test]
async fn an_example_that_cannot_be_called_is_reported_at_bind() {
    let problem = async |example: Example| {
        let method = Method::named("m").parameters(["a", "b"]).default("b", 1).example(example);
        let server = Server::builder().method(method.sync(|a: u8, b: u8| a + b));
        server.bind((Ipv4Addr::LOCALHOST, 0)).await.err().map(|error| error.to_string())
    };
    assert_eq!(problem(Example::of((1,))).await, None);
    for (example, text) in [
        (Example::of((1, 2, 3)), "from 1 to 2 positional arguments but 3 were given"),
        (Example::of(()), "missing 1 required positional argument: 'a'"),
        (Example::of((1, "two")), "m() argument 'b': invalid type: string"),
        (Example::of(1), "its arguments are not a tuple"),
    ] {
        let problem = problem(example).await.unwrap();
        assert!(problem.contains("an example does not fit") && problem.contains(text), "{problem}");
    }
}

#[test]
fn the_builtin_methods_say_what_they_change() {
    for method in rpc_server::builtin::methods() {
        let Effect::ReadOnly = method.signature().effect else {
            assert_eq!(
                (&*method.signature().name, method.signature().effect),
                ("sleep", Effect::Idempotent)
            );
            continue;
        };
    }
}

#[tokio::test]
async fn each_builtin_method_has_examples_that_are_true_and_that_discovery_says() {
    let server = Server::builder().methods(rpc_server::builtin::methods());
    let mut server = server.in_memory().unwrap();
    let mut ask = async |method: &str, params: Value| -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = server.answer(request.to_string().as_bytes()).await.to_vec();
        serde_json::from_slice::<Value>(&reply).unwrap()["result"].clone()
    };
    let document = ask("rpc.discover", json!([])).await;
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let examples = method["examples"].as_array();
        for example in examples.unwrap_or_else(|| panic!("{name} has no example")) {
            let named = |it: &Value| Some((it["name"].as_str()?.to_owned(), it["value"].clone()));
            let params = example["params"].as_array().unwrap().iter().map(named);
            let params: serde_json::Map<_, _> = params.collect::<Option<_>>().unwrap();
            assert_eq!(ask(name, params.into()).await, example["result"]["value"], "{name}");
        }
    }
}
