use rpc_macros::rpc_method;

#[rpc_method]
fn length(text: &str) -> usize {
    text.len()
}

fn main() {}
