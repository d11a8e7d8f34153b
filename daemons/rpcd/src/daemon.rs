//! `rpcd serve` and `rpcd registry`: from start to clean exit.

use std::net::SocketAddr;

use rpc_host::logging::{LogRing, Logging};
use rpc_host::{net, shutdown};
use rpc_registry::{Recovered, Registry, RegistryError, RegistryOptions, StoreError, StoreOptions};
use rpc_security::{Auth, Guard};
use rpc_server::{Announce, Method, Server, ServerError, builtin};
use rpc_worker::{Workers, WorkersError};
use tokio_util::sync::CancellationToken;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::{ServePlan, ServeRegistryPlan, WorkerPlan};

/// Serves the built-in methods, or those of a program, until a signal.
///
/// # Errors
/// It cannot listen ([`Exit::Unreachable`]), or failed, or the program did.
pub async fn serve(plan: ServePlan, logging: Option<&Logging>) -> Result<(), Failure> {
    let stop = prepare()?;
    let workers = match plan.worker {
        Some(plan) => tokio::select! {
            started = start_workers(plan) => Some(started?),
            () = stop.cancelled() => return Ok(()),
        },
        None => None,
    };
    let own = if workers.is_none() { builtin::methods() } else { Vec::new() };
    let mut builder = Server::builder()
        .name(plan.service)
        .version(env!("CARGO_PKG_VERSION"))
        .methods(own)
        .limits(plan.limits)
        .allowed_origins(plan.allowed_origins)
        .allowed_hosts(plan.allowed_hosts)
        .tls(plan.tls);
    if let Some(ring) = ring(logging) {
        builder = builder.log_ring(ring);
    }
    if let Some(plan) = plan.announce {
        let announce = Announce::to_secure(&plan.url, plan.tls)?;
        let mut announce = announce.heartbeat(plan.heartbeat_interval);
        if let Some(address) = plan.advertise {
            announce = announce.advertise(address.host, address.port);
        }
        if let Some(token) = plan.token {
            announce = announce.token(token, plan.allow_plaintext_token);
        }
        builder = builder.announce(announce);
    }
    let server = builder.guard(plan.guard.clone()).bind(plan.address).await?;
    warn_if_open(server.local_addr(), &plan.guard);
    let Some((workers, beside)) = workers else {
        return Ok(server.serve(stop.cancelled_owned()).await?);
    };
    let keeping = workers.keep(server.handle(), beside)?;
    let served = server.serve(stop.cancelled_owned()).await;
    drop(keeping);
    workers.stop().await;
    Ok(served?)
}

/// The methods that are served beside those of a program.
type Beside = fn() -> Vec<Method>;

async fn start_workers(plan: WorkerPlan) -> Result<(Workers, Beside), Failure> {
    let WorkerPlan { program, limits, watches_files, builtin } = plan;
    let workers = match watches_files {
        true => Workers::start_watching_files(program, limits).await?,
        false => Workers::start(program, limits).await?,
    };
    Ok((workers, if builtin { builtin::methods } else { Vec::new }))
}

/// Serves a registry until a signal.
///
/// # Errors
/// It cannot listen ([`Exit::Unreachable`]), or failed.
pub async fn registry(plan: ServeRegistryPlan, logging: Option<&Logging>) -> Result<(), Failure> {
    if plan.recover {
        return recover(&plan.options);
    }
    let stop = prepare()?;
    let mut options = plan.options;
    options.log_ring = ring(logging);
    let guard = options.guard.clone();
    let registry = Registry::bind(plan.address, options).await?;
    warn_if_open(registry.local_addr(), &guard);
    registry.serve(stop.cancelled_owned()).await?;
    Ok(())
}

/// Saves what is readable of a damaged store.
fn recover(options: &RegistryOptions) -> Result<(), Failure> {
    let StoreOptions::Redb { data_dir } = &options.store else {
        return Err(Failure::usage("there is no store to recover"));
    };
    let Recovered { kept, unreadable, damaged, .. } = Registry::recover(data_dir, options)?;
    match damaged {
        None => output::text(&format!("{kept} records, none of them damaged; nothing was changed")),
        Some(damaged) => {
            output::text(&format!("{kept} records kept, {unreadable} not readable"))?;
            output::text(&format!("the damaged database is {}", damaged.display()))
        }
    }
}

pub(crate) fn prepare() -> Result<CancellationToken, Failure> {
    match net::raise_open_files_limit() {
        Ok(files) => tracing::info!(files, "open file limit"),
        Err(error) => tracing::warn!(%error, "cannot raise the open file limit"),
    }
    shutdown::on_signals()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot handle signals: {error}")))
}

/// The process runs one daemon, so all its log lines go to one ring.
fn ring(logging: Option<&Logging>) -> Option<LogRing> {
    logging.map(|logging| logging.ring(""))
}

/// Says what other machines may do unasked.
pub(crate) fn warn_if_open(address: SocketAddr, guard: &Guard) {
    let port = address.port();
    match guard.auth() {
        Auth::Required => {}
        Auth::Warn => tracing::warn!(
            port,
            "auth = warn: everything is served, and what auth = required would refuse is logged"
        ),
        Auth::Off if address.ip().to_canonical().is_loopback() => {}
        Auth::Off => tracing::warn!(
            port,
            "open to other machines without authentication; set [security] tokens (without auth = off), or use -l 127.0.0.1 for local only"
        ),
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let exit = match &error {
            ServerError::Bind { .. } => Exit::Unreachable,
            #[cfg(feature = "tls")]
            ServerError::Tls(error) => return unusable_tls(error),
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<WorkersError> for Failure {
    fn from(error: WorkersError) -> Self {
        let exit = match error {
            WorkersError::NoFiles(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let exit = match &error {
            RegistryError::Bind { .. }
            | RegistryError::Store { source: StoreError::Locked, .. } => Exit::Unreachable,
            RegistryError::BadOption { .. } | RegistryError::Etcd(_) => Exit::Usage,
            #[cfg(feature = "tls")]
            RegistryError::Tls(error) => return unusable_tls(error),
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

/// What the settings say of TLS cannot be used: the libraries do not know their section.
#[cfg(feature = "tls")]
fn unusable_tls(error: &rpc_security::tls::TlsError) -> Failure {
    Failure::usage(format!("[tls]: cannot serve TLS: {error}"))
}
