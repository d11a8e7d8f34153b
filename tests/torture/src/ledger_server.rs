//! `rpc-torture serve-ledger`: a server as `rpcd serve` is one, whose methods note each execution.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rpc_host::logging::{self, LogOptions};
use rpc_host::{net, shutdown};
use rpc_server::{Announce, Failure, Method, Server};

use crate::ledger::Ledger;

/// Its options.
#[derive(Debug, Clone, Args)]
pub struct LedgerServerOptions {
    /// Where it listens
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where clients reach it
    #[arg(long)]
    pub advertise: SocketAddr,
    /// The URL of the registry
    #[arg(long)]
    pub registry: String,
    /// The file that gets the id of each call that is executed
    #[arg(long)]
    pub ledger: PathBuf,
    /// Interval between heartbeats
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
    pub heartbeat: Duration,
}

/// Serves until a signal.
///
/// # Errors
/// It cannot listen, or failed.
pub async fn serve(options: LedgerServerOptions) -> anyhow::Result<()> {
    let logging = logging::init(&LogOptions { save: false, ..LogOptions::default() })?;
    let _ = net::raise_open_files_limit();
    let stop = shutdown::on_signals()?;
    let ledger = Ledger::append_to(&options.ledger).context("opening the ledger")?;
    let advertised = options.advertise;
    let announce = Announce::to(&options.registry)?
        .heartbeat(options.heartbeat)
        .advertise(advertised.ip().to_string(), Some(advertised.port()));
    let server = Server::builder()
        .name("ledger")
        .version(env!("CARGO_PKG_VERSION"))
        .methods(methods(&Arc::new(ledger)))
        .announce(announce)
        .log_ring(logging.ring(""))
        .bind(options.listen)
        .await?;
    server.serve(stop.cancelled_owned()).await?;
    Ok(())
}

/// Each returns the id that it is given, once it is noted.
fn methods(ledger: &Arc<Ledger>) -> Vec<Method> {
    let note = || {
        let ledger = Arc::clone(ledger);
        move |id: u64| ledger.note(id).map(|()| id).map_err(|error| Failure::new(error.to_string()))
    };
    let (run, run_for) = (note(), note());
    vec![
        Method::named("run").parameters(["id"]).sync(run),
        Method::named("put").parameters(["id"]).idempotent().sync(note()),
        Method::named("look").parameters(["id"]).read_only().sync(note()),
        Method::named("run_for").parameters(["id", "milliseconds"]).asynchronous(
            move |id: u64, milliseconds: u64| {
                let noted = run_for(id);
                async move {
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    noted
                }
            },
        ),
    ]
}
