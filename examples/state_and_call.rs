//! Methods that take the server's state and the context of the call.
//!
//! `cargo run --example state_and_call` serves them, calls them, and stops.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_client::{Client, ClientOptions, Request};
use rpc_server::{Call, Server, State, rpc_method};
use tokio::sync::Notify;

/// What all calls share.
#[derive(Debug, Clone, Default)]
struct Account {
    balance: Arc<AtomicI64>,
    /// The methods that were called, in order.
    calls: Arc<Mutex<Vec<String>>>,
    /// Told when `work` stopped.
    stopped: Arc<Notify>,
}

/// Adds an amount and returns the balance.
#[rpc_method]
fn deposit(State(account): State<Account>, call: Call, amount: i64) -> i64 {
    if let Ok(mut calls) = account.calls.lock() {
        calls.push(format!(
            "{} by {}",
            call.method(),
            if call.peer().is_some() { "TCP" } else { "?" }
        ));
    }
    account.balance.fetch_add(amount, Ordering::Relaxed) + amount
}

/// The seconds that the caller still waits, and whether anybody waits at all.
#[rpc_method(read_only)]
async fn patience(call: Call) -> Option<u64> {
    let left = call.remaining()?;
    Some(left.as_secs_f64().round() as u64)
}

/// Works until it is cancelled, then says so.
#[rpc_method(blocking)]
fn work(State(account): State<Account>, call: Call) {
    while !call.is_cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
    if let Ok(mut calls) = account.calls.lock() {
        calls.push("work was cancelled".to_owned());
    }
    account.stopped.notify_one();
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let account = Account::default();
    let server = Server::builder()
        .name("account")
        .state(account.clone())
        .method(deposit::method())
        .method(patience::method())
        .method(work::method())
        .bind((Ipv4Addr::LOCALHOST, 0))
        .await?;
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.serve(std::future::pending()));

    let client = Client::direct(address.to_string(), ClientOptions::default())?;
    println!("deposit 100: {}", client.call("deposit", (100,)).await?);
    println!("deposit -30: {}", client.call("deposit", (-30,)).await?);
    let timeout = Some(Duration::from_secs(60));
    let response = client.request(Request { timeout, ..Request::new("patience", ())? }).await?;
    println!("patience: {} s", response.value);

    let timeout = Some(Duration::from_millis(100));
    let late = client.request(Request { timeout, ..Request::new("work", ())? }).await;
    println!("work in time: {}", late.is_ok());
    account.stopped.notified().await;
    client.close().await;
    handle.stop();
    serving.await??;
    if let Ok(calls) = account.calls.lock() {
        calls.iter().for_each(|call| println!("- {call}"));
    }
    Ok(())
}
