use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn new(&self) -> u64;
    async fn count(&self) -> u64;
    #[rpc(name = "count")]
    async fn number(&self) -> u64;
}

fn main() {}
