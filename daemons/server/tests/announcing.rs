//! A server and its registry: register, heartbeat, outages, unregister.
#![cfg(feature = "announce")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use rpc_client::SecretString;
use rpc_host::logging::{LogOptions, Logging};
use rpc_server::{Announce, Method, Server, ServerError, ServerHandle, builtin};
use rpc_wire::instance::Instance;
use rpc_wire::paths;
use rpc_wire::report::LogLine;
use rpc_wire::signature;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_millis(50);

/// A registry that records its requests.
#[derive(Clone, Default)]
struct Fake {
    requests: Arc<Mutex<Vec<(String, Instance)>>>,
    /// Of each request: where its connection comes from, and whether it says that it is held.
    connections: Arc<Mutex<Vec<(SocketAddr, bool)>>>,
    failing: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
    hanging: Arc<AtomicBool>,
    forbidding: Arc<AtomicBool>,
    /// What was shown with each request.
    tokens: Arc<Mutex<Vec<String>>>,
    outbidding: Arc<AtomicBool>,
    /// What it says of an operator's override.
    overridden: Arc<Mutex<Option<&'static str>>>,
    /// What it says of its TTL, in seconds.
    ttl: Arc<Mutex<Option<&'static str>>>,
}

impl Fake {
    async fn start(self, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route(paths::REGISTER, post(Self::reply))
            .route(paths::UNREGISTER, post(Self::reply))
            .with_state(self)
            .into_make_service_with_connect_info::<SocketAddr>();
        (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
    }

    async fn reply(
        State(fake): State<Self>,
        uri: Uri,
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        headers: HeaderMap,
        Json(instance): Json<Instance>,
    ) -> Response {
        let is_held = headers.get("rpcd-beats").is_some_and(|value| value == "held");
        fake.connections.lock().unwrap().push((peer, is_held));
        fake.requests.lock().unwrap().push((uri.path().to_owned(), instance.clone()));
        let token = headers.get("authorization").map(|token| token.to_str().unwrap().to_owned());
        fake.tokens.lock().unwrap().extend(token);
        if fake.forbidding.load(SeqCst) {
            let why = json!({"error": "this token lacks the role register; ask for another one"});
            return (StatusCode::FORBIDDEN, Json(why)).into_response();
        }
        if fake.hanging.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if let Some(incarnation) = instance.incarnation().filter(|_| fake.outbidding.load(SeqCst)) {
            let later = json!({"error": "later", "incarnation": incarnation + 1, "listed": true});
            return (StatusCode::CONFLICT, Json(later)).into_response();
        }
        let status = match (fake.failing.load(SeqCst), fake.full.load(SeqCst)) {
            (true, _) => StatusCode::INTERNAL_SERVER_ERROR,
            (_, true) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        };
        let mut headers = HeaderMap::new();
        if let Some(state) = *fake.overridden.lock().unwrap() {
            headers.insert(paths::OVERRIDE_HEADER, HeaderValue::from_static(state));
        }
        if let Some(ttl) = *fake.ttl.lock().unwrap() {
            headers.insert(paths::TTL_HEADER, HeaderValue::from_static(ttl));
        }
        (status, headers, Json(instance)).into_response()
    }

    fn paths(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    async fn received(&self, count: usize) {
        let deadline = Instant::now() + TIMEOUT;
        while self.requests.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "received only {:?}", self.paths());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    async fn start(registry: SocketAddr) -> Self {
        Self::with_heartbeat(registry, HEARTBEAT).await
    }

    async fn with_heartbeat(registry: SocketAddr, heartbeat: Duration) -> Self {
        let announce = Announce::to(&format!("http://{registry}"))
            .unwrap()
            .heartbeat(heartbeat)
            .parameter("weight", 3);
        let builder = Server::builder()
            .name("numbers")
            .version("1.2")
            .methods(builtin::methods())
            .announce(announce);
        let server = builder.bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.local_addr().port()));
        let handle = server.handle();
        Self { address, handle, task: tokio::spawn(server.serve(std::future::pending())) }
    }

    async fn serves_calls(&self) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(br#"{"id":1,"method_name":"square","method_args":[3]}"#).await.unwrap();
        let mut reply = [0; 17];
        timeout(TIMEOUT, stream.read_exact(&mut reply)).await.unwrap().unwrap();
        assert_eq!(&reply, b"{\"id\":1,\"res\":9}\n");
    }

    async fn is_draining(&self, draining: bool) {
        let deadline = Instant::now() + TIMEOUT;
        while self.handle.is_draining() != draining {
            assert!(Instant::now() < deadline, "still draining: {}", !draining);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.handle.stop();
        timeout(TIMEOUT, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[tokio::test]
async fn a_server_registers_sends_heartbeats_and_unregisters_last() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(4).await;
    let port = server.address.port();
    server.end().await;
    let paths = fake.paths();
    let (last, heartbeats) = paths.split_last().unwrap();
    assert_eq!(last, paths::UNREGISTER);
    assert!(heartbeats.iter().all(|path| path == paths::REGISTER), "{paths:?}");
    let requests = fake.requests.lock().unwrap();
    let instance = &requests[0].1;
    // A server that listens everywhere registers the address that routes to the registry.
    assert_eq!((instance.host.as_str(), instance.port), ("127.0.0.1", port));
    assert!(instance.speaks_extended() && instance.incarnation().is_some());
    assert_eq!(instance.weight(), 3);
    assert_eq!((instance.service(), instance.version()), (Some("numbers"), Some("1.2")));
    let methods = builtin::methods();
    let contract = signature::contract(methods.iter().map(Method::signature));
    assert_eq!(instance.contract(), Some(contract.as_str()));
    assert!(requests.iter().all(|(_, sent)| sent == instance), "heartbeats are identical");
}

#[tokio::test]
async fn one_connection_has_all_heartbeats_and_says_that_it_is_held() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(20).await;
    server.end().await;
    let connections = fake.connections.lock().unwrap();
    assert!(connections.iter().all(|used| *used == (connections[0].0, true)), "{connections:?}");
}

#[tokio::test]
async fn outages_disturb_no_call_and_the_server_registers_again() {
    let fake = Fake::default();
    fake.failing.store(true, SeqCst);
    let (registry, task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(1).await;
    server.serves_calls().await;
    task.abort();
    let _ = task.await;
    server.serves_calls().await;
    fake.failing.store(false, SeqCst);
    let count = fake.paths().len();
    let (_, _task) = fake.clone().start(registry).await;
    fake.received(count + 3).await;
    server.end().await;
    assert_eq!(fake.paths().last().unwrap(), paths::UNREGISTER);
}

#[tokio::test]
async fn a_server_that_a_full_registry_refuses_says_so_and_does_not_unregister() {
    let options = LogOptions { terminal: false, ..LogOptions::default() };
    let (logging, dispatch) = Logging::build(&options).unwrap();
    let _logged = tracing::dispatcher::set_default(&dispatch);
    let fake = Fake::default();
    fake.full.store(true, SeqCst);
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(2).await;
    server.serves_calls().await;
    server.end().await;
    assert!(fake.paths().iter().all(|path| path == paths::REGISTER), "{:?}", fake.paths());
    let lines: Vec<String> = logging.ring("").recent(100).iter().map(LogLine::text).collect();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(has("cannot register, will retry; still serving calls"), "{lines:?}");
    assert!(!has("heartbeat failed, will") && !has("unregister"), "{lines:?}");
}

#[tokio::test]
async fn heartbeats_further_apart_than_half_of_the_registrys_ttl_are_one_warning() {
    let interval = HEARTBEAT.as_secs_f64();
    let of = |part: f64| -> Option<&'static str> { Some((part * interval).to_string().leak()) };
    for (said, warnings) in [(None, 0), (of(2.0), 0), (of(1.9), 1), (of(0.5), 1), (Some("soon"), 0)]
    {
        let options = LogOptions { terminal: false, ..LogOptions::default() };
        let (logging, dispatch) = Logging::build(&options).unwrap();
        let _logged = tracing::dispatcher::set_default(&dispatch);
        let fake = Fake::default();
        *fake.ttl.lock().unwrap() = said;
        let (registry, _task) = fake.clone().start(any_port()).await;
        let server = Running::start(registry).await;
        fake.received(4).await;
        server.end().await;
        let lines: Vec<String> = logging.ring("").recent(100).iter().map(LogLine::text).collect();
        let said_so = lines.iter().filter(|line| line.contains("further apart than half")).count();
        assert_eq!(said_so, warnings, "{said:?}: {lines:?}");
    }
}

#[tokio::test]
async fn a_starting_server_that_is_always_outbid_tries_no_faster_than_during_an_outage() {
    let fake = Fake::default();
    fake.outbidding.store(true, SeqCst);
    let (registry, _task) = fake.clone().start(any_port()).await;
    let started = Instant::now();
    let server = Running::start(registry).await;
    fake.received(6).await;
    // Two by two: the third pair comes after pauses of 0.25 s and 0.5 s at least.
    assert!(started.elapsed() > Duration::from_millis(700), "{:?}", started.elapsed());
    server.serves_calls().await;
    server.end().await;
    let requests = fake.requests.lock().unwrap();
    assert!(requests.iter().all(|(path, _)| path == paths::REGISTER), "it never was registered");
    let steps = requests.windows(2).map(|two| {
        let [before, after] = [&two[0].1, &two[1].1].map(|sent| sent.incarnation().unwrap());
        after - before
    });
    let steps: Vec<_> = steps.take(5).collect();
    assert_eq!(steps, [2, 0, 2, 0, 2], "one more than what is known");
}

#[tokio::test]
async fn a_server_that_is_followed_by_another_leaves_the_address_to_it_until_that_is_gone() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(2).await;
    fake.outbidding.store(true, SeqCst);
    let count = fake.paths().len();
    fake.received(count + 3).await;
    fake.outbidding.store(false, SeqCst);
    let count = fake.paths().len();
    fake.received(count + 3).await;
    server.end().await;
    let requests = fake.requests.lock().unwrap();
    assert!(requests.iter().all(|(_, sent)| *sent == requests[0].1), "its incarnation stays");
}

#[tokio::test]
async fn an_unreachable_registry_does_not_delay_shutdown() {
    let fake = Fake::default();
    let (registry, task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(1).await;
    task.abort();
    let _ = task.await;
    let started = Instant::now();
    server.end().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_hanging_registry_does_not_delay_shutdown_or_calls() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(2).await;
    fake.hanging.store(true, SeqCst);
    let count = fake.paths().len();
    fake.received(count + 1).await;
    server.serves_calls().await;
    let started = Instant::now();
    server.end().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(fake.paths().last().unwrap(), paths::UNREGISTER, "it still tried to unregister");
}

#[tokio::test]
async fn what_the_registry_says_of_an_operators_override_drains_the_server_until_it_says_so_no_more()
 {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.received(1).await;
    server.serves_calls().await;
    // A word of a later registry is a drain, too.
    for state in ["draining", "maintenance", "later"] {
        *fake.overridden.lock().unwrap() = Some(state);
        server.is_draining(true).await;
        // While the registry says nothing, its last word counts.
        fake.failing.store(true, SeqCst);
        fake.received(fake.paths().len() + 1).await;
        *fake.overridden.lock().unwrap() = None;
        assert!(server.handle.is_draining(), "{state}");
        // The program takes back only what it asked for itself.
        server.handle.resume();
        assert!(server.handle.is_draining(), "{state}");
        fake.failing.store(false, SeqCst);
        server.is_draining(false).await;
        server.serves_calls().await;
    }
    server.end().await;
}

#[tokio::test]
async fn a_drained_server_asks_every_second_whether_it_may_take_calls_again() {
    let fake = Fake::default();
    *fake.overridden.lock().unwrap() = Some("draining");
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::with_heartbeat(registry, Duration::from_secs(3600)).await;
    server.is_draining(true).await;
    fake.received(2).await;
    *fake.overridden.lock().unwrap() = None;
    server.is_draining(false).await;
    server.serves_calls().await;
    server.end().await;
}

#[tokio::test]
async fn a_registry_that_does_not_allow_it_is_logged_once_and_asked_again_while_calls_are_served() {
    let fake = Fake::default();
    fake.forbidding.store(true, SeqCst);
    let (registry, _serving) = fake.clone().start(([127, 0, 0, 1], 0).into()).await;
    let options = LogOptions { terminal: false, level: "warn".to_owned(), ..LogOptions::default() };
    let (logging, dispatch) = Logging::build(&options).unwrap();
    let _logged = tracing::dispatcher::set_default(&dispatch);
    let announce = Announce::to(&format!("http://{registry}"))
        .unwrap()
        .token(SecretString::from("canary-of-the-server"), false)
        .heartbeat(HEARTBEAT);
    let server = Server::builder().announce(announce).bind(([127, 0, 0, 1], 0)).await.unwrap();
    let handle = server.handle();
    let serving = tokio::spawn(server.serve(std::future::pending()));
    fake.received(3).await;
    assert!(fake.tokens.lock().unwrap().iter().all(|token| token == "Bearer canary-of-the-server"));
    fake.forbidding.store(false, SeqCst);
    fake.received(5).await;
    handle.stop();
    timeout(TIMEOUT, serving).await.unwrap().unwrap().unwrap();
    let lines: Vec<String> =
        logging.ring("").recent(10).iter().map(|line| format!("{line:?}")).collect();
    let refused = lines.iter().filter(|line| line.contains("role register")).count();
    assert_eq!(refused, 1, "{lines:?}");
    assert!(!format!("{lines:?}").contains("canary"));
}
