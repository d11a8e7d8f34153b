use rpc_server::{Failure, rpc_method};

struct Order;

#[derive(serde::Serialize)]
struct WithoutSchema;

#[rpc_method]
fn first() -> Order {
    Order
}

#[rpc_method]
async fn second() -> Result<WithoutSchema, Failure> {
    Ok(WithoutSchema)
}

fn main() {}
