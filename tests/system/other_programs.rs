//! Programs that nobody here wrote, against our server: JSON-RPC clients and validators from PyPI and npm.

use rpc_tests::daemon::Daemon;
use rpc_tests::peers;

async fn succeeds(program: &str, client: &str) {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let port = address.port().to_string();
    let Some(output) = peers::run(program, &[client, "127.0.0.1", &port]).await else { return };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[tokio::test]
async fn aiorpcx_calls_our_server_over_tcp() {
    succeeds("json_rpc.py", "aiorpcx").await;
}

#[tokio::test]
async fn jsonrpclib_pelix_calls_our_server_over_http() {
    succeeds("json_rpc.py", "pelix").await;
}

#[tokio::test]
async fn pjrpc_calls_our_server_over_http() {
    succeeds("json_rpc.py", "pjrpc").await;
}

#[tokio::test]
async fn requests_of_jsonrpcclient_are_answered_over_tcp() {
    succeeds("json_rpc.py", "jsonrpcclient").await;
}

#[tokio::test]
async fn jayson_calls_our_server_over_tcp_and_http() {
    succeeds("json_rpc.mjs", "jayson-tcp").await;
    succeeds("json_rpc.mjs", "jayson-http").await;
}

#[tokio::test]
async fn json_rpc_2_0_calls_our_server_over_http() {
    succeeds("json_rpc.mjs", "json-rpc-2.0").await;
}

#[tokio::test]
async fn the_openapi_document_is_valid() {
    succeeds("json_rpc.py", "openapi").await;
}
