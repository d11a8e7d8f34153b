use rpc_macros::rpc_method;

#[rpc_method]
fn add((a, b): (f64, f64)) -> f64 {
    a + b
}

fn main() {}
