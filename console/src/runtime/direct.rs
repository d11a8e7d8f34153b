//! Clients of single instances, and what is known of the one server that is opened without a registry.

use std::sync::Arc;

use rpc_client::{Client, ClientOptions, Target};
use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::signature::Signature;

/// The server of the command line, where more than its address is known.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// The server; `None`: a registry is opened.
    pub server: Option<Target>,
    /// Its methods, where an OpenRPC document says them.
    pub described: Option<Arc<Vec<Signature>>>,
}

impl Opened {
    /// The same while another target is watched, if it is another one.
    pub(super) fn while_at(&self, target: &Target) -> Self {
        match self.server.as_ref() == Some(target) {
            true => self.clone(),
            false => Self { server: Some(target.clone()), described: None },
        }
    }

    /// A client of one instance; connects when it is first used. `None`: its address is invalid.
    pub(super) fn client_of(&self, key: &InstanceKey, options: &ClientOptions) -> Option<Client> {
        let client = match &self.server {
            Some(server @ Target::JsonRpc { .. }) if key_of(server).as_ref() == Some(key) => {
                Client::new(server.clone(), options.clone())
            }
            _ => Client::direct(key.to_string(), options.clone()),
        };
        client
            .inspect_err(
                |error| tracing::warn!(instance = %key, %error, "not monitored: it cannot be called"),
            )
            .ok()
    }
}

/// The instance that a server is on the screen.
fn key_of(server: &Target) -> Option<InstanceKey> {
    server.host_and_port().map(|(host, port)| Instance::new(host, port).key())
}
