use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn count(&self) -> std::io::Result<u64>;
}

fn main() {}
