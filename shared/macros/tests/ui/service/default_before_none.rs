use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place(&self, #[default(1)] count: u32, what: String) -> u64;
}

fn main() {}
