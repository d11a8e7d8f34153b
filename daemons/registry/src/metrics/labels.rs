//! Labels of the registry's counters, and their values.

use rpc_metrics::Label;
use rpc_wire::instance::ExpiryReason;

use crate::table::Outcome;

/// Why the registry removed an instance that did not unregister.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eviction {
    /// Its TTL passed, and it could not be probed.
    Ttl,
    /// It refused the connection of a probe.
    Refused,
    /// It gave no reply to a probe.
    NoReply,
    /// It was suspect for too long.
    SuspectWindow,
}

impl From<Option<ExpiryReason>> for Eviction {
    fn from(reason: Option<ExpiryReason>) -> Self {
        match reason {
            Some(ExpiryReason::Refused) => Self::Refused,
            Some(ExpiryReason::NoReply) => Self::NoReply,
            Some(ExpiryReason::SuspectWindow) => Self::SuspectWindow,
            Some(ExpiryReason::Other) | None => Self::Ttl,
        }
    }
}

impl Label for Eviction {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = &[Self::Ttl, Self::Refused, Self::NoReply, Self::SuspectWindow];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Refused => "refused",
            Self::NoReply => "no_reply",
            Self::SuspectWindow => "suspect_window",
        }
    }
}

/// The outcome of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probed {
    Alive,
    Refused,
    NoReply,
    /// The probe says nothing about the instance.
    Unknown,
}

impl From<Outcome> for Probed {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Alive => Self::Alive,
            Outcome::Refused => Self::Refused,
            Outcome::NoReply => Self::NoReply,
            Outcome::Itself | Outcome::Unknown => Self::Unknown,
        }
    }
}

impl Label for Probed {
    const NAME: &'static str = "outcome";
    const ALL: &'static [Self] = &[Self::Alive, Self::Refused, Self::NoReply, Self::Unknown];

    fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Refused => "refused",
            Self::NoReply => "no_reply",
            Self::Unknown => "unknown",
        }
    }
}
