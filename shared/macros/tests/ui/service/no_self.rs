use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn count(what: String) -> u64;
}

fn main() {}
