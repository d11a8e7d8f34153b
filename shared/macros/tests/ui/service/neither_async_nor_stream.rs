use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    fn count(&self) -> u64;
    async fn watch(&self) -> impl Stream<Item = u64>;
    fn list(&self) -> impl Iterator<Item = u64>;
    #[rpc(blocking)]
    async fn wait(&self);
}

fn main() {}
