use rpc_macros::rpc_method;

#[rpc_method]
fn add(a: State<u8>, b: State<u16>, c: State<u32>, d: State<u64>, call: Call) {}

fn main() {}
