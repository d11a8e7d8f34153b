//! The reply to a registration: its body and its headers.

use std::time::Duration;

use reqwest::header::HeaderMap;
use rpc_wire::instance::{Instance, OverrideState};
use rpc_wire::paths::{OVERRIDE_HEADER, TTL_HEADER};

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
    /// How long the registry keeps an instance without a heartbeat. `None`: it is an older one, which does not
    /// say.
    pub ttl: Option<Duration>,
}

impl RegistryClient {
    pub(super) async fn registered(
        &self,
        response: reqwest::Response,
    ) -> Result<Registered, RegistryClientError> {
        let headers = response.headers();
        let (overridden, ttl) = (overridden(headers), ttl(headers));
        Ok(Registered { instance: self.instance(response).await?, overridden, ttl })
    }
}

/// The override that the headers say. A state of a later version is one that takes no calls, too.
fn overridden(headers: &HeaderMap) -> Option<OverrideState> {
    let given = headers.get(OVERRIDE_HEADER)?.to_str().ok();
    Some(given.and_then(OverrideState::from_name).unwrap_or(OverrideState::Draining))
}

/// The TTL that the headers say, if it is one.
fn ttl(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(TTL_HEADER)?.to_str().ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn only_what_is_a_time_is_a_ttl() {
        let read = |text: &'static str| {
            ttl(&HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static(TTL_HEADER),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(read("10"), Some(Duration::from_secs(10)));
        assert_eq!(read("0.25"), Some(Duration::from_millis(250)));
        for bad in ["", "-1", "NaN", "1e300", "10s"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(ttl(&HeaderMap::new()), None);
    }
}
