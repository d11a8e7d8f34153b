use rpc_macros::rpc_service;

#[rpc_service(version = "1")]
trait Orders {
    async fn count(&self) -> u64;
}

fn main() {}
