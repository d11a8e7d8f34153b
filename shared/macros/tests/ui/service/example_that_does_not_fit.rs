use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    #[example("too many": "tea", 2, 3)]
    async fn place(&self, what: String, #[default(1)] count: u32) -> u64;
}

fn main() {}
