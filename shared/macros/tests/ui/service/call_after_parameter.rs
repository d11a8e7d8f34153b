use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place(&self, what: String, call: Call) -> u64;
    async fn count(&self, state: State<Db>) -> u64;
}

fn main() {}
