//! What `rpcd mcp` does.

use std::net::SocketAddr;

use rpc_client::{ClientOptions, Target};
use rpc_gateway::{Exposure, GatewayOptions, HttpOptions};
use rpc_host::net::resolve_listen;
use rpc_settings::Settings;

use super::{Described, options, target};
use crate::cli::{Asking, Mcp};
use crate::failure::Failure;

/// Methods as tools for agents.
#[derive(Debug)]
pub struct McpPlan {
    /// Whose methods.
    pub target: Target,
    /// The client's options.
    pub client: ClientOptions,
    /// The gateway's.
    pub gateway: GatewayOptions,
    /// Where it listens for HTTP, and who may come; `None`: on standard input and output.
    pub http: Option<(SocketAddr, HttpOptions)>,
}

impl McpPlan {
    pub(super) fn new(typed: Mcp, settings: &Settings) -> Result<Self, Failure> {
        let Mcp { listen, allow, deny, all, prefix, timeout, described, direct, service, common } =
            typed;
        let asking = Asking { direct, service, common, ..Asking::default() };
        let defaults = GatewayOptions::default();
        let http = |(host, port): (String, u16)| {
            let address = resolve_listen(&host, port).map_err(|error| {
                Failure::usage(format!("cannot listen on {host:?}: {error}; check --listen"))
            })?;
            let http = HttpOptions {
                guard: settings.security.guard()?,
                audit: settings.security.audit_log()?,
                allowed_origins: settings.server.allowed_origins.clone(),
                allowed_hosts: settings.server.allowed_hosts.clone(),
                ..HttpOptions::default()
            };
            Ok::<_, Failure>((address, http))
        };
        let (target, client) =
            (target::of_call(&asking, settings)?, options::client(settings, &asking));
        let described = Described::read(&described, &target, &client)?;
        Ok(Self {
            http: listen.map(http).transpose()?,
            target,
            client,
            gateway: GatewayOptions {
                exposure: Exposure { all, allow, deny },
                prefix: prefix.unwrap_or_default(),
                described: described.map(|described| described.methods.into()),
                timeout: timeout.map_or(defaults.timeout, |time| time.0),
                ..defaults
            },
        })
    }
}
