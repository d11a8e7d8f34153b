//! The same trait called in memory: nothing is serialised or sent.
//!
//! `cargo run --example orders_in_process`. Code that takes an `OrdersClient` does not know which of the
//! two it has, so a test, or a program that is not split yet, needs no server.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use rpc_client::ServiceError;
use rpc_examples::orders::{OrderError, OrdersClient, Shop};

/// Orders until nothing is left; returns how many orders that took.
async fn buy_all(orders: &OrdersClient) -> Result<usize, ServiceError<OrderError>> {
    let mut placed = 0;
    loop {
        match orders.place("tea".to_owned(), 2).await {
            Ok(receipt) => println!("placed: {}", receipt.text),
            Err(ServiceError::Service(OrderError::SoldOut { left: 0 })) => return Ok(placed),
            Err(ServiceError::Service(OrderError::SoldOut { left })) => {
                orders.place("tea".to_owned(), left).await?;
            }
            Err(error) => return Err(error),
        }
        placed += 1;
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let orders = OrdersClient::in_process(Shop::with_stock(5));
    println!("orders: {}", buy_all(&orders).await?);
    Ok(())
}
