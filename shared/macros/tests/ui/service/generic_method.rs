use rpc_macros::rpc_service;

#[rpc_service(name = "orders")]
trait Orders {
    async fn place<T>(&self, what: T) -> u64;
    async fn find(&self, what: impl ToString) -> u64;
}

fn main() {}
