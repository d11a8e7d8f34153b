//! `rpc-torture serve-ledger`: a server as `rpcd serve` is one, whose methods note each execution. A line on its
//! standard input is the fault that it has from then on; an empty one: none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rpc_faults::FaultSwitch;
use rpc_host::logging::{self, LogOptions};
use rpc_host::{net, shutdown};
use rpc_server::{Announce, Failure, Limits, Method, Server};

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
    /// Most connections [default: the server's]
    #[arg(long)]
    pub max_connections: Option<usize>,
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
    let mut limits = Limits::default();
    limits.max_connections = options.max_connections.unwrap_or(limits.max_connections);
    let switch = FaultSwitch::default();
    let server = Server::builder()
        .name("ledger")
        .version(env!("CARGO_PKG_VERSION"))
        .methods(methods(&Arc::new(ledger)))
        .layer(switch.layer())
        .limits(limits)
        .announce(announce)
        .log_ring(logging.ring(""))
        .bind(options.listen)
        .await?;
    std::thread::spawn(move || obey(&switch));
    server.serve(stop.cancelled_owned()).await?;
    Ok(())
}

/// Has the faults that it is told of, until nobody is left who could tell. On a thread: a read of the standard
/// input cannot be cancelled, and would hold up the end of the runtime.
fn obey(switch: &FaultSwitch) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.trim() {
            "" => switch.set(None),
            text => match text.parse() {
                Ok(fault) => switch.set(Some(fault)),
                Err(error) => tracing::error!("{error}"),
            },
        }
    }
}

/// The method that returns how many tasks its runtime has.
pub const TASKS: &str = "tasks";

/// Each but `hold` and `tasks` returns the id that it is given, once it is noted.
fn methods(ledger: &Arc<Ledger>) -> Vec<Method> {
    let note = || {
        let ledger = Arc::clone(ledger);
        move |id: u64| ledger.note(id).map(|()| id).map_err(|error| Failure::new(error.to_string()))
    };
    let note_for = || {
        let note = note();
        move |id: u64, milliseconds: u64| {
            let noted = note(id);
            async move {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                noted
            }
        }
    };
    let for_some_time = ["id", "milliseconds"];
    vec![
        Method::named("run").parameters(["id"]).sync(note()),
        Method::named("put").parameters(["id"]).idempotent().sync(note()),
        Method::named("look").parameters(["id"]).read_only().sync(note()),
        Method::named("run_for").parameters(for_some_time).asynchronous(note_for()),
        Method::named("look_for").parameters(for_some_time).read_only().asynchronous(note_for()),
        Method::named(TASKS)
            .parameters([])
            .read_only()
            .asynchronous(async || tokio::runtime::Handle::current().metrics().num_alive_tasks()),
        Method::named("hold").parameters([]).asynchronous(std::future::pending::<()>),
    ]
}
