use rpc_macros::rpc_service;

#[rpc_service(name = "my orders")]
trait Orders {
    async fn count(&self) -> u64;
}

fn main() {}
