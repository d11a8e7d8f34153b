//! Settings become the options of the daemons and of the client.

use std::net::SocketAddr;

use rpc_client::registry::RegistryOptions as RegistryClientOptions;
use rpc_client::{Balance, ClientOptions, RetryOptions};
use rpc_host::config::{self, Advertised, Config};
use rpc_host::net::resolve_listen;
use rpc_registry::RegistryOptions;
use rpc_server::Limits;

use super::target;
use crate::cli::{CallTime, Registry, Serve};
use crate::failure::Failure;

/// What `rpcd serve` is to do.
#[derive(Debug)]
pub struct ServePlan {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it allows.
    pub limits: Limits,
    /// Web origins that may send HTTP requests.
    pub allowed_origins: Vec<String>,
    /// With whom it registers; `None`: with nobody.
    pub announce: Option<AnnouncePlan>,
}

/// How a server registers.
#[derive(Debug)]
pub struct AnnouncePlan {
    /// The registry.
    pub url: String,
    /// The address to register; `None`: the one that routes to the registry.
    pub advertise: Option<Advertised>,
    /// Between heartbeats.
    pub heartbeat: std::time::Duration,
}

/// What `rpcd registry` is to do.
#[derive(Debug)]
pub struct ServeRegistryPlan {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it allows.
    pub options: RegistryOptions,
}

impl ServePlan {
    pub(super) fn new(typed: Serve, config: &Config) -> Result<Self, Failure> {
        let settings = &config.server;
        let limits = Limits {
            max_request_bytes: settings.max_request,
            max_nesting: settings.max_nesting,
            request_timeout: settings.incomplete_request,
            max_calls_per_connection: settings.max_calls_per_connection,
            max_calls: settings.max_calls,
            max_unwritten_bytes: settings.max_unwritten,
            max_connections: settings.max_connections,
            idle_timeout: settings.idle,
            default_deadline: settings.default_deadline,
            drain_timeout: settings.drain,
            unregister_timeout: settings.unregister,
            backlog: settings.backlog,
        };
        let advertise = typed.advertise.or_else(|| settings.advertise.clone());
        let url = match &typed.registry {
            Some(url) => target::registry_url(url)?,
            None => config.registry.url(),
        };
        // Who names a registry wants it, whatever the file says.
        let wanted = !typed.no_registry && (settings.announce || typed.registry.is_some());
        let announce =
            wanted.then_some(AnnouncePlan { url, advertise, heartbeat: settings.heartbeat });
        Ok(Self {
            address: listen_address(typed.listen.as_ref(), &settings.listen, typed.port)?,
            limits,
            allowed_origins: settings.allowed_origins.clone(),
            announce,
        })
    }
}

impl ServeRegistryPlan {
    pub(super) fn new(typed: Registry, config: &Config) -> Result<Self, Failure> {
        let settings = &config.registry_server;
        let options = RegistryOptions {
            ttl: settings.ttl,
            check_interval: settings.check_interval,
            max_instances: settings.max_instances,
            max_instances_per_peer: settings.max_instances_per_peer,
            max_body_bytes: settings.max_body,
            max_host_bytes: settings.max_host,
            max_parameters_bytes: settings.max_parameters,
            max_connections: settings.max_connections,
            backlog: settings.backlog,
            max_watchers: settings.max_watchers,
            keep_alive: settings.keep_alive,
            max_history: settings.history,
            header_timeout: settings.header_timeout,
            body_timeout: settings.body_timeout,
            write_timeout: settings.write_timeout,
            max_wait: settings.max_wait,
            rejoin_window: settings.rejoin_window,
            max_rejoins: settings.max_rejoins,
            probe_timeout: settings.probe_timeout,
            max_probes: settings.max_probes,
            drain_timeout: settings.drain,
            allowed_origins: settings.allowed_origins.clone(),
            log_ring: None,
        };
        let address = listen_address(typed.listen.as_ref(), &settings.listen, typed.port)?;
        Ok(Self { address, options })
    }
}

fn listen_address(
    typed: Option<&String>,
    configured: &str,
    port: u16,
) -> Result<SocketAddr, Failure> {
    let host = typed.map_or(configured, String::as_str);
    resolve_listen(host, port).map_err(|error| {
        Failure::usage(format!("{host:?} is no address to listen at: {error}; see -l"))
    })
}

/// The client's options; `timeout` is the flag's.
pub(super) fn client(config: &Config, timeout: Option<CallTime>) -> ClientOptions {
    let settings = &config.client;
    ClientOptions {
        timeout: timeout.map_or(settings.timeout, |time| time.0),
        connect_timeout: settings.connect_timeout,
        failover_after: settings.patience,
        tcp_user_timeout: settings.lost_after,
        balance: balance(settings.balance),
        refresh_interval: settings.refresh,
        registry_timeout: settings.registry_timeout,
        max_reply_bytes: settings.max_reply,
        max_list_bytes: settings.max_list,
        max_event_bytes: settings.max_sse_line,
        max_classic_connections: settings.classic_connections,
        max_classic_queue: settings.classic_queue,
        classic_idle_timeout: settings.classic_idle,
        dialect_ttl: settings.dialect_memory,
        idle_timeout: settings.idle,
        max_in_flight: settings.max_in_flight,
        max_unlisted_peers: settings.max_other_peers,
        max_probes: settings.concurrent_probes,
        retry: RetryOptions {
            attempts: settings.retry_attempts,
            ratio: settings.retry_ratio,
            burst: settings.retry_burst,
        },
    }
}

pub(super) fn registry_client(config: &Config, timeout: Option<CallTime>) -> RegistryClientOptions {
    let timeout = timeout.map_or(config.client.timeout, |time| time.0);
    RegistryClientOptions {
        timeout,
        connect_timeout: timeout,
        max_list_bytes: config.client.max_list,
        max_event_bytes: config.client.max_sse_line,
        ..RegistryClientOptions::default()
    }
}

pub(super) fn balance(named: config::Balance) -> Balance {
    match named {
        config::Balance::Random => Balance::Random,
        config::Balance::RoundRobin => Balance::RoundRobin,
        config::Balance::WeightedRandom => Balance::WeightedRandom,
        config::Balance::LeastInFlight => Balance::LeastInFlight,
    }
}
