//! What the answers of a hostile registry cost in memory. The allocator of this program counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "tests say what they expect"
)]

use std::future::Future;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use rpc_client::registry::{RegistryClient, RegistryClientError, RegistryClientOptions};
use rpc_client::{Client, ClientOptions};
use rpc_wire::instance::Instance;

const KIB: usize = 1 << 10;
/// The limit of a list; less than the default, so that the tests are quick.
const LIMIT: usize = 8 << 20;

/// A registry on a thread of its own that answers every request with the same body.
struct Registry {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Registry {
    fn new(body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            let length = body.len();
            for mut socket in listener.incoming().map(Result::unwrap) {
                let _ = socket.read(&mut [0; 4096]);
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            }
        });
        Self { url, requests }
    }

    fn client(&self) -> RegistryClient {
        let timeout = Duration::from_secs(60);
        let options =
            RegistryClientOptions { timeout, max_list_bytes: LIMIT, ..Default::default() };
        RegistryClient::new(&self.url, options).unwrap()
    }
}

/// The most bytes that were allocated at once.
fn cost<F: Future>(run: impl FnOnce() -> F) -> (F::Output, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut output = None;
    let allocated = measure(|| output = Some(runtime.block_on(run())));
    (output.unwrap(), usize::try_from(allocated.bytes_max).unwrap())
}

/// A list of almost the limit, with such parameters.
fn list(parameters: &str) -> String {
    let one = |n: usize| {
        let host = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        format!(
            "{{\"protocol\":\"json\",\"host\":\"{host}\",\"port\":1,\"parameters\":{parameters}}}"
        )
    };
    let count = LIMIT / (one(0).len() + 5);
    format!("[{}]", (0..count.clamp(1, 50_000)).map(one).collect::<Vec<_>>().join(","))
}

/// Lists that are small on the wire and large as values.
fn hostile() -> Vec<(&'static str, String)> {
    let zeros = |count: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(count));
    let objects = |count: usize| format!("{{\"a\":[{}0]}}", "{\"a\":0},".repeat(count));
    vec![
        ("one entry of zeros", list(&zeros(LIMIT / 2 - KIB))),
        ("entries of zeros", list(&zeros(1000))),
        ("entries of objects", list(&objects(80))),
        ("no entries", format!("[{}0]", "0,".repeat(LIMIT / 16))),
        ("50,000 entries", list("{\"wire\":1}")),
    ]
}

#[test]
fn a_list_costs_at_most_eight_times_its_limit_and_what_was_received() {
    for (what, body) in hostile() {
        let size = body.len();
        let client = Registry::new(body).client();
        let (found, cost) = cost(|| client.find_all("json"));
        println!("{what}: {size} bytes, {} read, {cost}", found.unwrap().len());
        assert!(cost <= 8 * LIMIT + size + 100 * KIB, "{what}: {cost}");
        let (_, cost) = self::cost(|| client.overrides());
        assert!(cost <= 8 * LIMIT + size + 100 * KIB, "{what} as overrides: {cost}");
    }
}

#[test]
fn a_refresh_costs_about_what_was_received() {
    for (what, body) in hostile() {
        let (size, instances) = (body.len(), body.matches("\"host\"").count());
        let registry = Registry::new(body);
        let ((), cost) = cost(|| async {
            let options = ClientOptions {
                refresh_interval: Duration::from_millis(10),
                registry_timeout: Duration::from_secs(60),
                max_list_bytes: LIMIT,
                ..ClientOptions::default()
            };
            let client = Client::through_registry(&registry.url, options).unwrap();
            while registry.requests.load(Ordering::SeqCst) < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            drop(client);
        });
        println!("{what}: {size} bytes, {instances} instances, {cost}");
        // The former list, the body, its texts, and a kibibyte per instance.
        assert!(cost <= 4 * size + instances * KIB + 100 * KIB, "{what}: {cost}");
    }
}

#[test]
fn an_answer_of_a_list_to_a_heartbeat_costs_next_to_nothing() {
    let client = Registry::new(list("{}")).client();
    let (answer, cost) = cost(|| async move {
        let instance = Instance::new("127.0.0.1", 1);
        let registered = client.register(&instance).await;
        [registered.map(|reply| reply.instance), client.unregister(&instance).await]
    });
    for answer in answer {
        let Err(RegistryClientError::TooLarge { limit, option, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!((limit, option), (64 << 10, "max_instance_bytes"));
    }
    assert!(cost <= 1024 * KIB, "{cost}");
}
