//! Calls through the registry: one at a time, many at once, with a deadline.
//!
//! Needs a registry and a server: `cargo run -p rpcd -- registry -p 9999` and
//! `cargo run -p rpcd -- serve -p 8089`.

use std::time::Duration;

use rpc_client::{Client, ClientOptions};
use serde_json::{Value, json};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the output is what this program is for")]
async fn main() -> anyhow::Result<()> {
    let options = ClientOptions { timeout: Duration::from_secs(2), ..ClientOptions::default() };
    let client = Client::through_registry("http://127.0.0.1:9999", options)?;

    let sum: i64 = client.call_as("add", (1, 2)).await?;
    println!("add(1, 2) = {sum}");
    let greeting: Value = client.call("hello", json!({"name": "Ann"})).await?;
    println!("hello(name=\"Ann\") = {greeting}");

    let squares: Vec<_> = (0..30)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call_as::<i64>("square", (n,)).await })
        })
        .collect();
    for square in squares {
        println!("{}", square.await??);
    }
    client.close().await;
    Ok(())
}
