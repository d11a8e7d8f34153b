//! A call of a stream method as the console copies it for a Rust program.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::time::Duration;

use rpc_client::blocking::Client;
use rpc_client::{Args, ClientOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let timeout = Duration::from_secs(10);
    let options = ClientOptions { timeout, ..ClientOptions::default() };
    let client = Client::direct("127.0.0.1:8089", options)?;
    let args = Args::none();
    for item in client.stream("countdown", args)? {
        println!("{}", item?.value);
    }
    Ok(())
}
