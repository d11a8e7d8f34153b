use rpc_server::schemars::JsonSchema;
use rpc_server::rpc_method;

struct Nothing;

// serde reads it, but schemars cannot describe it.
type WithoutSchema = std::ops::RangeFrom<i64>;

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
