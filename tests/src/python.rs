//! The older system's server, client and registry, as processes of the system's python3.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::process::Command;

use crate::daemon::Daemon;
use crate::eventually::soon;
use crate::installed::has;

/// Whether the tests with the older programs can run here. Without python3 they are skipped with a
/// message; with `CI=true` they fail instead, since nobody reads the messages there.
///
/// # Panics
/// `CI=true` and python3 is missing.
pub fn has_python() -> bool {
    has("python3", "python3")
}

/// One of the programs in `tests/python`.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}

fn start(name: &str, arguments: &[&str]) -> Daemon {
    let mut command = Command::new("python3");
    // -B: no __pycache__ in the checkout.
    command.arg("-B").arg(script(name)).args(arguments);
    Daemon::start(&format!("{name} {}", arguments.join(" ")), command)
}

async fn listening(name: &str, arguments: &[&str]) -> (Daemon, SocketAddr) {
    let daemon = start(name, &[&["--port", "0"], arguments].concat());
    let port = daemon.line("the port", |line| line.parse::<u16>().ok()).await;
    (daemon, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The older server on a free port of 127.0.0.1.
pub async fn old_server(arguments: &[&str]) -> (Daemon, SocketAddr) {
    listening("old_server.py", arguments).await
}

/// The older registry on a free port of 127.0.0.1.
pub async fn old_registry(arguments: &[&str]) -> (Daemon, SocketAddr) {
    listening("old_registry.py", arguments).await
}

/// The older client, running.
pub fn old_client(arguments: &[&str]) -> Daemon {
    start("old_client.py", arguments)
}

/// The older client's output, one result a line.
///
/// # Panics
/// It failed.
pub async fn old_client_results(arguments: &[&str]) -> Vec<serde_json::Value> {
    let mut client = old_client(arguments);
    let code = soon("the older client's exit", client.exit_code()).await;
    assert_eq!(code, 0, "{}", client.transcript());
    let parse = |line: &String| serde_json::from_str(line).unwrap();
    client.stdout().lines().iter().map(parse).collect()
}
