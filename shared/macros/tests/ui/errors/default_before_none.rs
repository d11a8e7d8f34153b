use rpc_macros::rpc_method;

#[rpc_method]
fn add(#[default(1.0)] a: f64, b: f64) -> f64 {
    a + b
}

fn main() {}
