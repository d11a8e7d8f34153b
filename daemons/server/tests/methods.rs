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
use rpc_server::schemars::JsonSchema;
use rpc_server::{Failure, Method, Server, rpc_method};
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
        if replies.ends_with('\n') && (!replies.contains("item") || replies.contains("end")) {
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
