//! Clients of single instances, and how each is listed: by that TLS verifies it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpc_client::{Client, ClientOptions, ListedAs};
use rpc_wire::instance::{Instance, InstanceKey};

/// How the registry lists the instances; clones share it. By default there is no registry: the person at the
/// console has named the one server.
#[derive(Clone, Default)]
pub(super) struct Directory {
    listed: Option<Arc<Mutex<HashMap<InstanceKey, ListedAs>>>>,
}

impl Directory {
    /// That of a registry, which has listed nobody yet.
    pub(super) fn of_registry() -> Self {
        Self { listed: Some(Arc::default()) }
    }

    /// Whether there is no registry.
    pub(super) fn is_direct(&self) -> bool {
        self.listed.is_none()
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
        Client::direct(key.to_string(), options)
            .inspect_err(|error| tracing::warn!(instance = %key, %error, "not monitored"))
            .ok()
    }

    fn lock(&self) -> Option<MutexGuard<'_, HashMap<InstanceKey, ListedAs>>> {
        let listed = self.listed.as_ref()?;
        Some(listed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
