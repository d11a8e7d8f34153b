use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders<T>: Clone {
    type Id;
    async fn count(&self) -> u64;
}

fn main() {}
