use rpc_macros::rpc_method;

#[rpc_method]
fn add(a: f64, #[defualt(1.0)] b: f64) -> f64 {
    a + b
}

fn main() {}
