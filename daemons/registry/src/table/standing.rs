//! One override: as it is kept on disk, and while it stands.

use std::time::{Duration, Instant, SystemTime};

use rpc_wire::instance::{OverrideRecord, OverrideState};
use serde::{Deserialize, Serialize};

use super::wall::millis;

/// An operator's decision about an instance: plain data, as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Override {
    pub(crate) state: OverrideState,
    pub(crate) reason: Option<String>,
    pub(crate) by: Option<String>,
    /// When it ends, in milliseconds since 1970; `None`: when it is taken back. Wall time, since it has to
    /// last over restarts; while the process runs its monotonic clock counts.
    pub(crate) until_ms: Option<u64>,
}

impl Override {
    /// One that ends after some time from `wall` on.
    pub(crate) fn lasting(mut self, time: Option<Duration>, wall: SystemTime) -> Self {
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let until = time.and_then(|time| since_1970(wall.checked_add(time)?));
        self.until_ms = until.and_then(|until| u64::try_from(until.as_millis()).ok());
        self
    }
}

/// An override that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) what: Override,
    /// When it ends, if by itself.
    pub(crate) ends: Option<Instant>,
}

impl Standing {
    /// An override while the wall clock shows `wall`, and the monotonic one `now`.
    pub(crate) fn new(what: Override, now: Instant, wall: SystemTime) -> Self {
        let until = what.until_ms.map(Duration::from_millis);
        let until = until.and_then(|until| SystemTime::UNIX_EPOCH.checked_add(until));
        let left = until.map(|until| until.duration_since(wall).unwrap_or_default());
        Self { what, ends: left.and_then(|left| now.checked_add(left)) }
    }

    /// It as people see it at `now`.
    pub(super) fn record(&self, now: Instant) -> OverrideRecord {
        let Override { state, reason, by, .. } = self.what.clone();
        OverrideRecord { state, reason, by, for_ms: self.ends.map(|ends| millis(ends, now)) }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }
}
