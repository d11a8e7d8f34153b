use rpc_macros::rpc_method;

#[rpc_method]
fn add(a: i64, state: State<u8>, b: i64) -> i64 {
    a + b
}

#[rpc_method]
fn log(text: String, #[extract] caller: Caller) {}

fn main() {}
