use rpc_macros::rpc_method;

#[rpc_method]
#[example(1, 2, 3)]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {}
