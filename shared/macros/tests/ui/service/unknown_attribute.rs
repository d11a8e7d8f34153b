use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    #[rpc(readonly)]
    async fn count(&self) -> u64;
    async fn place(&self, #[defaults(1)] count: u32) -> u64;
    #[cfg(test)]
    async fn reset(&self);
}

fn main() {}
