//! Calls to the demo's servers, some of which fail.

use std::time::Duration;

use rand::RngExt;
use rpc_client::{Client, ClientOptions};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

/// Calls made one after the other at the start.
const FIRST: u64 = 20;

/// Methods and arguments. Some calls fail, to show errors.
fn calls() -> [(&'static str, Value); 12] {
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

/// Calls random methods through the registry at `url` while `on` is true, until its sender is
/// dropped.
pub(super) async fn generate(url: String, mut on: watch::Receiver<bool>) {
    let Ok(client) = Client::through_registry(&url, ClientOptions::default()) else { return };
    let calls = calls();
    for made in 0u64.. {
        if on.wait_for(|on| *on).await.is_err() {
            return;
        }
        let (pause, choice) = {
            let mut rng = rand::rng();
            // The first screen already shows some traffic.
            let pauses = if made < FIRST { 10..40 } else { 60..400 };
            (rng.random_range(pauses), rng.random_range(0..calls.len()))
        };
        sleep(Duration::from_millis(pause)).await;
        if let Some((method, arguments)) = calls.get(choice) {
            // Failures are part of the demo.
            let _ = client.call(method, arguments.clone()).await;
        }
    }
}
