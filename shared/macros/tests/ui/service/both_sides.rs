use rpc_macros::rpc_service;

#[rpc_service(name = "orders", client, server)]
trait Orders {
    async fn count(&self) -> u64;
}

fn main() {}
