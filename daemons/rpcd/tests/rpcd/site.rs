//! A registry and servers in this process: with a stream, methods of every type, and one that fails.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rpc_server::{Announce, Failure, Method, Server, builtin, rpc_method};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::json;

use crate::process::{Run, rpcd};

/// Counts down to one.
#[rpc_method(stream)]
fn countdown(from: i64) -> impl futures_util::Stream<Item = i64> {
    futures_util::stream::iter((1..=from).rev())
}

/// Two items.
#[rpc_method(stream)]
fn two() -> impl futures_util::Stream<Item = String> {
    futures_util::stream::iter(["a".to_owned(), "b".to_owned()])
}

/// One item, of a method that [`Site::another`] does not have.
#[rpc_method(stream)]
pub(crate) fn only_here() -> impl futures_util::Stream<Item = String> {
    futures_util::stream::iter(["a".to_owned()])
}

/// Fails with data.
#[rpc_method]
fn fail() -> Result<i64, Failure> {
    Err(Failure::new("it broke").with_code(7).with_data(json!({"why": ["a", 1]})))
}

/// Nests deeply enough to be indented.
#[rpc_method]
fn nested() -> serde_json::Value {
    json!({"a": [1, {"b": "x"}]})
}

/// A registry, and a server that it lists.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) server: String,
    threads: tokio::runtime::Runtime,
    pub(crate) registry: Option<tokio::runtime::Runtime>,
    pub(crate) port: ReservedPort,
}

impl Site {
    pub(crate) fn start() -> Self {
        let mut site = Self::empty();
        site.server = site.another();
        site
    }

    /// A registry that lists nothing.
    pub(crate) fn empty() -> Self {
        let (registry, port) = (runtime(), ReservedPort::new());
        start_registry(&registry, &port);
        Self {
            url: port.url(),
            server: String::new(),
            threads: runtime(),
            registry: Some(registry),
            port,
        }
    }

    /// Starts one more server; its address once it is listed.
    pub(crate) fn another(&self) -> String {
        let ours = [countdown::method(), two::method(), fail::method(), nested::method()];
        self.serve("site", builtin::methods().into_iter().chain(ours))
    }

    /// Starts a server of that service, with those methods; its address once it is listed.
    pub(crate) fn serve(&self, service: &str, methods: impl IntoIterator<Item = Method>) -> String {
        let server = self.threads.block_on(
            Server::builder()
                .name(service)
                .version("1.2.3")
                .methods(methods)
                .announce(Announce::to(&self.url).unwrap())
                .bind((Ipv4Addr::LOCALHOST, 0)),
        );
        let server = server.unwrap();
        let address = server.local_addr().to_string();
        self.threads.spawn(server.serve(std::future::pending()));
        let end = Instant::now() + Duration::from_secs(60);
        while !self.run("instances").stdout.contains(&address) {
            assert!(Instant::now() < end, "the server does not register");
        }
        address
    }

    /// Runs `rpcd` with the words of `line` and this registry.
    pub(crate) fn run(&self, line: &str) -> Run {
        rpcd(&format!("{line} --registry {}", self.url))
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) fn start_registry(runtime: &tokio::runtime::Runtime, port: &ReservedPort) {
    let options = rpc_registry::RegistryOptions::default();
    let bound = rpc_registry::Registry::bind(port.address(), options);
    runtime.spawn(runtime.block_on(bound).unwrap().serve(std::future::pending()));
}
