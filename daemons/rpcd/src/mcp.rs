//! `rpcd mcp`: a caller whose own callers are agents.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;

use rpc_client::Client;
use rpc_gateway::{Endpoint, Gateway, HttpOptions};
use tokio_util::sync::CancellationToken;

use crate::client;
use crate::daemon::{prepare, warn_if_open};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::McpPlan;

/// Serves tools: by HTTP until a signal, or on standard input and output until the input ends.
///
/// # Errors
/// The target is none, the address cannot be listened on, or standard input or output fails.
pub async fn serve(plan: McpPlan) -> Result<(), Failure> {
    let stop = prepare()?;
    let client = Client::new(plan.target, plan.client)?;
    let gateway = Gateway::new(client.clone(), plan.gateway);
    let served = match plan.http {
        Some((address, options)) => listen(address, gateway, options, stop).await,
        None => lines(gateway, stop).await,
    };
    client::close(client).await;
    served
}

async fn lines(gateway: Gateway, stop: CancellationToken) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        output::say(
            "waiting for the messages of an agent, which starts this by itself; see rpcd help mcp",
        );
    }
    let served = tokio::select! {
        served = gateway.serve_lines(tokio::io::stdin(), tokio::io::stdout()) => served,
        () = stop.cancelled() => Ok(()),
    };
    match served {
        // The agent has ended.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        served => served.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot speak with the agent: {error}"))
        }),
    }
}

async fn listen(
    address: SocketAddr,
    gateway: Gateway,
    options: HttpOptions,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let guard = options.guard.clone();
    let endpoint = Endpoint::bind(address, gateway, options).map_err(|error| {
        let what = format!("cannot listen on {address}: {error}; choose another with --listen");
        Failure::new(Exit::Unreachable, what)
    })?;
    warn_if_open(endpoint.local_addr(), &guard);
    let served = endpoint.serve(stop.cancelled_owned()).await;
    served.map_err(|error| Failure::new(Exit::Failed, format!("cannot listen any more: {error}")))
}
