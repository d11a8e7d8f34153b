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
mod inline_calls;
mod registry;
mod retries;
mod rude;
mod streams;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions};
use rpc_tests::fakes;

/// A client of one fake peer, with times short enough for a test.
fn direct(address: impl ToString) -> Client {
    Client::direct(address.to_string(), options()).unwrap()
}

fn options() -> ClientOptions {
    ClientOptions {
        timeout: Duration::from_secs(5),
        refresh_interval: Duration::from_millis(50),
        ..ClientOptions::default()
    }
}

/// Waits until `condition` holds; fails the test after twenty seconds, for a machine that is busy.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), patience).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What `scenario` gives when the machine lets it run without a pause longer than `limit`. Peer and
/// client share one thread: over a pause both do nothing, which says nothing about either.
async fn without_a_pause<T>(limit: Duration, scenario: impl AsyncFn() -> T) -> T {
    for _ in 0..100 {
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let seen = Arc::clone(&longest);
        let watching = tokio::spawn(async move {
            let mut last = Instant::now();
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let mut longest = seen.lock().unwrap();
                *longest = longest.max(last.elapsed());
                last = Instant::now();
            }
        });
        let outcome = scenario().await;
        watching.abort();
        if *longest.lock().unwrap() <= limit {
            return outcome;
        }
    }
    panic!("this machine never runs for long without a pause of {limit:?}");
}
