//! The older client, server and registry as processes, combined with ours in every way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_client::{CallError, Client, ClientOptions, Code};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::python::{has_python, old_client, old_client_results, old_registry, old_server};
use rpc_tests::queries::{find_all, lists};
use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn an_older_client_calls_our_server() {
    if !has_python() {
        return;
    }
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    the_older_client_succeeds(&["--port", &address.port().to_string()]).await;
}

#[tokio::test]
async fn an_older_client_calls_our_server_over_ipv6() {
    if !has_python() {
        return;
    }
    let server = Daemon::rpcd(["serve", "-p", "0", "-l", "::1", "--no-registry"]);
    let port = server.announced_address().await.port().to_string();
    the_older_client_succeeds(&["--host", "::1", "--port", &port]).await;
}

#[tokio::test]
async fn our_command_line_calls_an_older_server() {
    if !has_python() {
        return;
    }
    let (_server, address) = old_server(&[]).await;
    our_command_line_succeeds(&["-i", "127.0.0.1", "-p", &address.port().to_string()]).await;
    let port = address.port().to_string();
    let (code, stdout, stderr) = run_rpcd(["methods", "-i", "127.0.0.1", "-p", &port]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("reverse_string"), "{stdout}");
}

/// The server in docs/protocol.md is complete, and says what a server must say.
#[tokio::test]
async fn a_server_written_from_the_documentation_can_be_called() {
    if !has_python() {
        return;
    }
    let document = include_str!("../../docs/protocol.md");
    let program = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let run = "server.serve_forever()";
    assert!(program.contains("8090") && program.contains(run), "{program}");
    let program = program
        .replace("8090", "0")
        .replace(run, &format!("print(server.server_address[1], flush=True)\n{run}"));
    let mut command = tokio::process::Command::new("python3");
    command.arg("-c").arg(program);
    let server = Daemon::start("the documented server", command);
    let port = server.line("the port", |line| line.parse::<u16>().ok()).await;
    let client = Client::direct(format!("127.0.0.1:{port}"), ClientOptions::default()).unwrap();
    assert_eq!(client.call("add", (1, 2)).await, Ok(json!(13)));
    let methods = client.methods().await.unwrap();
    assert_eq!(methods.len(), 1);
    let parameters: Vec<_> =
        methods[0].parameters.iter().map(|p| (p.name.as_str(), p.default.clone())).collect();
    assert_eq!(parameters, [("a", None), ("b", None), ("c", Some(json!(10)))]);
    for (error, code) in [
        (client.call("nope", ()).await, Code::MethodNotFound),
        (client.call("add", (1,)).await, Code::BadArguments),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(&error, CallError::Remote { fault, .. } if fault.code == code), "{error}");
    }
    client.close().await;
}

#[tokio::test]
async fn an_older_server_can_stop_while_our_client_is_idle() {
    if !has_python() {
        return;
    }
    let (mut server, address) = old_server(&[]).await;
    let client = Client::direct(address.to_string(), ClientOptions::default()).unwrap();
    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
    server.signal(Signal::TERM);
    assert!(server.exits_within(SOON).await.success());
    client.close().await;
}

#[tokio::test]
async fn an_older_client_finds_our_server_through_our_registry() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&[]).await;
    let (_server, server) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[server]).await;
    the_older_client_succeeds(&["--registry", &registry.to_string()]).await;
}

#[tokio::test]
async fn an_older_client_finds_our_server_through_an_older_registry() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = old_registry(&[]).await;
    let (mut ours, server) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[server]).await;
    the_older_client_succeeds(&["--registry", &registry.to_string()]).await;
    ours.signal(Signal::TERM);
    assert_eq!(ours.exit_code().await, 0);
    lists(registry, &[]).await;
}

#[tokio::test]
async fn an_older_server_is_listed_in_our_registry_beside_ours() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&[]).await;
    let (mut old, old_address) = old_server(&["--registry", &registry.to_string()]).await;
    let (_ours, our_address) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[old_address, our_address]).await;
    the_older_client_succeeds(&["--registry", &registry.to_string()]).await;
    our_command_line_succeeds(&["-m", "registry", "--registry", &url(registry)]).await;
    old.signal(Signal::TERM);
    assert!(old.exits_within(SOON).await.success());
    lists(registry, &[our_address]).await;
}

/// Each of them knows one address of a registry.
#[tokio::test]
async fn an_older_server_at_one_of_the_registries_that_share_etcd_is_found_at_the_other() {
    if !has_python() {
        return;
    }
    let Some(cluster) = Cluster::start().await else { return };
    let endpoints = cluster.endpoints();
    let settings = [
        ("ETCD_ENDPOINTS", endpoints.as_str()),
        ("ETCD_LEASE_TTL", "2s"),
        ("REGISTRY_SERVER_TTL", "3s"),
        ("REGISTRY_SERVER_CHECK_INTERVAL", "500ms"),
    ];
    let (a, a_at) = Daemon::registry_with(&settings, 0, &["--store", "etcd"]).await;
    let (_b, b_at) = Daemon::registry_with(&settings, 0, &["--store", "etcd"]).await;
    let arguments = ["--registry", &a_at.to_string(), "--beat", "0.5"];
    let (mut old, address) = old_server(&arguments).await;
    lists(b_at, &[address]).await;
    the_older_client_succeeds(&["--registry", &b_at.to_string()]).await;
    old.signal(Signal::TERM);
    assert!(old.exits_within(SOON).await.success());
    lists(b_at, &[]).await;
    // Nobody takes its heartbeats any more, and it replies.
    let (_old, address) = old_server(&arguments).await;
    lists(b_at, &[address]).await;
    a.signal(Signal::KILL);
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        assert_eq!(find_all(b_at).await, [address]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    the_older_client_succeeds(&["--registry", &b_at.to_string()]).await;
}

#[tokio::test]
async fn an_older_server_that_sends_heartbeats_after_unregistering_is_not_listed() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&[]).await;
    let registry_address = registry.to_string();
    let arguments = ["--registry", &registry_address, "--beat", "0.1", "--beat-on"];
    let (old, address) = old_server(&arguments).await;
    lists(registry, &[address]).await;
    old.signal(Signal::TERM);
    old.line("it unregisters", |line| (line == "unregister 200").then_some(())).await;
    let heartbeats = || old.stderr().lines().iter().filter(|line| *line == "register 200").count();
    let before = heartbeats();
    eventually("ten more heartbeats", async || {
        let addresses = find_all(registry).await;
        assert_eq!(addresses, [], "it is listed again although nothing listens");
        heartbeats() > before + 10
    })
    .await;
}

#[tokio::test]
async fn our_client_finds_an_older_server_through_an_older_registry() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = old_registry(&[]).await;
    let (_server, server) = old_server(&["--registry", &registry.to_string()]).await;
    lists(registry, &[server]).await;
    our_command_line_succeeds(&["-m", "registry", "--registry", &url(registry)]).await;
    let (code, stdout, stderr) = run_rpcd(["instances", "--registry", &url(registry)]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(&server.to_string()), "{stdout}");
}

#[tokio::test]
async fn an_older_client_goes_on_when_one_of_two_servers_stops() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&[]).await;
    let (_stays, first) = Daemon::server(&["--registry", &url(registry)]).await;
    let (mut goes, second) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[first, second]).await;
    goes.signal(Signal::INT);
    assert_eq!(goes.exit_code().await, 0);
    lists(registry, &[first]).await;
    let mut client = old_client(&["--registry", &registry.to_string(), "repeat"]);
    let mut stdin = client.take_stdin();
    for number in 1..=20 {
        stdin.write_all(format!("[\"square\", [{number}], {{}}]\n").as_bytes()).await.unwrap();
        let lines = client.stdout().at_least(number).await;
        assert_eq!(lines[number - 1], (number * number).to_string());
    }
}

/// The older client's two tests.
async fn the_older_client_succeeds(target: &[&str]) {
    let sync = old_client_results(&[target, &["sync"]].concat()).await;
    assert_eq!(sync, [json!(8), json!("Hello, Ada!"), json!(3.0)]);
    let thirty = old_client_results(&[target, &["async"]].concat()).await;
    assert_eq!(thirty, (0..30).map(|number| json!(number + 11)).collect::<Vec<_>>());
}

/// The same two with our command line.
async fn our_command_line_succeeds(target: &[&str]) {
    for (how, times) in
        [(vec!["--repeat", "3"], 3), (vec!["--repeat", "30", "--concurrency", "30"], 30)]
    {
        let line = [&["call", "--json"], target, &how, &["add", "1", "2", "c=5"]].concat();
        let (code, stdout, stderr) = run_rpcd(&line).await;
        assert_eq!(code, 0, "{line:?}: {stderr}");
        assert_eq!(stdout.lines().filter(|line| *line == "8").count(), times, "{stdout}{stderr}");
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
