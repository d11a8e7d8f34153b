//! An embedded service: methods, registry, client and graceful shutdown in one program.

use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions};
use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Announce, Method, Server, rpc_method};
use rpc_tests::eventually::soon;
use rpc_tests::queries::{find_all, lists};
use rpc_tests::raw::Raw;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Greets someone.
///
/// More than once if wanted.
#[rpc_method]
fn greet(name: String, #[default(1)] times: u32) -> String {
    vec![format!("Hello, {name}!"); times as usize].join(" ")
}

/// Waits a little.
#[rpc_method]
async fn later(value: i64) -> i64 {
    tokio::task::yield_now().await;
    value
}

#[tokio::test]
async fn an_embedded_service_registers_serves_and_shuts_down_gracefully() {
    let stop = CancellationToken::new();
    let registry = Registry::bind(([127, 0, 0, 1], 0).into(), RegistryOptions::default());
    let registry = registry.await.unwrap();
    let registry_at = registry.local_addr();
    let url = format!("http://{registry_at}");
    let registry_stop = CancellationToken::new();
    let registry_runs = tokio::spawn(registry.serve(registry_stop.clone().cancelled_owned()));

    let server = Server::builder()
        .method(greet::method())
        .method(later::method().renamed("afterwards"))
        .method(
            Method::named("scale")
                .doc("Multiplies a value by a factor.")
                .parameters(["value", "factor"])
                .default("factor", 2.0)
                .sync(|value: f64, factor: f64| value * factor),
        )
        .method(Method::named("thread").parameters([]).blocking(|| {
            std::thread::sleep(Duration::from_millis(50));
            "from the blocking pool"
        }))
        .method(Method::named("panics").parameters([]).sync(|| -> u8 { panic!("on purpose") }))
        .announce(Announce::to(&url).unwrap())
        .bind(([127, 0, 0, 1], 0))
        .await
        .unwrap();
    let address = server.local_addr();
    let runs = tokio::spawn(server.serve(stop.clone().cancelled_owned()));
    lists(registry_at, &[address]).await;

    let client = Client::through_registry(&url, ClientOptions::default()).unwrap();
    assert_eq!(client.call("greet", ("Ada",)).await.unwrap(), "Hello, Ada!");
    let twice = client.call("greet", json!({"times": 2, "name": "Ada"})).await.unwrap();
    assert_eq!(twice, "Hello, Ada! Hello, Ada!");
    assert_eq!(client.call_as::<i64>("afterwards", (7,)).await.unwrap(), 7);
    assert_eq!(client.call("scale", (1.5,)).await.unwrap(), 3.0);
    assert_eq!(client.call("thread", ()).await.unwrap(), "from the blocking pool");

    let methods = client.methods().await.unwrap();
    let greet = methods.iter().find(|method| method.name == "greet").unwrap();
    assert_eq!(greet.doc.lines().next(), Some("Greets someone."));
    assert_eq!(greet.parameters[0].schema["type"], "string");
    assert_eq!(greet.parameters[1].default, Some(json!(1)));
    client.close().await;

    stop.cancel();
    soon("the server ends", runs).await.unwrap().unwrap();
    assert_eq!(find_all(registry_at).await, [], "it unregistered");
    registry_stop.cancel();
    soon("the registry ends", registry_runs).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_an_error_reply_with_the_right_id_and_the_connection_goes_on() {
    let server = Server::builder()
        .method(Method::named("panics").parameters([]).sync(|| -> u8 { panic!("on purpose") }))
        .method(Method::named("fine").parameters([]).sync(|| "fine"))
        .bind(([127, 0, 0, 1], 0))
        .await
        .unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    let mut raw = Raw::connect(address).await;
    let reply = raw.ask(r#"{"id":"x","method_name":"panics"}"#).await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!("x"), &json!(-32603)), "{reply}");
    let reply =
        raw.ask(r#"{"method_name": "panics", "method_args": [], "method_kwargs": {}}"#).await;
    assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "), "{reply}");
    assert_eq!(raw.ask(r#"{"id":2,"method_name":"fine"}"#).await["res"], "fine");
}

#[tokio::test]
async fn an_embedded_stream_arrives_in_order_and_stops_with_its_reader() {
    let server = Server::builder()
        .method(
            Method::named("count")
                .parameters(["to"])
                .stream(|to: u32| futures_util::stream::iter(0..to)),
        )
        .bind(([127, 0, 0, 1], 0))
        .await
        .unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    let client = Client::direct(address.to_string(), ClientOptions::default()).unwrap();
    let mut numbers = client.stream("count", (5,)).await.unwrap();
    let mut seen = Vec::new();
    while let Some(item) = numbers.next().await {
        seen.push(item.unwrap().value.get().to_owned());
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);

    let mut endless = client.stream("count", (u32::MAX,)).await.unwrap();
    endless.next().await.unwrap().unwrap();
    drop(endless);
    rpc_tests::queries::has_in_flight(address, "count", 0).await;

    let error = client.call("count", (5,)).await.unwrap_err();
    let CallError::Remote { fault, .. } = error else { panic!("{error}") };
    assert_eq!(fault.code.number(), -32602);
    client.close().await;
}

#[tokio::test]
async fn an_embedders_server_says_its_own_title_and_version_and_never_ours() {
    let server = Server::builder().title("Orders").version("3.1.4").method(greet::method());
    let server = server.bind(([127, 0, 0, 1], 0)).await.unwrap();
    let address = server.local_addr();
    let serving = tokio::spawn(server.serve(std::future::pending()));
    let text = http_get(address, "/openrpc.json", "").await;
    assert!(
        text.contains(r#""title":"Orders""#) && text.contains(r#""version":"3.1.4""#),
        "{text}"
    );
    assert!(http_get(address, "/healthz", "").await.contains(r#""version":"3.1.4""#));
    // Nor does it mention settings that only our own programs have.
    let refused = http_get(address, "/healthz", "Origin: http://evil\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("[server]"), "{refused}");
    serving.abort();

    let unnamed =
        Server::builder().method(greet::method()).bind(([127, 0, 0, 1], 0)).await.unwrap();
    assert!(format!("{unnamed:?}").contains("127.0.0.1"));
    let address = unnamed.local_addr();
    let serving = tokio::spawn(unnamed.serve(std::future::pending()));
    let text = http_get(address, "/openrpc.json", "").await;
    // Without a name or a title, it is the program's.
    let program = std::env::current_exe().unwrap();
    let program = program.file_stem().unwrap().to_str().unwrap();
    assert!(text.contains(&format!(r#""title":"{program}""#)), "{text}");
    serving.abort();
}

/// The whole reply to a GET, including its head.
async fn http_get(address: std::net::SocketAddr, path: &str, headers: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}
