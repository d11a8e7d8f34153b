//! The client against peers and registries that send exact bytes, polite ones and rude ones.
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

mod attempts;
mod blocking;
mod calls;
mod classic;
mod deadlines;
mod discovery;
mod ejection;
mod ending;
mod fake_registry;
mod full;
mod hedging;
mod inline_calls;
mod json_rpc;
mod kept_lists;
mod layers;
mod leaving;
mod list_cache;
mod looks;
mod notifications;
mod offering;
mod registry;
mod retries;
mod rude;
mod services;
mod streams;
mod tokens;
mod typed;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions};
use rpc_tests::fakes;

/// A client of one fake peer, with short timeouts.
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

/// Waits until `condition` holds; fails after twenty seconds, for a busy machine.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), patience).await;
    waited.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Lets the client's tasks see what has come to their sockets by now. Those that were woken together with this one
/// run after it, unless it gives its turn away.
async fn let_notice() {
    tokio::time::sleep(Duration::from_millis(2)).await;
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// The result of `scenario` in a run without a pause longer than `limit`. Peer and client share one
/// thread: during a pause both stand still, so that such a run proves nothing.
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
    panic!("every run had a pause of more than {limit:?}");
}
