use rpc_macros::rpc_method;

#[rpc_method]
fn add(#[default(1)] call: Call, a: i64) -> i64 {
    a
}

fn main() {}
