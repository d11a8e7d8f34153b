use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place(&self, what: &str) -> u64;
}

fn main() {}
