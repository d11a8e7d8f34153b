//! The reply to a registration.

use rpc_wire::instance::Instance;

use super::{RegistryClient, RegistryClientError};

/// What the registry replied to a registration or heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The instance; its status is `false` if it is not listed.
    pub instance: Instance,
}

impl RegistryClient {
    pub(super) async fn registered(
        &self,
        response: reqwest::Response,
    ) -> Result<Registered, RegistryClientError> {
        Ok(Registered { instance: self.instance(response).await? })
    }
}
