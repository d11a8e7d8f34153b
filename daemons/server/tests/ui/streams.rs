use rpc_server::rpc_method;

#[rpc_method(stream)]
fn numbers(to: u32) -> Vec<u32> {
    (0..to).collect()
}

struct Row;

#[rpc_method(stream)]
fn rows() -> futures_util::stream::Empty<Row> {
    futures_util::stream::empty()
}

fn main() {}
