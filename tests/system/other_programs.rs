//! Programs that nobody here wrote, against our server: JSON-RPC clients and validators from PyPI and npm.

use std::time::Duration;

use rpc_tests::daemon::{Daemon, path};
use rpc_tests::python::script;
use rpc_tests::{peers, slow};
use serde_json::{Value, json};

async fn succeeds(program: &str, client: &str) {
    succeeds_with(program, client, &[]).await;
}

/// The same with further arguments of the server.
async fn succeeds_with(program: &str, client: &str, arguments: &[&str]) {
    let (_server, address) = Daemon::server(&[&["--no-registry"], arguments].concat()).await;
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
async fn the_openrpc_document_is_valid() {
    succeeds("json_rpc.mjs", "schema-utils-js").await;
}

#[tokio::test]
async fn the_openapi_document_is_valid() {
    succeeds("json_rpc.py", "openapi").await;
}

/// The method list of a worker whose methods share schemas.
fn orders() -> Value {
    let money = json!({"$ref": "#/components/schemas/Money"});
    let amount = json!({"$ref": "#/components/schemas/Money/properties/amount"});
    let result = |schema| json!({"name": "result", "schema": schema});
    json!({
        "openrpc": "1.3.2",
        "info": {"title": "Orders", "version": "1"},
        "methods": [{
            "name": "order.place",
            "params": [
                {"name": "items", "required": true, "schema": {"type": "array", "items": money}},
                {"name": "tip", "schema": amount},
            ],
            "result": result(json!({"type": "object", "properties": {"total": money}})),
            "examples": [{"params": [{"value": [{"amount": 1}]}]}],
        }, {
            "name": "order.watch", "params": [], "result": result(money), "x-stream": true,
        }],
        "components": {"schemas": {"Money": {
            "type": "object", "properties": {"amount": {"type": "number"}},
        }}},
    })
}

/// The program succeeds with a server whose worker has this method list.
async fn succeeds_with_worker(program: &str, client: &str, list: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("openrpc.json");
    std::fs::write(&document, list.to_string()).unwrap();
    let worker = format!("python3 -B '{}' '{}'", path(&script("described.py")), path(&document));
    succeeds_with(program, client, &["--worker", &worker]).await;
}

#[tokio::test]
async fn the_openrpc_document_is_valid_with_schemas_that_methods_of_a_worker_share() {
    succeeds_with_worker("json_rpc.mjs", "schema-utils-js", &orders()).await;
}

#[tokio::test]
async fn the_openapi_document_is_valid_with_schemas_that_refer_to_others_and_to_themselves() {
    let mut list = orders();
    list["methods"][1]["params"] = json!([
        {"name": "tree", "schema": {"type": "object", "properties": {"child": {"$ref": "#"}}}},
        {"name": "parts", "schema": {"$ref": "#/components/schemas/Part"}},
        {"name": "spaced", "schema": {"$ref": "#/components/schemas/The%20Part/properties/a%20b"}},
        {"name": "itself", "schema": {"$ref": "#"}},
        {"name": "others", "schema": {"$ref": "#/components/schemas/Endless"}},
    ]);
    list["components"]["schemas"]["The Part"] = json!({"properties": {"a b": {"type": "string"}}});
    list["components"]["schemas"]["Endless"] =
        json!({"allOf": [{"$ref": "#/components/schemas/Endless"}]});
    list["components"]["schemas"]["Part"] = json!({"items": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"$ref": "#/$defs/None"}]}});
    succeeds_with_worker("json_rpc.py", "openapi", &list).await;
}

/// How long schemathesis may take: a minute of requests, and what is before and after.
const LIMIT: Duration = Duration::from_secs(180);

/// Requests that fit the document and such that do not, of every method but the one that sleeps. No answer is an
/// error of the server, except that the deadline has passed which the request sets: `schemathesis.toml`.
#[tokio::test]
async fn schemathesis_finds_no_error_of_the_server() {
    if !slow::enabled("a minute of requests") {
        return;
    }
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let document = format!("http://{address}/openapi.json");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/schemathesis.toml");
    let arguments = [
        "--config-file",
        config,
        "--no-color",
        "run",
        &document,
        "--exclude-path",
        "/call/sleep",
        "--exclude-checks",
        // A number of JSON may be one that no integer or float here holds, which no schema says: it is refused.
        "positive_data_acceptance",
        "--max-time",
        "60",
    ];
    let variables = [("SCHEMATHESIS_HOOKS", "schemathesis_checks")];
    let output = peers::run_command("schemathesis", &arguments, &variables, LIMIT).await;
    let Some(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("No issues found"), "{text}");
}
