//! tower layers around the methods of a server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use rpc_server::layer::{BoxError, Next, Reply, Request, Service};
use rpc_server::{
    Call, Effect, Failure, Fault, Identity, Limits, Server, ServerBuilder, builtin, rpc_method,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tower::ServiceBuilder;
use tower::layer::layer_fn;
use tower::timeout::TimeoutLayer;

#[rpc_method(stream)]
fn count(to: u32) -> impl Stream<Item = u32> {
    stream::iter(0..to)
}

#[rpc_method(blocking)]
fn nap(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

#[rpc_method]
fn whoami(call: Call) -> Option<String> {
    call.identity().map(|identity| identity.name.clone())
}

#[rpc_method]
fn boom() -> u8 {
    panic!("boom")
}

/// One connection to a server with these methods.
struct Peer(BufReader<TcpStream>);

impl Peer {
    async fn of(server: ServerBuilder) -> Self {
        let server = server
            .methods([count::method(), nap::method(), whoami::method(), boom::method()])
            .methods(builtin::methods());
        let server = server.bind(([127, 0, 0, 1], 0)).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn send(&mut self, id: u64, method: &str, args: Value) {
        let request = json!({"id": id, "method_name": method, "method_args": args,
                             "meta": {"stream": method == "count"}});
        self.write(&request.to_string()).await;
    }

    async fn write(&mut self, request: &str) {
        self.0.get_mut().write_all(request.as_bytes()).await.unwrap();
    }

    async fn text(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    async fn line(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// The error's code and text.
    async fn error(&mut self) -> (i64, String) {
        let error = self.line().await["error"].take();
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

/// What a logging layer saw.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    method: String,
    arguments: String,
    from_loopback: bool,
    has_deadline: bool,
    effect: Effect,
    is_stream: bool,
    outcome: Result<bool, i64>,
    slow: bool,
}

type Log = Arc<Mutex<Vec<Seen>>>;

#[derive(Clone)]
struct Logged(Next, Log);

impl Service<Request> for Logged {
    type Response = Reply;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Reply, Fault>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (log, started) = (self.1.clone(), Instant::now());
        let mut seen = Seen {
            method: request.method().to_owned(),
            arguments: format!("{} {}", request.arguments(), request.keyword_arguments()),
            from_loopback: request.call().peer().unwrap().ip().is_loopback(),
            has_deadline: request.call().deadline().is_some(),
            effect: request.effect(),
            is_stream: request.is_stream(),
            outcome: Ok(false),
            slow: false,
        };
        let reply = self.0.call(request);
        Box::pin(async move {
            let reply = reply.await;
            seen.outcome = match &reply {
                Ok(reply) => Ok(reply.is_stream() == reply.json().is_none()),
                Err(fault) => Err(fault.code.number()),
            };
            seen.slow = started.elapsed() > Duration::from_millis(40);
            log.lock().unwrap().push(seen);
            reply
        })
    }
}

#[tokio::test]
async fn a_logging_layer_sees_every_call_and_its_outcome() {
    let log = Log::default();
    let logged = {
        let log = log.clone();
        layer_fn(move |next| Logged(next, log.clone()))
    };
    let mut peer = Peer::of(Server::builder().layer(logged)).await;
    peer.write(r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{"c":3}}"#).await;
    assert_eq!(peer.text().await, "{\"res\":6}\n");
    peer.send(2, "nap", json!([50])).await;
    assert_eq!(peer.text().await, "{\"id\":2,\"res\":50}\n");
    peer.send(3, "square", json!([])).await;
    assert_eq!(peer.error().await.0, -32602);
    peer.send(4, "count", json!([1])).await;
    assert_eq!(peer.text().await, "{\"id\":4,\"item\":0}\n");
    assert_eq!(peer.text().await, "{\"id\":4,\"end\":true}\n");
    // These are the server's own, and what names no method.
    peer.send(5, "rpc.health", json!([])).await;
    peer.line().await;
    peer.send(6, "nope", json!([])).await;
    assert_eq!(peer.error().await.0, -32601);
    let seen = |method: &str, arguments: &str, effect, outcome| Seen {
        method: method.to_owned(),
        arguments: arguments.to_owned(),
        from_loopback: true,
        has_deadline: method != "count",
        effect,
        is_stream: method == "count",
        outcome,
        slow: method == "nap",
    };
    assert_eq!(
        *log.lock().unwrap(),
        [
            seen("add", "[1,2] {\"c\":3}", Effect::ReadOnly, Ok(true)),
            seen("nap", "[50] {}", Effect::Unknown, Ok(true)),
            seen("square", "[] {}", Effect::ReadOnly, Err(-32602)),
            seen("count", "[1] {}", Effect::Unknown, Ok(true)),
        ]
    );
}

#[tokio::test]
async fn a_full_limit_with_load_shedding_refuses_as_overloaded() {
    let limited = ServiceBuilder::new().load_shed().concurrency_limit(1);
    let mut peer = Peer::of(Server::builder().layer(limited)).await;
    peer.send(1, "sleep", json!([0.1])).await;
    peer.send(2, "square", json!([3])).await;
    let reply = peer.line().await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(2), &json!(-32002)), "{reply}");
    assert_eq!(reply["error"]["retryable"], true);
    assert_eq!(peer.text().await, "{\"id\":1,\"res\":0.1}\n");
    peer.send(3, "square", json!([3])).await;
    assert_eq!(peer.text().await, "{\"id\":3,\"res\":9}\n");
}

#[tokio::test]
async fn a_full_limit_without_it_waits_until_the_deadline() {
    let limited = ServiceBuilder::new().concurrency_limit(1);
    let mut peer = Peer::of(Server::builder().layer(limited)).await;
    peer.send(1, "sleep", json!([0.1])).await;
    peer.write(r#"{"id":2,"method_name":"square","method_args":[3],"meta":{"deadline_ms":20}}"#)
        .await;
    peer.send(3, "square", json!([4])).await;
    let reply = peer.line().await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(2), &json!(-32000)), "{reply}");
    assert_eq!(peer.text().await, "{\"id\":1,\"res\":0.1}\n");
    assert_eq!(peer.text().await, "{\"id\":3,\"res\":16}\n");
}

#[tokio::test]
async fn a_rate_limit_works_behind_a_buffer() {
    let limited = ServiceBuilder::new()
        .buffer::<Request>(16)
        .load_shed()
        .rate_limit(1, Duration::from_secs(60));
    let mut peer = Peer::of(Server::builder().layer(limited)).await;
    peer.send(1, "square", json!([3])).await;
    assert_eq!(peer.text().await, "{\"id\":1,\"res\":9}\n");
    peer.send(2, "square", json!([3])).await;
    assert_eq!(peer.error().await.0, -32002);
}

#[tokio::test]
async fn a_timeout_is_a_passed_deadline_and_a_panic_stays_an_error() {
    let timeout = TimeoutLayer::new(Duration::from_millis(20));
    let mut peer = Peer::of(Server::builder().layer(timeout)).await;
    peer.send(1, "sleep", json!([5])).await;
    assert_eq!(peer.error().await.0, -32000);
    peer.send(2, "boom", json!([])).await;
    let (code, text) = peer.error().await;
    assert!(code == -32603 && text.ends_with("panicked"), "{text}");
    peer.send(3, "square", json!([2])).await;
    assert_eq!(peer.text().await, "{\"id\":3,\"res\":4}\n");
}

#[tokio::test]
async fn a_layer_may_reply_refuse_and_say_who_calls() {
    /// Refuses what is not for everybody, and answers one method itself.
    #[derive(Clone)]
    struct Gate(Next);

    impl Service<Request> for Gate {
        type Response = Reply;
        type Error = BoxError;
        type Future = BoxFuture<'static, Result<Reply, BoxError>>;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.0.poll_ready(context).map_err(Into::into)
        }

        fn call(&mut self, mut request: Request) -> Self::Future {
            match request.method() {
                "add" => Box::pin(async { Err(Failure::new("not you").with_code(-32004).into()) }),
                "divide" => Box::pin(async { Err("out of order".into()) }),
                "square" | "count" => Box::pin(async { Ok(Reply::of(&"cached")?) }),
                _ => {
                    request.set_identity(Identity::named("ann"));
                    let reply = self.0.call(request);
                    Box::pin(async { Ok(reply.await?) })
                }
            }
        }
    }

    // The one added last is outside: this one sees what the gate refuses.
    let log = Log::default();
    let logged = {
        let log = log.clone();
        layer_fn(move |next| Logged(next, log.clone()))
    };
    let mut peer = Peer::of(Server::builder().layer(layer_fn(Gate)).layer(logged)).await;
    peer.send(1, "add", json!([])).await;
    assert_eq!(peer.error().await, (-32004, "not you".to_owned()));
    peer.send(2, "divide", json!([])).await;
    assert_eq!(peer.error().await, (-32603, "out of order".to_owned()));
    peer.send(3, "square", json!([])).await;
    assert_eq!(peer.text().await, "{\"id\":3,\"res\":\"cached\"}\n");
    peer.send(4, "count", json!([])).await;
    assert_eq!(peer.text().await, "{\"id\":4,\"item\":\"cached\"}\n");
    assert_eq!(peer.text().await, "{\"id\":4,\"end\":true}\n");
    peer.send(5, "whoami", json!([])).await;
    assert_eq!(peer.text().await, "{\"id\":5,\"res\":\"ann\"}\n");
    let outcomes: Vec<_> = log.lock().unwrap().iter().map(|seen| seen.outcome).collect();
    assert_eq!(outcomes[..2], [Err(-32004), Err(-32603)]);
}

#[tokio::test]
async fn the_servers_own_limits_and_statistics_hold_around_layers() {
    let limits = Limits::default().max_calls(1);
    let waits = ServiceBuilder::new().concurrency_limit(1);
    let mut peer = Peer::of(Server::builder().limits(limits).layer(waits)).await;
    peer.send(1, "nap", json!([50])).await;
    peer.send(2, "square", json!([3])).await;
    let (code, text) = peer.error().await;
    assert!(code == -32002 && text.contains("max_calls"), "{text}");
    assert_eq!(peer.text().await, "{\"id\":1,\"res\":50}\n");
    peer.send(3, "rpc.stats", json!([])).await;
    let stats = peer.line().await["res"].take();
    let nap = stats["methods"].as_array().unwrap().iter().find(|m| m["name"] == "nap").unwrap();
    assert_eq!(
        (&nap["calls"], &nap["in_flight"], &stats["in_flight"]),
        (&json!(1), &json!(0), &json!(0))
    );
}
