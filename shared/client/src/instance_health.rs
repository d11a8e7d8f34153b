//! Whether an instance gets calls, and why not, for people and programs that show it.

use std::time::Duration;

/// What a client knows of the health of an instance, see
/// [`EjectionOptions`](crate::EjectionOptions).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InstanceHealth {
    /// Whether it gets calls.
    pub state: InstanceState,
    /// Why it is not simply up, in words.
    pub reason: Option<String>,
    /// How long it has been in this state; zero for one that was never in another.
    pub since: Duration,
    /// How much longer: until it is probed, or until its slow start is over. `None` if that depends on a reply.
    pub left: Option<Duration>,
}

/// The states of an instance, in the order in which one that fails goes through them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstanceState {
    /// It gets its share of the calls.
    #[default]
    Up,
    /// It has calls in flight, and neither they nor a ping were answered: it gets no new ones.
    Suspect,
    /// It failed and gets no calls for a while.
    Ejected,
    /// It is being asked whether it takes calls again.
    Probing,
    /// It takes calls again, and gets a share that grows.
    SlowStart,
}

impl InstanceState {
    /// Whether it gets calls. Others get some as well where too many have failed: at least half of the
    /// instances that can be reached are always called, see
    /// [`EjectionOptions::max_ejected_ratio`](crate::EjectionOptions::max_ejected_ratio).
    pub fn gets_calls(self) -> bool {
        matches!(self, Self::Up | Self::SlowStart)
    }
}

impl std::fmt::Display for InstanceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::SlowStart => "slow start",
        })
    }
}
