use rpc_server::rpc_method;

#[rpc_method(stream)]
fn numbers(to: u32) -> Vec<u32> {
    (0..to).collect()
}

struct Row;
struct Rows;

impl rpc_server::Stream for Rows {
    type Item = Row;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Row>> {
        std::task::Poll::Ready(None)
    }
}

#[rpc_method(stream)]
fn rows() -> impl rpc_server::Stream<Item = Row> {
    Rows
}

fn main() {}
