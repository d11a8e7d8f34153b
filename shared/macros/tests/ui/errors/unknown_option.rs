use rpc_macros::rpc_method;

#[rpc_method(steam)]
fn ticks() {}

fn main() {}
