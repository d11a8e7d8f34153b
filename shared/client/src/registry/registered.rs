//! What a registry replies to a registration, in its body and its headers.

use reqwest::header::HeaderMap;
use rpc_wire::instance::{Instance, OverrideState};
use rpc_wire::paths::OVERRIDE_HEADER;

/// The reply to a registration. An older registry says only the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The instance, with status `true` if it is listed.
    pub instance: Instance,
    /// The operator's override of it: it is to take no new calls. `None`: there is none.
    pub overridden: Option<OverrideState>,
}

/// The override that the headers say. A state of a later version is one that takes no calls, too.
pub(super) fn overridden(headers: &HeaderMap) -> Option<OverrideState> {
    let given = headers.get(OVERRIDE_HEADER)?.to_str().ok();
    Some(given.and_then(OverrideState::from_name).unwrap_or(OverrideState::Draining))
}
