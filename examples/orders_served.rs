//! A trait with a server and a typed client: streams, defaults and typed errors.
//!
//! `cargo run --example orders_served` serves the trait of `src/orders.rs`, calls it, and stops.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::net::Ipv4Addr;
use std::time::Duration;

use rpc_client::{CallOptions, Client, ClientOptions, ServiceError};
use rpc_examples::orders::{OrderError, OrdersClient, OrdersService, Shop};
use rpc_server::Server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = Server::builder()
        .service(OrdersService::new(Shop::with_stock(5)))
        .bind((Ipv4Addr::LOCALHOST, 0))
        .await?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.serve(std::future::pending()));

    // `Client::through_registry` instead: then calls go to instances of the service "orders".
    let client = Client::direct(address.to_string(), ClientOptions::default())?;
    let orders = OrdersClient::new(client.clone());
    let mut placed = orders.watch(0).await?;

    println!("price: {}", orders.price("tea".to_owned()).await?);
    println!("placed: {}", orders.place("tea".to_owned(), None).await?.text);
    let hurried = orders.with(CallOptions::default().timeout(Duration::from_secs(2)));
    println!("placed: {}", hurried.place("tea".to_owned(), 3).await?.text);
    match orders.place("tea".to_owned(), 3).await {
        Ok(receipt) => println!("placed: {}", receipt.text),
        Err(ServiceError::Service(OrderError::SoldOut { left })) => {
            println!("sold out: {left} left")
        }
        Err(ServiceError::Call(error)) => println!("the call failed: {error}"),
    }
    for _ in 0..2 {
        if let Some(receipt) = placed.next().await {
            let receipt = receipt?;
            println!("watched: order {}, {}", receipt.number, receipt.text);
        }
    }
    drop(placed);
    client.close().await;
    handle.stop();
    serving.await??;
    Ok(())
}
