//! Clients of single instances.

use rpc_client::{Client, ClientOptions};
use rpc_wire::instance::InstanceKey;

/// A client of one instance; connects when it is first used. `None`: its address is invalid.
pub(super) fn client_of(key: &InstanceKey, options: &ClientOptions) -> Option<Client> {
    Client::direct(key.to_string(), options.clone())
        .inspect_err(
            |error| tracing::warn!(instance = %key, %error, "not monitored: invalid address"),
        )
        .ok()
}
