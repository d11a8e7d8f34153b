//! A server and its registry: register, heartbeat, outages, farewell.
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

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Json, Router, routing::post};
use rpc_server::{Announce, Server, ServerError, ServerHandle, builtin};
use rpc_wire::instance::Instance;
use rpc_wire::paths;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_millis(50);

/// A registry that writes down what it is told.
#[derive(Clone, Default)]
struct Fake {
    told: Arc<Mutex<Vec<(String, Instance)>>>,
    failing: Arc<AtomicBool>,
    hanging: Arc<AtomicBool>,
}

impl Fake {
    async fn start(self, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route(paths::REGISTER, post(Self::answer))
            .route(paths::UNREGISTER, post(Self::answer))
            .with_state(self);
        (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
    }

    async fn answer(
        State(fake): State<Self>,
        uri: Uri,
        Json(instance): Json<Instance>,
    ) -> (StatusCode, Json<Instance>) {
        fake.told.lock().unwrap().push((uri.path().to_owned(), instance.clone()));
        if fake.hanging.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        let failing = fake.failing.load(SeqCst);
        let status = if failing { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        (status, Json(instance))
    }

    fn paths(&self) -> Vec<String> {
        self.told.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    async fn hears(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.told.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "heard {:?} only", self.paths());
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
        let announce = Announce::to(&format!("http://{registry}"))
            .unwrap()
            .heartbeat(HEARTBEAT)
            .parameter("weight", 3);
        let builder = Server::builder().methods(builtin::methods()).announce(announce);
        let server = builder.bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.local_addr().port()));
        let handle = server.handle();
        Self { address, handle, task: tokio::spawn(server.serve(std::future::pending())) }
    }

    async fn answers(&self) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(br#"{"id":1,"method_name":"square","method_args":[3]}"#).await.unwrap();
        let mut reply = [0; 17];
        timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
        assert_eq!(&reply, b"{\"id\":1,\"res\":9}\n");
    }

    async fn end(self) {
        self.handle.stop();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

#[tokio::test]
async fn a_server_registers_beats_and_says_goodbye_last() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.hears(4).await;
    let port = server.address.port();
    server.end().await;
    let paths = fake.paths();
    let (last, beats) = paths.split_last().unwrap();
    assert_eq!(last, paths::UNREGISTER);
    assert!(beats.iter().all(|path| path == paths::REGISTER), "{paths:?}");
    let told = fake.told.lock().unwrap();
    let instance = &told[0].1;
    // What listens everywhere is advertised as the address that routes to the registry.
    assert_eq!((instance.host.as_str(), instance.port), ("127.0.0.1", port));
    assert!(instance.speaks_extended() && instance.incarnation().is_some());
    assert_eq!(instance.weight(), 3);
    assert!(told.iter().all(|(_, beat)| beat == instance), "beats are identical");
}

#[tokio::test]
async fn outages_disturb_no_call_and_registration_comes_back_by_itself() {
    let fake = Fake::default();
    fake.failing.store(true, SeqCst);
    let (registry, task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.hears(1).await;
    server.answers().await;
    task.abort();
    let _ = task.await;
    server.answers().await;
    fake.failing.store(false, SeqCst);
    let heard = fake.paths().len();
    let (_, _task) = fake.clone().start(registry).await;
    fake.hears(heard + 3).await;
    server.end().await;
    assert_eq!(fake.paths().last().unwrap(), paths::UNREGISTER);
}

#[tokio::test]
async fn a_registry_that_is_gone_does_not_hold_up_the_end() {
    let fake = Fake::default();
    let (registry, task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.hears(1).await;
    task.abort();
    let _ = task.await;
    let begun = Instant::now();
    server.end().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_registry_that_hangs_does_not_hold_up_the_end_and_calls_go_on() {
    let fake = Fake::default();
    let (registry, _task) = fake.clone().start(any_port()).await;
    let server = Running::start(registry).await;
    fake.hears(2).await;
    fake.hanging.store(true, SeqCst);
    let heard = fake.paths().len();
    fake.hears(heard + 1).await;
    server.answers().await;
    let begun = Instant::now();
    server.end().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(fake.paths().last().unwrap(), paths::UNREGISTER, "it was tried all the same");
}
