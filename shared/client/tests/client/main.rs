//! The client against peers and registries that speak exact bytes, kind ones and rude ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests say what they expect"
)]

mod blocking;
mod calls;
mod classic;
mod deadlines;
mod discovery;
mod ending;
mod fake_registry;
mod fakes;
mod registry;
mod retries;
mod rude;
mod streams;

use std::time::Duration;

use rpc_client::{Client, ClientOptions};

/// A client of one fake peer, with times short enough for a test.
fn direct(address: impl ToString) -> Client {
    Client::direct(address.to_string(), options()).unwrap()
}

fn options() -> ClientOptions {
    ClientOptions {
        timeout: Duration::from_secs(5),
        refresh: Duration::from_millis(50),
        ..ClientOptions::default()
    }
}

/// Waits until `condition` holds; fails the test after five seconds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(5), patience).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}
