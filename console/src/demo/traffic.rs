//! Calls to the demo's servers, some of which fail.

use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rpc_client::{Client, ClientOptions};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

/// A method and its arguments.
pub(super) type Call = (&'static str, Value);

/// Calls that each server gets at once, so that the first screen shows some traffic.
const FIRST: usize = 3;

/// Methods and arguments. Some calls fail, to show errors.
fn calls() -> [Call; 12] {
    [
        ("add", json!([1, 2])),
        ("add", json!([1, 2, 30])),
        ("hello", json!(["world"])),
        ("square", json!([12])),
        ("reverse_string", json!(["grün"])),
        ("order", json!({"item": "tea"})),
        ("order", json!({"item": "coffee", "quantity": 2})),
        ("order", json!({"item": "paper", "quantity": 80})),
        ("forecast", json!(["Bergen"])),
        ("forecast", json!({"city": "Oslo", "days": 5})),
        ("divide", json!([1, 0])),
        ("subtract", json!([1])),
    ]
}

/// Makes the first call of each server, then calls random methods through the registry at `url` while
/// `on` is true, until its sender is dropped.
pub(super) async fn generate(
    url: String,
    first: Vec<(SocketAddr, Call)>,
    mut on: watch::Receiver<bool>,
) {
    // The registry may not list them yet.
    for (address, (method, arguments)) in first {
        let Ok(server) = Client::direct(address.to_string(), ClientOptions::default()) else {
            continue;
        };
        for _ in 0..FIRST {
            let _ = server.call(method, arguments.clone()).await;
        }
    }
    let Ok(client) = Client::through_registry(&url, ClientOptions::default()) else { return };
    let calls = calls();
    loop {
        if on.wait_for(|on| *on).await.is_err() {
            return;
        }
        let (pause, choice) = {
            let mut rng = rand::rng();
            (rng.random_range(60..400), rng.random_range(0..calls.len()))
        };
        sleep(Duration::from_millis(pause)).await;
        if let Some((method, arguments)) = calls.get(choice) {
            // Failures are part of the demo.
            let _ = client.call(method, arguments.clone()).await;
        }
    }
}
