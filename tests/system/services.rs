//! Three services behind one registry: `rpcd serve`, one of ours with other methods, and one of the older
//! system; a call goes to an instance that has the method.

use std::net::SocketAddr;

use futures_util::future::join_all;
use rpc_server::{Announce, Server, rpc_method};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::python::{has_python, old_server};
use rpc_tests::queries::lists;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The price of a thing, in cents.
#[rpc_method(read_only)]
fn price(name: String) -> usize {
    100 * name.len()
}

/// Adds one.
#[rpc_method]
fn increment(value: i64) -> i64 {
    value + 1
}

/// What runs, until it is dropped.
struct Services {
    url: String,
    /// The server in this process.
    shop: SocketAddr,
    _daemons: [Daemon; 3],
    _shop: DropGuard,
}

async fn services() -> Services {
    let (registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (served, served_at) = Daemon::server(&["--registry", &url]).await;
    let (old, old_at) = old_server(&["--registry", &at.to_string(), "--beat", "1"]).await;
    let stop = CancellationToken::new();
    let shop = Server::builder()
        .name("shop")
        .methods([price::method(), increment::method()])
        .announce(Announce::to(&url).unwrap())
        .bind(([127, 0, 0, 1], 0));
    let shop = shop.await.unwrap();
    let shop_at = shop.local_addr();
    tokio::spawn(shop.serve(stop.clone().cancelled_owned()));
    lists(at, &[served_at, old_at, shop_at]).await;
    Services { url, shop: shop_at, _daemons: [registry, served, old], _shop: stop.drop_guard() }
}

async fn rpcd(services: &Services, line: &str) -> (i32, String, String) {
    let words = line.split(' ').chain(["--registry", &services.url]);
    run_rpcd(words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_one_of_three_services_has_is_called_a_thousand_times_without_a_failure() {
    if !has_python() {
        return;
    }
    let services = services().await;
    for (line, result) in [
        // Ours and the older server's.
        ("call add 1 2", "13"),
        // Only that of `rpcd serve`.
        ("call echo x", "x"),
        // Only that of the third.
        ("call price abc", "300"),
        ("call increment 41", "42"),
    ] {
        let line = format!("{line} --repeat 1000 --concurrency 8");
        let (code, stdout, stderr) = rpcd(&services, &line).await;
        let wrong = stdout.lines().filter(|line| *line != result).count();
        assert_eq!((code, stdout.lines().count(), wrong), (0, 1000, 0), "{line}: {stderr}");
    }
    let fresh = (0..12).map(|_| rpcd(&services, "call price abc"));
    for (code, stdout, stderr) in join_all(fresh).await {
        assert_eq!((code, stdout.as_str()), (0, "300"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_methods_of_three_services_are_listed_with_who_has_them_ten_times_the_same() {
    if !has_python() {
        return;
    }
    let services = services().await;
    let (code, first, stderr) = rpcd(&services, "methods").await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    for part in ["(unnamed) · add(a, b, c=10) ", "rpcd · echo(", "shop · price(name: string) "] {
        assert!(first.contains(part), "{part}: {first}");
    }
    for _ in 0..9 {
        assert_eq!(rpcd(&services, "methods").await.1, first);
    }
    let (code, listed, stderr) = rpcd(&services, "methods --json").await;
    assert_eq!(code, 0, "{stderr}");
    let document: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let methods = document["methods"].as_array().unwrap();
    let price = methods.iter().find(|method| method["name"] == "price").unwrap();
    let expected = serde_json::json!([
        {"service": "shop", "instances": [services.shop.to_string()], "of": 1}
    ]);
    assert_eq!(price["x-offered-by"], expected);
    // What says no types differs from nothing: no service must be chosen.
    let (code, described, stderr) = rpcd(&services, "describe add").await;
    assert_eq!(code, 0, "{stderr}");
    assert!(described.contains("  (unnamed)  1 of 1 instances\n  rpcd       1 of 1 instances"));
    let (code, _, stderr) = rpcd(&services, "call prise abc").await;
    let said = r#"no instance offers "prise": asked 3 of 3; the nearest name is price"#;
    assert_eq!((code, stderr.trim_end()), (1, format!("rpcd: {said}").as_str()));
}
