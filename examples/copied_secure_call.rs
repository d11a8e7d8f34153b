//! A call inside TLS with a token, as the console copies it for a Rust program.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::time::Duration;

use rpc_client::blocking::Client;
use rpc_client::{Args, ClientOptions, ClientTlsOptions, ListedAs, SecretString};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let timeout = Duration::from_secs(10);
    // The feature tls of rpc-client has it.
    let tls_files = ClientTlsOptions {
        ca: Some("/tls/ca.pem".into()),
        cert: Some("/tls/own.pem".into()),
        key: Some("/tls/own.key".into()),
        ..ClientTlsOptions::default()
    };
    let listed = ListedAs { service: Some("shop".into()), ..ListedAs::default() };
    let token = SecretString::from(std::fs::read_to_string("/my token")?.trim());
    let options = ClientOptions {
        timeout,
        tls: true,
        tls_files,
        listed: Some(listed),
        token: Some(token.into()),
        ..ClientOptions::default()
    };
    let client = Client::direct("127.0.0.1:8089", options)?;
    let args = Args::none();
    println!("{}", client.call("add", args)?);
    Ok(())
}
