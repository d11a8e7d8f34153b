use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place(&self, (what, count): (String, u32)) -> u64;
}

fn main() {}
