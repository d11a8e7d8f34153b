use rpc_server::{Failure, rpc_method};

struct Order;

// serde writes it, but schemars cannot describe it.
type WithoutSchema = std::ops::RangeFrom<i64>;

#[rpc_method]
fn first() -> Order {
    Order
}

#[rpc_method]
async fn second() -> Result<WithoutSchema, Failure> {
    Ok(1..)
}

fn main() {}
