//! The addresses that daemons listen on, and that servers register.

use std::net::SocketAddr;

use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::queries::{find_all, lists};
use rpc_tests::raw::{Raw, classic};
use rpc_tests::recording_registry::RecordingRegistry;
use serde_json::{Value, json};

#[tokio::test]
async fn a_server_that_listens_everywhere_registers_the_address_that_routes_to_the_registry() {
    for listen in ["0.0.0.0", "::", "[::]"] {
        let body = registered_body(&["-l", listen]).await;
        assert_eq!(body["host"], "127.0.0.1", "-l {listen}");
        assert_eq!(body["protocol"], "json");
        assert_eq!(body["parameters"]["wire"], 1, "{body}");
    }
}

#[tokio::test]
async fn an_advertised_name_is_registered_as_an_ip_literal() {
    for (advertise, host) in [
        ("10.1.2.3", "10.1.2.3"),
        ("[::1]:7", "::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
    ] {
        let body = registered_body(&["-l", "127.0.0.1", "--advertise", advertise]).await;
        assert_eq!(body["host"], host, "--advertise {advertise}");
        if advertise.ends_with(":7") {
            assert_eq!(body["port"], 7);
        }
    }
}

#[tokio::test]
async fn everything_works_over_ipv6() {
    let registry = Daemon::rpcd(["registry", "-p", "0", "-l", "::1"]);
    let at = registry.announced_address().await;
    let url = format!("http://{at}");
    let server = Daemon::rpcd(["serve", "-p", "0", "-l", "::1", "--registry", &url]);
    let address = server.announced_address().await;
    assert!(at.is_ipv6() && address.is_ipv6());
    lists(at, &[address]).await;
    let port = address.port().to_string();
    for target in [
        vec!["-m", "registry", "--registry", &url],
        vec!["-m", "server", "-i", "::1", "-p", &port],
        vec!["-i", "[::1]", "-p", &port],
    ] {
        let (code, stdout, stderr) =
            run_rpcd([&["call"], &target[..], &["add", "1", "2"]].concat()).await;
        assert_eq!((code, stdout.as_str()), (0, "13"), "{target:?}: {stderr}");
    }
}

#[tokio::test]
async fn a_name_is_an_address_too() {
    let server = Daemon::rpcd(["serve", "-p", "0", "-l", "localhost", "--no-registry"]);
    let port = server.announced_address().await.port().to_string();
    let (code, stdout, stderr) =
        run_rpcd(["call", "-i", "localhost", "-p", &port, "add", "1", "2"]).await;
    assert_eq!((code, stdout.as_str()), (0, "13"), "{stderr}");
}

#[tokio::test]
async fn one_listening_socket_serves_ipv4_and_ipv6() {
    let server = Daemon::rpcd(["serve", "-p", "0", "-l", "::", "--no-registry"]);
    let port = server.announced_address().await.port();
    let registry = Daemon::rpcd(["registry", "-p", "0", "-l", "::"]);
    let registry_port = registry.announced_address().await.port();
    for host in ["127.0.0.1", "::1"] {
        let address = |port| SocketAddr::new(host.parse().unwrap(), port);
        let mut raw = Raw::connect(address(port)).await;
        assert_eq!(raw.ask(classic("add", &json!([1, 2]))).await, json!({"res": 13}));
        assert_eq!(find_all(address(registry_port)).await, []);
    }
}

#[tokio::test]
async fn a_log_in_json_is_one_object_per_line() {
    for command in ["serve", "registry"] {
        let daemon = Daemon::rpcd([command, "-p", "0", "-l", "127.0.0.1", "--log-format", "json"]);
        daemon.announced_address().await;
        for line in daemon.stderr().lines() {
            let object: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(object.is_object(), "{line}");
        }
        assert_eq!(daemon.stdout().text(), "", "the log goes to standard error");
    }
}

/// The body with which a server started with these arguments registers.
async fn registered_body(arguments: &[&str]) -> Value {
    let registry = RecordingRegistry::start().await;
    let url = registry.url();
    let line = [&["serve", "-p", "0", "--registry", &url], arguments].concat();
    let _server = Daemon::rpcd(line);
    registry.has_received("register", 1).await;
    registry.requests()[0].body.clone()
}
