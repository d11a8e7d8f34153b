use rpc_macros::rpc_method;

#[rpc_method]
fn same<T>(value: T) -> T {
    value
}

fn main() {}
