//! An embedded service: methods, registry, heartbeat, graceful shutdown.
//!
//! `cargo run --example service`, then `cargo run -p rpcd -- call greet Ann -i 127.0.0.1 -p 8100`.

use std::net::Ipv4Addr;

use rpc_host::logging::{self, LogOptions};
use rpc_host::shutdown;
use rpc_server::{Announce, Failure, Method, Server, rpc_method};

/// Greets someone, politely or not.
#[rpc_method]
fn greet(name: String, #[default(true)] politely: bool) -> String {
    if politely { format!("Good day, {name}.") } else { format!("Hey {name}!") }
}

/// The length of a file on the server, in bytes.
#[rpc_method(blocking)]
fn file_size(path: String) -> Result<u64, Failure> {
    Ok(std::fs::metadata(path)?.len())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let logging = logging::init(&LogOptions::default())?;
    let stop = shutdown::on_signals()?;
    let server = Server::builder()
        .method(greet::method())
        .method(file_size::method())
        .method(Method::named("half").parameters(["n"]).sync(|n: f64| n / 2.0))
        .log_ring(logging.ring(""))
        .announce(Announce::to("http://127.0.0.1:9999")?.parameter("team", "examples"))
        .bind((Ipv4Addr::LOCALHOST, 8100))
        .await?;
    server.serve(async move { stop.cancelled().await }).await?;
    Ok(())
}
