//! An operator's override of an instance's state: it takes no new calls while one stands.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{InstanceKey, InstanceState};

/// What an operator can set. Written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverrideState {
    /// It finishes the calls in flight, and takes no new ones.
    Draining,
    /// The same, and says that work is being done on it.
    Maintenance,
}

impl OverrideState {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Maintenance => "maintenance",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Draining, Self::Maintenance].into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for OverrideState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<OverrideState> for InstanceState {
    fn from(state: OverrideState) -> Self {
        match state {
            OverrideState::Draining => Self::Draining,
            OverrideState::Maintenance => Self::Maintenance,
        }
    }
}

/// The longest reason of an override, in bytes; a longer one is refused with 400.
pub const MAX_REASON_BYTES: usize = 256;
/// The longest name of who set an override, in bytes; a longer one is refused with 400.
pub const MAX_BY_BYTES: usize = 128;

/// The body of `PUT` to [`OVERRIDES`](crate::paths::OVERRIDES). Other keys are refused: a misspelt
/// `for` would drain without end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// What to set.
    pub state: OverrideState,
    /// Why, for people: at most [`MAX_REASON_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long: a time like `10m` or `1h 30m`; `None`: until it is taken back.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Who sets it: at most [`MAX_BY_BYTES`]; `None`: the address that the request comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// An override that stands, as people see it: `override` of an
/// [`InstanceRecord`](super::InstanceRecord).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideRecord {
    /// What was set.
    pub state: OverrideState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Milliseconds left; `None`: until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

/// One entry of [`OVERRIDES`](crate::paths::OVERRIDES): an override, and of which instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverrideEntry {
    /// The instance.
    #[serde(flatten)]
    pub key: InstanceKey,
    /// The override; its keys are in the same object.
    #[serde(flatten)]
    pub overridden: OverrideRecord,
    /// Whether the instance is registered; an override waits for one that is not.
    pub listed: bool,
    /// Of a change that is acknowledged: whether it is in the registry's store, or would be lost with its
    /// process. Absent means `true`.
    #[serde(default = "super::yes", skip_serializing_if = "super::is_yes")]
    pub durable: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::instance::Instance;

    #[test]
    fn a_request_is_refused_for_a_key_that_would_be_ignored() {
        let read = |body| serde_json::from_value::<OverrideRequest>(body);
        let full = json!({"state": "maintenance", "reason": "r", "for": "10m", "by": "b"});
        let request = read(full.clone()).unwrap();
        assert_eq!(json!(request), full);
        assert_eq!(read(json!({"state": "draining"})).unwrap().duration, None);
        for bad in [json!({"state": "draining", "fro": "10m"}), json!({"state": "up"}), json!({})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_entry_is_one_flat_object_that_reads_back() {
        let entry = OverrideEntry {
            key: Instance::new("::1", 80).key(),
            overridden: OverrideRecord {
                state: OverrideState::Draining,
                reason: None,
                by: Some("me".to_owned()),
                for_ms: Some(5),
            },
            listed: true,
            durable: true,
        };
        let json = json!(entry);
        let expected = json!({"protocol": "json", "host": "::1", "port": 80, "state": "draining",
            "by": "me", "for_ms": 5, "listed": true});
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<OverrideEntry>(json).unwrap(), entry);
        let lost = OverrideEntry { durable: false, ..entry };
        assert_eq!(json!(lost)["durable"], false);
    }
}
