//! The reply to a registration: its body and its headers.

use reqwest::header::HeaderMap;
use rpc_wire::instance::{Instance, OverrideState};
use rpc_wire::paths::OVERRIDE_HEADER;

use super::{RegistryClient, RegistryClientError};

/// What the registry replied to a registration or heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The instance; its status is `false` if it is not listed.
    pub instance: Instance,
    /// The operator's override of it: it is to take no new calls. `None`: there is none, or the registry is
    /// an older one.
    pub overridden: Option<OverrideState>,
}

impl RegistryClient {
    pub(super) async fn registered(
        &self,
        response: reqwest::Response,
    ) -> Result<Registered, RegistryClientError> {
        let overridden = overridden(response.headers());
        Ok(Registered { instance: self.instance(response).await?, overridden })
    }
}

/// The override that the headers say. A state of a later version is one that takes no calls, too.
fn overridden(headers: &HeaderMap) -> Option<OverrideState> {
    let given = headers.get(OVERRIDE_HEADER)?.to_str().ok();
    Some(given.and_then(OverrideState::from_name).unwrap_or(OverrideState::Draining))
}
