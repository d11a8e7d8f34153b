//! Programs of agents that nobody here wrote, against `rpcd mcp`: PyPI's client, the inspector, and the
//! conformance suite in both eras.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use rpc_server::{Announce, Failure, Method, Server, ServerHandle, State, rpc_method};
use rpc_tests::binaries::binary;
use rpc_tests::daemon::{Daemon, address_in};
use rpc_tests::peers;
use rpc_tests::queries::lists;
use serde_json::Value;

fn succeeded(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out
}

async fn listening(gateway: &Daemon) -> SocketAddr {
    let find = |line: &str| line.contains("listening").then(|| address_in(line)).flatten();
    gateway.line("it listens", find).await
}

#[tokio::test]
async fn the_client_of_pypi_speaks_with_it_in_both_eras_and_both_ways() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let (rpcd, port) = (binary("rpcd"), address.port().to_string());
    let gateway = Daemon::rpcd(["mcp", "--listen", "0", "-p", &port]);
    let url = format!("http://{}/mcp", listening(&gateway).await);
    for mode in ["legacy", "auto", "2026-07-28"] {
        let command = [mode, rpcd.to_str().unwrap(), "mcp", "-p", &port];
        for arguments in [&command[..], &[mode, &url]] {
            let Some(output) = peers::run("mcp_client.py", arguments).await else { return };
            assert_eq!(succeeded(&output).trim(), "ok", "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn the_inspector_calls_a_tool() {
    const INSPECTOR: &str = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let (rpcd, port) = (binary("rpcd"), address.port().to_string());
    let command = ["--cli", rpcd.to_str().unwrap(), "mcp", "-p", &port];
    let call = ["--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=1", "b=2"];
    let list = ["--method", "tools/list", "--strict"];
    let Some(called) = peers::run_module(INSPECTOR, &[&command[..], &call].concat()).await else {
        return;
    };
    let called: Value = serde_json::from_str(&succeeded(&called)).unwrap();
    assert_eq!(called["structuredContent"]["result"], 13);
    // Strict: a schema that some clients would not take is an error.
    let listed = peers::run_module(INSPECTOR, &[&command[..], &list].concat()).await.unwrap();
    let listed: Value = serde_json::from_str(&succeeded(&listed)).unwrap();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 11);
}

/// What the conformance suite expects of a server.
mod suite {
    use super::*;

    /// For the method that changes the list.
    #[derive(Debug, Default)]
    pub(super) struct Own {
        pub(super) server: OnceLock<ServerHandle>,
        has_more: AtomicBool,
    }

    #[rpc_method(read_only)]
    fn test_simple_text() -> String {
        "This is a simple text response for testing.".to_owned()
    }

    #[rpc_method(read_only)]
    fn test_error_handling() -> Result<(), Failure> {
        Err(Failure::new("This tool intentionally returns an error for testing"))
    }

    #[rpc_method(stream, read_only)]
    fn test_tool_with_progress() -> impl Stream<Item = u32> {
        stream::iter([0, 50, 100]).then(|share| async move {
            tokio::time::sleep(Duration::from_millis(80)).await;
            share
        })
    }

    #[rpc_method(read_only)]
    fn test_logging_tool() -> String {
        "done".to_owned()
    }

    #[rpc_method(read_only)]
    fn test_streaming_elicitation() -> String {
        "done".to_owned()
    }

    /// Comes and goes.
    #[rpc_method(read_only)]
    fn sometimes() {}

    #[rpc_method(read_only)]
    async fn test_trigger_tool_change(State(own): State<Arc<Own>>) -> Result<bool, Failure> {
        let server = own.server.get().ok_or_else(|| Failure::new("not yet"))?;
        let has_more = !own.has_more.fetch_xor(true, Ordering::Relaxed);
        let further = has_more.then(sometimes::method);
        server.replace_methods(further).map_err(|error| Failure::new(error.to_string()))?;
        Ok(has_more)
    }

    pub(super) fn methods() -> Vec<Method> {
        vec![
            test_simple_text::method(),
            test_error_handling::method(),
            test_tool_with_progress::method(),
            test_logging_tool::method(),
            test_streaming_elicitation::method(),
            test_trigger_tool_change::method(),
        ]
    }
}

/// Runs a version of the suite; what it may fail, and why, is in tests/peers/mcp.
async fn conforms(version: &str, further: &[&str]) {
    // One that has just started would be polled, since it may miss instances.
    let settings = [("REGISTRY_SERVER_WARMING", "0s")];
    let (_registry, registry) = Daemon::registry_with(&settings, 0, &["--store", "none"]).await;
    let announce = Announce::to(&format!("http://{registry}")).unwrap();
    let announce = announce.heartbeat(Duration::from_millis(200));
    let own = Arc::new(suite::Own::default());
    let server =
        Server::builder().methods(suite::methods()).state(Arc::clone(&own)).announce(announce);
    let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr();
    let _ = own.server.set(server.handle());
    let serving = tokio::spawn(server.serve(std::future::pending()));
    lists(registry, &[address]).await;
    let gateway =
        Daemon::rpcd(["mcp", "--listen", "0", "--registry", &format!("http://{registry}")]);
    let url = format!("http://{}/mcp", listening(&gateway).await);
    let program = format!("conformance-{version}/dist/index.js");
    let failures = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("peers/mcp/{version}.yml"));
    let failures = failures.to_str().unwrap();
    let arguments = ["server", "--url", &url, "--expected-failures", failures];
    let output = peers::run_module(&program, &[&arguments[..], further].concat()).await;
    serving.abort();
    if let Some(output) = output {
        succeeded(&output);
    }
}

#[tokio::test]
async fn it_conforms_to_versions_with_initialize() {
    conforms("legacy", &[]).await;
}

#[tokio::test]
async fn it_conforms_to_the_stateless_version() {
    conforms("modern", &["--requirements", "2026-07-28"]).await;
}
