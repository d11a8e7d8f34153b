//! A call as the console copies it for a Rust program (`Y`, then Rust).
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::time::Duration;

use rpc_client::blocking::Client;
use rpc_client::{Args, ClientOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let timeout = Duration::from_secs(10);
    let options = ClientOptions { timeout, ..ClientOptions::default() };
    let client = Client::through_registry("http://127.0.0.1:9999", options)?;
    let args = Args::from_words(["1", r#""-x""#, r#"c="it's $HOME""#])?;
    println!("{}", client.call("add", args)?);
    Ok(())
}
