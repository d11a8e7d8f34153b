//! Clients of single instances: how each is listed, by that TLS verifies it, and what is known of the one server that
//! is opened without a registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc_client::{Client, ClientOptions, ListedAs, Target};
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
}

/// How the registry lists the instances; clones share it. By default there is no registry: the person at the
/// console has named the one server.
#[derive(Clone, Default)]
pub(super) struct Directory {
    listed: Option<Arc<Mutex<HashMap<InstanceKey, ListedAs>>>>,
    opened: Opened,
}

impl Directory {
    /// That of a registry, which has listed nobody yet.
    pub(super) fn of_registry() -> Self {
        Self { listed: Some(Arc::default()), opened: Opened::default() }
    }

    /// That of one server.
    pub(super) fn of_server(opened: Opened) -> Self {
        Self { listed: None, opened }
    }

    /// Whether there is no registry.
    pub(super) fn is_direct(&self) -> bool {
        self.listed.is_none()
    }

    /// The methods of the one server, where an OpenRPC document says them.
    pub(super) fn described(&self) -> Option<&Arc<Vec<Signature>>> {
        self.opened.described.as_ref()
    }

    /// Notes how an instance is listed.
    pub(super) fn note(&self, instance: &Instance) {
        if let Some(mut listed) = self.lock() {
            listed.insert(instance.key(), ListedAs::from(instance));
        }
    }

    /// It is not listed any more.
    pub(super) fn forget(&self, key: &InstanceKey) {
        if let Some(mut listed) = self.lock() {
            listed.remove(key);
        }
    }

    /// How it is listed: as what TLS verifies it; `None`: as the host that was named.
    pub(super) fn listed(&self, key: &InstanceKey) -> Option<ListedAs> {
        self.lock().map(|listed| listed.get(key).cloned().unwrap_or_default())
    }

    /// A client of one instance; connects when it is first used. `None`: its address is invalid, or the files for
    /// TLS cannot be used.
    pub(super) fn client(&self, key: &InstanceKey, options: &ClientOptions) -> Option<Client> {
        let options = ClientOptions { listed: self.listed(key), ..options.clone() };
        let client = match &self.opened.server {
            Some(server @ Target::JsonRpc { .. }) if key_of(server).as_ref() == Some(key) => {
                Client::new(server.clone(), options)
            }
            _ => Client::direct(key.to_string(), options),
        };
        client
            .inspect_err(
                |error| tracing::warn!(instance = %key, %error, "not monitored: it cannot be called"),
            )
            .ok()
    }

    fn lock(&self) -> Option<MutexGuard<'_, HashMap<InstanceKey, ListedAs>>> {
        let listed = self.listed.as_ref()?;
        Some(listed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The instance that a server is on the screen.
fn key_of(server: &Target) -> Option<InstanceKey> {
    server.host_and_port().map(|(host, port)| Instance::new(host, port).key())
}
