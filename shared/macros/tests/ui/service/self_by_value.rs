use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn close(self);
    async fn count(&mut self) -> u64;
}

fn main() {}
