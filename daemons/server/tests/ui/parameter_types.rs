use rpc_server::schemars::JsonSchema;
use rpc_server::rpc_method;

struct Nothing;

#[derive(serde::Deserialize)]
struct WithoutSchema;

#[derive(JsonSchema)]
#[schemars(crate = "rpc_server::schemars")]
struct NotRead;

#[rpc_method]
fn first(a: i64, b: Nothing) {}

#[rpc_method]
fn second(a: WithoutSchema, b: i64) {}

#[rpc_method]
async fn third(a: NotRead) {}

fn main() {}
