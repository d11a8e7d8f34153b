use rpc_macros::rpc_method;

#[rpc_method(read_only, idempotent)]
fn get() {}

fn main() {}
