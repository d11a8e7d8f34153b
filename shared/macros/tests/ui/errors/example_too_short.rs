use rpc_macros::rpc_method;

#[rpc_method]
#[example("one": 1 => 11)]
fn add(a: i64, b: i64, #[default(10)] c: i64) -> i64 {
    a + b + c
}

fn main() {}
