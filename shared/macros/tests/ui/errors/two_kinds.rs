use rpc_macros::rpc_method;

#[rpc_method(blocking)]
async fn wait() {}

#[rpc_method(blocking, stream)]
fn ticks() {}

fn main() {}
