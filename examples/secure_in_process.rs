//! A registry, two servers and a caller in one process, each with a certificate of one authority, which this program
//! makes: what a program of its own gives the libraries for TLS everywhere, where nobody is served without one.
//!
//! `cargo run --example secure_in_process` makes the certificates in a temporary folder, makes calls, and stops.
#![expect(clippy::print_stdout, reason = "the output is what this program is for")]

use std::net::Ipv4Addr;

use anyhow::Context;
use rpc_client::{Client, ClientOptions};
use rpc_examples::authority::{Authority, Issued};
use rpc_registry::security::{ClientTlsOptions, Require, TlsOptions};
use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Announce, Server, rpc_method};

/// Adds two numbers.
#[rpc_method(read_only)]
fn plus(a: i64, b: i64) -> i64 {
    a + b
}

/// What a daemon shows and demands: of everybody a certificate of this authority.
fn as_daemon(authority: &Authority, issued: Issued) -> TlsOptions {
    TlsOptions {
        cert: Some(issued.cert),
        key: Some(issued.key),
        client_ca: Some(authority.ca()),
        require: Require::Certificate,
        ..TlsOptions::default()
    }
}

/// Whom a client trusts, and what it shows.
fn as_client(authority: &Authority, issued: Issued) -> ClientTlsOptions {
    ClientTlsOptions {
        ca: Some(authority.ca()),
        cert: Some(issued.cert),
        key: Some(issued.key),
        ..ClientTlsOptions::default()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;

    let files = authority.issue("registry", &["127.0.0.1"], None)?;
    let options =
        RegistryOptions { tls: as_daemon(&authority, files), ..RegistryOptions::default() };
    let registry = Registry::bind((Ipv4Addr::LOCALHOST, 0).into(), options).await?;
    let url = format!("https://{}", registry.local_addr());
    tokio::spawn(registry.serve(std::future::pending()));

    // Neither has the name of a host in its certificate: callers look for the service.
    let mut handles = Vec::new();
    for name in ["first", "second"] {
        let files = authority.issue(name, &[], Some("sums"))?;
        // Tokens, which say what a caller may do, go here: `.guard(…)` and `options.token`.
        let server = Server::builder()
            .name("sums")
            .method(plus::method())
            .tls(as_daemon(&authority, files.clone()))
            .announce(Announce::to_secure(&url, as_client(&authority, files))?)
            .bind((Ipv4Addr::LOCALHOST, 0))
            .await?;
        handles.push(server.handle());
        tokio::spawn(server.serve(std::future::pending()));
    }

    let files = authority.issue("caller", &["caller.example"], None)?;
    let options = ClientOptions {
        tls: true,
        tls_files: as_client(&authority, files),
        ..ClientOptions::default()
    };
    let client = Client::through_registry(&url, options)?;
    while client.instances().len() < handles.len() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    println!("1 + 2 = {}", client.call("plus", (1, 2)).await?);
    client.close().await;

    // Without a certificate of its own a caller is told so.
    let tls_files = ClientTlsOptions { ca: Some(authority.ca()), ..ClientTlsOptions::default() };
    let options = ClientOptions { tls: true, tls_files, ..ClientOptions::default() };
    let stranger = Client::through_registry(&url, options)?;
    let refused = stranger.call("plus", (1, 2)).await.err().context("it was served")?;
    println!("refused: {}", refused.to_string().contains("of this side"));
    Ok(())
}
