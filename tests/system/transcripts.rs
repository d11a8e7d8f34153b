//! Recorded bytes of the older client and server, replayed against ours in both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions, ErrorKind};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::SOON;
use rpc_tests::raw::Raw;
use rpc_tests::transcripts::{Exchange, transcript};
use rpc_wire::call::Args;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn the_older_clients_bytes_get_the_older_servers_replies_in_one_read() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    for connection in [transcript("calls.json"), transcript("sync.json")].concat() {
        let mut raw = Raw::connect(address).await;
        for exchange in connection {
            raw.send(&exchange.sent).await;
            same_value(&raw.recv_1024().await, &exchange);
        }
    }
}

#[tokio::test]
async fn a_connection_serves_one_older_request_after_the_other() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let connection = transcript("one_connection.json").concat();
    let mut raw = Raw::connect(address).await;
    // With an id it is the extended dialect, which the older server does not support.
    for exchange in connection.iter().filter(|exchange| request(exchange)["id"].is_null()) {
        raw.send(&exchange.sent).await;
        same_value(&raw.recv_1024().await, exchange);
    }
}

#[tokio::test]
async fn bytes_that_are_not_json_get_the_older_failure_text_and_the_connection_closes() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    for exchange in transcript("junk.json").concat() {
        let recorded = exchange.reply();
        assert!(recorded["res"].as_str().unwrap().starts_with("Error calling method: "));
        let mut raw = Raw::connect(address).await;
        let ours = raw.ask(&exchange.sent).await;
        assert!(ours["res"].as_str().unwrap().starts_with("Error calling method: "), "{ours}");
        assert!(raw.is_closed_within(SOON).await);
    }
}

#[tokio::test]
async fn our_client_reads_every_reply_of_the_older_server() {
    let server = Replay::start(&["calls.json", "sync.json", "one_connection.json"]).await;
    let client = Client::direct(server.address.to_string(), ClientOptions::default()).unwrap();
    for exchange in [transcript("calls.json"), transcript("sync.json")].concat().concat() {
        let recorded = exchange.reply()["res"].take();
        let result = call(&client, &request(&exchange)).await;
        let failure = recorded.as_str().is_some_and(|text| {
            ["No service found for: ", "Argument error: ", "Error calling method: "]
                .iter()
                .any(|phrase| text.starts_with(phrase))
        });
        match result {
            Ok(value) => assert!(!failure && value == recorded, "{value} for {recorded}"),
            Err(CallError::Remote { fault, .. }) => {
                assert!(failure, "{fault} for {recorded}");
                assert_eq!(fault.classic_text(), recorded);
            }
            Err(other) => panic!("{other} for {recorded}"),
        }
    }
    client.close().await;
    server.saw_only_what_an_older_server_understands();
}

#[tokio::test]
async fn our_client_never_pipelines_to_the_older_server_nor_shares_its_sockets() {
    let server = Replay::start(&["calls.json", "one_connection.json"]).await;
    let client = Client::direct(server.address.to_string(), ClientOptions::default()).unwrap();
    let calls = (0..100).map(|_| client.call("subtract", (1, 2)));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap(), -1);
    }
    client.close().await;
    server.saw_only_what_an_older_server_understands();
    let most = server.seen.lock().unwrap().most_connections;
    assert!(most <= 16, "{most} sockets to one older server");
}

#[tokio::test]
async fn our_client_lists_the_methods_of_the_older_server() {
    let server = Replay::start(&["calls.json", "one_connection.json"]).await;
    let client = Client::direct(server.address.to_string(), ClientOptions::default()).unwrap();
    let methods = client.methods().await.unwrap();
    let add = methods.iter().find(|method| method.name == "add").unwrap();
    assert_eq!(methods.len(), 10);
    assert_eq!(add.parameters[2].default, Some(json!(10)));
    client.close().await;
}

#[tokio::test]
async fn nan_and_infinity_are_a_typed_error_and_a_long_reply_is_read_whole() {
    let server = Replay::start(&["beyond_json.json", "one_connection.json"]).await;
    let client = Client::direct(server.address.to_string(), ClientOptions::default()).unwrap();
    for method in ["infinite", "huge"] {
        let error = client.call(method, ()).await.unwrap_err();
        assert!(
            !matches!(error, CallError::Remote { .. } | CallError::Timeout { .. }),
            "{error:?}"
        );
        assert!(error.to_string().lines().count() == 1, "{error}");
    }
    let long = client.call("long_text", (5000,)).await.unwrap();
    assert_eq!(long.as_str().unwrap().len(), 5000);
    client.close().await;
}

#[tokio::test]
async fn a_request_the_older_server_could_not_read_is_never_sent() {
    let server = Replay::start(&["one_connection.json"]).await;
    let client = Client::direct(server.address.to_string(), ClientOptions::default()).unwrap();
    let error = client.call("hello", ("x".repeat(1024),)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error:?}");
    client.close().await;
    server.saw_only_what_an_older_server_understands();
}

#[tokio::test]
async fn the_command_line_calls_the_older_server() {
    let server = Replay::start(&["calls.json", "sync.json", "one_connection.json"]).await;
    let port = server.address.port().to_string();
    for (arguments, code, output) in [
        (vec!["add", "1", "2", "c=5"], 0, "8"),
        (vec!["hello", "Ada"], 0, "Hello, Ada!"),
        (vec!["divide", "6", "2"], 0, "3.0"),
        (vec!["nope"], 1, ""),
    ] {
        let mut line = vec!["call", "-i", "127.0.0.1", "-p", &port];
        line.extend(arguments);
        let (got, stdout, stderr) = run_rpcd(&line).await;
        assert_eq!((got, stdout.as_str()), (code, output), "{line:?}: {stderr}");
    }
    server.saw_only_what_an_older_server_understands();
}

fn request(exchange: &Exchange) -> Value {
    serde_json::from_slice(&exchange.sent).unwrap()
}

async fn call(client: &Client, request: &Value) -> Result<Value, CallError> {
    let none = Map::new();
    let args = Args::from_values(
        request["method_args"].as_array().unwrap(),
        request["method_kwargs"].as_object().unwrap_or(&none),
    );
    client.call(request["method_name"].as_str().unwrap(), args).await
}

/// Our reply is compact and ends with a newline; its value must be that of the older server.
fn same_value(ours: &[u8], exchange: &Exchange) {
    let shown = String::from_utf8_lossy(ours);
    let recorded = exchange.reply();
    if request(exchange)["method_name"] == "all_your_methods" {
        let ours: Value = serde_json::from_slice(ours).unwrap_or_else(|e| panic!("{shown}: {e}"));
        for method in recorded["res"].as_array().unwrap() {
            assert!(ours["res"].as_array().unwrap().contains(method), "{method} in {ours}");
        }
    } else {
        assert_eq!(shown, format!("{recorded}\n"), "to {}", request(exchange));
    }
}

/// An older server that knows only its recorded lines.
struct Replay {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    complaints: Vec<String>,
    connections: usize,
    most_connections: usize,
}

impl Replay {
    async fn start(names: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known: Arc<Vec<Exchange>> =
            Arc::new(names.iter().flat_map(|name| transcript(name).concat()).collect());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                {
                    let mut seen = shared.lock().unwrap();
                    seen.connections += 1;
                    seen.most_connections = seen.most_connections.max(seen.connections);
                }
                let (known, shared) = (Arc::clone(&known), Arc::clone(&shared));
                tokio::spawn(async move {
                    converse(stream, &known, &shared).await;
                    shared.lock().unwrap().connections -= 1;
                });
            }
        });
        Self { address, seen }
    }

    fn saw_only_what_an_older_server_understands(&self) {
        let complaints = std::mem::take(&mut self.seen.lock().unwrap().complaints);
        assert_eq!(complaints, Vec::<String>::new());
    }
}

async fn converse(mut stream: TcpStream, known: &[Exchange], seen: &Mutex<Seen>) {
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let reply = match serde_json::from_str::<Value>(&text) {
            _ if length > 1024 => Err(format!("{length} bytes in one request")),
            Err(error) => Err(format!("not one message: {text}: {error}")),
            Ok(received) => known
                .iter()
                .find(|exchange| same_call(&request(exchange), &received))
                .ok_or(format!("never recorded: {text}")),
        };
        match reply {
            Ok(exchange) => {
                // Time for a client that would pipeline to do so.
                tokio::time::sleep(Duration::from_millis(2)).await;
                if stream.write_all(&exchange.received).await.is_err() {
                    return;
                }
            }
            Err(complaint) => {
                seen.lock().unwrap().complaints.push(complaint);
                return;
            }
        }
    }
}

fn same_call(recorded: &Value, received: &Value) -> bool {
    if received["method_name"] == "rpc.health" || received["method_name"] == "rpc.discover" {
        // Unknown to it whatever the arguments.
        return recorded["method_name"] == "rpc.health";
    }
    ["method_name", "method_args", "method_kwargs"].iter().all(|key| recorded[key] == received[key])
}
