use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    #[rpc(read_only, idempotent)]
    async fn count(&self) -> u64;
}

fn main() {}
