//! Methods that come and go while the server serves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::stream;
use rpc_server::layer::Next;
use rpc_server::signature::{Parameter, Signature};
use rpc_server::{Fault, Method, Server, ServerBuilder, ServerHandle, builtin};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::layer::layer_fn;

const TIMEOUT: Duration = Duration::from_secs(20);

struct Caller {
    stream: BufReader<TcpStream>,
    handle: ServerHandle,
}

impl Caller {
    async fn of(builder: ServerBuilder) -> Self {
        let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        tokio::spawn(server.serve(std::future::pending()));
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()), handle }
    }

    async fn send(&mut self, call: Value) {
        self.stream.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    }

    async fn reply(&mut self) -> Value {
        let mut line = String::new();
        timeout(TIMEOUT, self.stream.read_line(&mut line)).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn call(&mut self, method: &str, args: Value) -> Value {
        self.send(json!({"id": 1, "method_name": method, "method_args": args})).await;
        self.reply().await
    }

    /// A call before has started once a later one has its reply.
    async fn calls_before_have_started(&mut self) {
        assert!(self.call("rpc.health", json!([])).await["res"].is_object());
    }

    async fn names(&mut self) -> Vec<String> {
        let reply = self.call("all_your_methods", json!([])).await;
        let entries = reply["res"].as_array().unwrap();
        entries.iter().map(|it| it["method_name"].as_str().unwrap().to_owned()).collect()
    }
}

/// A method of another program that returns the arguments as they reached it.
fn echo(name: &str) -> Method {
    let mut signature = Signature { name: name.to_owned(), ..Signature::default() };
    signature.parameters = vec![
        Parameter::required("a", json!(true)),
        Parameter::optional("b", json!(true), json!(2)),
    ];
    Method::forwarded(signature, |_, args| async move {
        Ok(RawValue::from_string(args.positional().to_owned()).unwrap())
    })
}

#[tokio::test]
async fn methods_come_and_go_and_open_connections_see_it() {
    let mut caller = Caller::of(Server::builder().methods(builtin::methods())).await;
    let own = caller.names().await;
    assert_eq!(caller.call("echo2", json!([1])).await["error"]["code"], -32601);

    caller.handle.replace_methods([echo("echo2"), echo("other")]).unwrap();
    assert_eq!(caller.call("echo2", json!([1])).await["res"], json!([1, 2]));
    assert_eq!(caller.names().await, [own.clone(), vec!["echo2".into(), "other".into()]].concat());
    let health = caller.call("rpc.health", json!([])).await["res"]["contract"].clone();

    caller.handle.replace_methods([echo("other")]).unwrap();
    assert_eq!(caller.call("echo2", json!([1])).await["error"]["code"], -32601);
    assert_ne!(caller.call("rpc.health", json!([])).await["res"]["contract"], health);
    assert_eq!(caller.call("square", json!([3])).await["res"], 9, "its own methods stay");

    let stats = caller.call("rpc.stats", json!([])).await;
    let methods = stats["res"]["methods"].as_array().unwrap();
    let counted =
        |name: &str| methods.iter().find(|it| it["name"] == name).unwrap()["calls"].clone();
    assert_eq!((counted("echo2"), counted("square")), (json!(1), json!(1)));
}

#[tokio::test]
async fn a_call_in_flight_outlives_its_method() {
    let (release, released) = tokio::sync::watch::channel(false);
    let slow = Method::forwarded(
        Signature { name: "slow".to_owned(), ..Signature::default() },
        move |_, _| {
            let mut released = released.clone();
            async move {
                released.wait_for(|it| *it).await.map_err(|_| Fault::method_failed("gone"))?;
                Ok(to_raw_value(&"done").unwrap())
            }
        },
    );
    let mut caller = Caller::of(Server::builder()).await;
    caller.handle.replace_methods([slow]).unwrap();
    caller.send(json!({"id": 7, "method_name": "slow"})).await;
    caller.calls_before_have_started().await;
    caller.handle.replace_methods([]).unwrap();
    release.send(true).unwrap();
    assert_eq!(caller.reply().await, json!({"id": 7, "res": "done"}));
}

#[tokio::test]
async fn a_forwarded_stream_sends_its_items_and_its_end() {
    let count = Method::forwarded_stream(
        Signature { name: "count".to_owned(), ..Signature::default() },
        |_, _| stream::iter([1, 2].map(|n| Ok(to_raw_value(&n).unwrap()))),
    );
    let mut caller = Caller::of(Server::builder()).await;
    caller.handle.replace_methods([count]).unwrap();
    caller.send(json!({"id": 7, "method_name": "count", "meta": {"stream": true}})).await;
    assert_eq!(caller.reply().await, json!({"id": 7, "item": 1}));
    assert_eq!(caller.reply().await, json!({"id": 7, "item": 2}));
    assert_eq!(caller.reply().await, json!({"id": 7, "end": true}));
}

#[tokio::test]
async fn a_guard_asks_their_callers_for_a_token_too() {
    use rpc_server::security::{Access, Auth, Guard, Role};
    let access = Access { auth: Auth::Required, ..Access::default() };
    let mut caller = Caller::of(Server::builder().guard(Guard::new(access, None))).await;
    caller.handle.replace_methods([echo("echo2")]).unwrap();
    assert_eq!(caller.call("echo2", json!([5])).await["error"]["code"], -32004);
    let mut admitted = Access { auth: Auth::Required, ..Access::default() };
    admitted.anonymous = "call".parse().unwrap();
    let mut caller = Caller::of(Server::builder().guard(Guard::new(admitted, None))).await;
    let methods = [echo("echo2"), echo("secret").with_role(Role::Operate)];
    caller.handle.replace_methods(methods).unwrap();
    assert_eq!(caller.call("echo2", json!([5])).await["res"], json!([5, 2]));
    assert_eq!(caller.call("secret", json!([5])).await["error"]["code"], -32004);
}

#[tokio::test]
async fn layers_see_calls_of_such_methods_too() {
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = seen.clone();
    let layer = layer_fn(move |next: Next| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        next
    });
    let mut caller = Caller::of(Server::builder().layer(layer)).await;
    caller.handle.replace_methods([echo("echo2")]).unwrap();
    assert_eq!(caller.call("echo2", json!([5])).await["res"], json!([5, 2]));
    assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn names_that_are_taken_or_too_many_are_refused_and_nothing_changes() {
    let mut caller = Caller::of(Server::builder().methods(builtin::methods())).await;
    let before = caller.names().await;
    let refused =
        |methods: Vec<Method>| caller.handle.replace_methods(methods).unwrap_err().to_string();
    assert!(refused(vec![echo("square")]).contains("another method has this name"));
    assert!(refused(vec![echo("a"), echo("a")]).contains("another method has this name"));
    assert!(refused(vec![echo("rpc.mine")]).contains("reserved"));
    let many = (0..2000).map(|n| echo(&format!("m{n}"))).collect();
    assert!(refused(many).contains("too many names"));
    assert_eq!(caller.names().await, before);
}
