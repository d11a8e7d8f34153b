//! What a method takes in front of its parameters.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use rpc_server::extract::{FromCall, Needs, Parts};
use rpc_server::{Call, Dialect, Failure, Method, Server, ServerBuilder, State, rpc_method};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Db = Arc<AtomicU64>;

/// Adds to the state.
#[rpc_method]
fn add(State(db): State<Db>, call: Call, by: u64, #[default(1)] times: u64) -> String {
    let total = db.fetch_add(by * times, Relaxed) + by * times;
    format!("{} {total}", call.method())
}

#[rpc_method]
async fn describe(call: Call) -> Value {
    tokio::task::yield_now().await;
    json!({
        "method": call.method(),
        "peer": call.peer().map(|peer| peer.ip().to_string()),
        "left": call.remaining().map(|left| left.as_secs_f64().ceil()),
        "dialect": format!("{:?}", call.dialect()),
        "trace": call.traceparent(),
        "identity": call.identity().map(|identity| identity.name.clone()),
    })
}

/// A state that is needed twice, and the caller's port.
struct Caller(u16, Db);

impl FromCall for Caller {
    fn from_call(parts: &Parts<'_>) -> Result<Self, Failure> {
        let peer = parts.call().peer().ok_or_else(|| Failure::new("no socket").with_code(9))?;
        let db = parts.state::<Db>().ok_or_else(|| Failure::new("no state"))?;
        Ok(Self(peer.port(), db.clone()))
    }

    fn needs(needs: &mut Needs) {
        needs.state::<Db>();
    }
}

#[rpc_method(blocking)]
fn port(#[extract] caller: Caller, State(db): State<Db>) -> bool {
    caller.0 > 0 && Arc::ptr_eq(&caller.1, &db)
}

#[rpc_method(stream)]
fn count(State(db): State<Db>, to: u64) -> impl Stream<Item = u64> {
    stream::iter(0..to).map(move |n| n + db.load(Relaxed))
}

/// One connection to a server with these methods.
struct Peer(BufReader<TcpStream>);

impl Peer {
    async fn of(server: ServerBuilder) -> Self {
        let server = server.bind(([127, 0, 0, 1], 0)).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn send(&mut self, request: Value) {
        self.0.get_mut().write_all(request.to_string().as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn ask(&mut self, request: Value) -> Value {
        self.send(request).await;
        self.line().await["res"].take()
    }
}

fn server() -> ServerBuilder {
    let methods = [add::method(), describe::method(), port::method(), count::method()];
    Server::builder().state(Db::default()).methods(methods)
}

#[tokio::test]
async fn a_method_takes_the_state_and_the_call_of_its_server() {
    let mut peer = Peer::of(server()).await;
    let add = |args: Value| json!({"id": 1, "method_name": "add", "method_args": args});
    assert_eq!(peer.ask(add(json!([2]))).await, "add 2");
    assert_eq!(peer.ask(add(json!([2, 3]))).await, "add 8");
    assert_eq!(peer.ask(json!({"id": 1, "method_name": "port"})).await, true);
    peer.send(
        json!({"id": 2, "method_name": "count", "method_args": [1], "meta": {"stream": true}}),
    )
    .await;
    assert_eq!(peer.line().await["item"], 8);
    // Functions stay functions.
    let state = State(Db::default());
    assert_eq!(super_add(state.clone(), 5), "test 5");
    assert_eq!(state.load(Relaxed), 5);
}

fn super_add(state: State<Db>, by: u64) -> String {
    add(state, Call::in_process("test"), by, 1)
}

#[tokio::test]
async fn a_call_tells_who_when_and_how() {
    let mut peer = Peer::of(server()).await;
    let meta = json!({"deadline_ms": 2500, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
    let extended = json!({"id": 1, "method_name": "describe", "method_args": [], "meta": meta});
    assert_eq!(
        peer.ask(extended).await,
        json!({"method": "describe", "peer": "127.0.0.1", "left": 3.0, "dialect": "Extended",
               "trace": meta["traceparent"], "identity": null})
    );
    let classic = json!({"method_name": "describe", "method_args": [], "method_kwargs": {}});
    assert_eq!(
        peer.ask(classic).await,
        json!({"method": "describe", "peer": "127.0.0.1", "left": 10.0, "dialect": "Classic",
               "trace": null, "identity": null})
    );
    let call = Call::in_process("m").with_deadline(Instant::now() + Duration::from_secs(5));
    assert_eq!((call.peer(), call.dialect()), (None, Dialect::InProcess));
    assert!(call.remaining().unwrap() > Duration::from_secs(4));
}

#[test]
fn extractors_are_in_no_schema() {
    let names = |method: Method| -> Vec<String> {
        method.signature().parameters.iter().map(|p| p.name.clone()).collect()
    };
    assert_eq!(names(add::method()), ["by", "times"]);
    assert_eq!(names(port::method()), [] as [&str; 0]);
}

#[tokio::test]
async fn a_state_that_the_server_has_not_is_reported_at_bind() {
    #[rpc_method]
    fn both(State(_): State<u8>, State(_): State<String>) {}
    let problem = |server: ServerBuilder| server.in_memory().err().map(|error| error.to_string());
    let without = problem(Server::builder().method(port::method())).unwrap();
    assert!(without.contains("\"port\"") && without.contains("AtomicU64"), "{without}");
    assert!(without.contains("give one to the server with state()"), "{without}");
    let half = problem(Server::builder().state(1u8).method(both::method())).unwrap();
    assert!(half.contains("\"both\"") && half.contains("String"), "{half}");
    let server = Server::builder().state(1u8).state(String::new()).method(both::method());
    assert_eq!(problem(server), None);
}

#[tokio::test]
async fn an_extractor_may_refuse_a_call() {
    let mut server = server().in_memory().unwrap();
    let request = json!({"id": 1, "method_name": "port"}).to_string();
    let reply: Value = serde_json::from_slice(server.answer(request.as_bytes()).await).unwrap();
    assert_eq!(
        (&reply["error"]["code"], &reply["error"]["message"]),
        (&json!(9), &json!("no socket"))
    );
}

#[tokio::test]
async fn bodies_learn_that_nobody_waits_any_longer() {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let by_plain = ended.clone();
    let plain = Method::named("plain").parameters([]).sync(move |call: Call| {
        let ended = by_plain.clone();
        tokio::spawn(async move {
            call.cancelled().await;
            let _ = ended.send("plain");
        });
    });
    let by_thread = ended.clone();
    let thread = Method::named("thread").parameters([]).blocking(move |call: Call| {
        while !call.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = by_thread.send("thread");
    });
    // A task that a body started outlives it.
    let task = Method::named("task").parameters([]).asynchronous(move |call: Call| {
        let ended = ended.clone();
        async move {
            tokio::spawn({
                let call = call.clone();
                async move {
                    call.cancelled().await;
                    let _ = ended.send("task");
                }
            });
            std::future::pending::<()>().await;
        }
    });
    let mut peer = Peer::of(Server::builder().methods([thread, task, plain])).await;
    for (method, id) in [("thread", 1), ("task", 2)] {
        peer.send(json!({"id": id, "method_name": method})).await;
        peer.send(json!({"cancel": id})).await;
        assert_eq!(peer.line().await["error"]["code"], -32001);
        assert_eq!(endings.recv().await, Some(method));
    }
    peer.send(json!({"id": 3, "method_name": "thread", "meta": {"deadline_ms": 20}})).await;
    assert_eq!(peer.line().await["error"]["code"], -32000);
    assert_eq!(endings.recv().await, Some("thread"));
    peer.send(json!({"id": 4, "method_name": "plain"})).await;
    assert_eq!(peer.line().await["res"], Value::Null);
    assert_eq!(endings.recv().await, Some("plain"));
    peer.send(json!({"id": 5, "method_name": "task"})).await;
    drop(peer);
    assert_eq!(endings.recv().await, Some("task"));
}
