//! Flags applied over the options of the settings.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_client::registry::RegistryClientOptions;
use rpc_client::{ClientOptions, Token};
use rpc_host::net::resolve_listen;
use rpc_registry::{RegistryOptions, StoreOptions};
use rpc_security::{ClientTlsOptions, Guard, TlsOptions};
use rpc_server::Limits;
use rpc_settings::{Advertised, RegistryAddress, SECRET_VARIABLES, Settings, StoreKind};
use rpc_worker::{Program, WorkerLimits};

use super::target;
use crate::cli::{Asking, CallTime, Registry, Serve};
use crate::failure::Failure;

/// What `rpcd serve` does.
#[derive(Debug)]
pub struct ServePlan {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The name of the service.
    pub service: String,
    /// The server's limits.
    pub limits: Limits,
    /// Web origins that may send HTTP requests.
    pub allowed_origins: Vec<String>,
    /// Further host names by which HTTP requests may address it.
    pub allowed_hosts: Vec<String>,
    /// Who may do what.
    pub guard: Guard,
    /// Its certificate, and whom it accepts.
    pub tls: TlsOptions,
    /// How to register; `None`: not at all.
    pub announce: Option<AnnouncePlan>,
    /// The program whose methods are served; `None`: the built-in ones only.
    pub worker: Option<WorkerPlan>,
}

/// The program whose methods a server has.
#[derive(Debug)]
pub struct WorkerPlan {
    /// The command.
    pub program: Program,
    /// Its limits.
    pub limits: WorkerLimits,
    /// Whether it is started again when its files change.
    pub watches_files: bool,
    /// Whether the built-in methods are served, too.
    pub builtin: bool,
}

/// How a server registers.
#[derive(Debug)]
pub struct AnnouncePlan {
    /// The registry.
    pub url: String,
    /// The address to register; `None`: the one that routes to the registry.
    pub advertise: Option<Advertised>,
    /// Interval between heartbeats.
    pub heartbeat_interval: Duration,
    /// The token to show to the registry; `None`: there is none.
    pub token: Option<Token>,
    /// Whether it is shown in plain text as well.
    pub allow_plaintext_token: bool,
    /// Whom it trusts as its registry, and who it is itself.
    pub tls: ClientTlsOptions,
}

/// What `rpcd registry` does.
#[derive(Debug)]
pub struct ServeRegistryPlan {
    /// The address to listen on.
    pub address: SocketAddr,
    /// The registry's options.
    pub options: RegistryOptions,
    /// Only to save what is readable of a damaged store.
    pub recover: bool,
}

impl ServePlan {
    pub(super) fn new(typed: Serve, settings: &Settings) -> Result<Self, Failure> {
        let server = &settings.server;
        let url = match &typed.registry {
            Some(text) => target::named_or_url(text, settings)?,
            None => settings.registry.url(),
        };
        // A registry named on the command line overrides announce = false.
        let wanted = !typed.no_registry && (server.announce || typed.registry.is_some());
        let named = typed.registry.as_ref().and_then(|name| settings.registries.get(name));
        let registry = named.unwrap_or(&settings.registry);
        let section = match (&typed.registry, named) {
            (Some(name), Some(_)) => format!("registry.{name}"),
            _ => "registry".to_owned(),
        };
        let of_settings = target::of_settings_through(typed.registry.as_deref(), settings);
        let is_withheld = of_settings.is_some_and(|registry| !registry.of_folder.is_empty());
        let token = match wanted && !is_withheld {
            // What was typed is where it is, not the section that has its token.
            true => settings.registry_token(
                &RegistryAddress { of_folder: Vec::new(), ..registry.clone() },
                &section,
            )?,
            false => None,
        };
        let announce = wanted.then(|| AnnouncePlan {
            token,
            allow_plaintext_token: settings.client.allow_plaintext_token,
            url,
            advertise: typed.advertise.or_else(|| server.advertise.clone()),
            heartbeat_interval: server.heartbeat_interval,
            tls: settings.client_of(registry).tls_files,
        });
        let mut worker_limits = settings.worker.clone();
        let count = |typed: Option<u32>| typed.and_then(|it| usize::try_from(it).ok());
        worker_limits.workers = count(typed.workers).unwrap_or(worker_limits.workers);
        worker_limits.concurrency =
            count(typed.worker_concurrency).unwrap_or(worker_limits.concurrency);
        Ok(Self {
            address: listen_address(typed.listen.as_ref(), &server.listen, typed.port)?,
            service: typed.service.unwrap_or_else(|| server.service.clone()),
            limits: server.limits.clone(),
            allowed_origins: server.allowed_origins.clone(),
            allowed_hosts: server.allowed_hosts.clone(),
            guard: settings.security.guard()?,
            tls: settings.tls.clone(),
            announce,
            worker: typed.worker.map(|program| WorkerPlan {
                // The server's own secrets are none of its business.
                program: SECRET_VARIABLES.into_iter().fold(program, Program::hide_variable),
                limits: worker_limits,
                watches_files: typed.watch_files,
                builtin: !typed.no_builtin,
            }),
        })
    }
}

impl ServeRegistryPlan {
    pub(super) fn new(typed: Registry, settings: &Settings) -> Result<Self, Failure> {
        let registry = &settings.registry_server;
        let address = listen_address(typed.listen.as_ref(), &registry.listen, typed.port)?;
        let store = store(&typed, settings)?;
        let guard = settings.security.guard()?;
        let tls = settings.tls.clone();
        let audit = settings.security.audit_log()?;
        let options = RegistryOptions { store, guard, audit, tls, ..registry.options.clone() };
        Ok(Self { address, options, recover: typed.recover })
    }
}

/// What the registry keeps registrations in. On a free port nobody knows it again: it keeps nothing,
/// unless a folder is named.
fn store(typed: &Registry, settings: &Settings) -> Result<StoreOptions, Failure> {
    let Registry { port, data_dir: typed_dir, .. } = typed;
    let configured = &settings.registry_server;
    let wanted = typed.store.unwrap_or(configured.store);
    let data_dir = typed_dir.as_ref().or(configured.data_dir.as_ref());
    let by_port = || Some(settings.state.as_ref()?.join(format!("registry-{port}")));
    let data_dir = match (wanted, data_dir, *port) {
        (StoreKind::None | StoreKind::Etcd, ..) if typed_dir.is_some() || typed.recover => {
            let name = if wanted == StoreKind::None { "none" } else { "etcd" };
            let what = format!("with store = {name} there is no folder of it; use --store redb");
            return Err(Failure::usage(what));
        }
        (StoreKind::Etcd, ..) => return Ok(StoreOptions::Etcd(settings.etcd.clone())),
        (StoreKind::None, ..) => return Ok(StoreOptions::None),
        (StoreKind::Redb, Some(data_dir), _) => data_dir.clone(),
        (StoreKind::Redb, None, 0) if typed.store.is_some() || typed.recover => {
            let what = "with port 0 the store has no folder of its own; name one with --data-dir";
            return Err(Failure::usage(what));
        }
        (StoreKind::Redb, None, 0) => return Ok(StoreOptions::None),
        (StoreKind::Redb, None, _) => by_port().ok_or_else(|| {
            let what = "there is no folder to keep registrations in: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME is set; name one with --data-dir, or use --store none";
            Failure::usage(what)
        })?,
    };
    Ok(StoreOptions::Redb { data_dir })
}

fn listen_address(
    typed: Option<&String>,
    configured: &str,
    port: u16,
) -> Result<SocketAddr, Failure> {
    let host = typed.map_or(configured, String::as_str);
    resolve_listen(host, port).map_err(|error| {
        Failure::usage(format!("cannot listen on {host:?}: {error}; check -l and [server] listen"))
    })
}

/// The client's options, with the flags over the settings.
pub(super) fn client(settings: &Settings, typed: &Asking) -> ClientOptions {
    let timeout = typed.timeout.map_or(settings.client.timeout, |time| time.0);
    ClientOptions { timeout, service: service(settings, typed), ..settings.client.clone() }
}

/// The service whose instances are meant; `None`: any. The flag may be empty, which overrides the setting.
pub(super) fn service(settings: &Settings, typed: &Asking) -> Option<String> {
    match &typed.service {
        Some(service) => Some(service.clone()).filter(|service| !service.is_empty()),
        None => settings.client.service.clone(),
    }
}

pub(super) fn registry_client(
    settings: &Settings,
    timeout: Option<CallTime>,
) -> RegistryClientOptions {
    let timeout = timeout.map_or(settings.client.timeout, |time| time.0);
    let options = RegistryClientOptions { connect_timeout: timeout, ..settings.client.registry() };
    options.within(timeout)
}
