//! Changes of the table.

use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};

use super::{Gone, State};

/// A change of the table, to be reported as events and effects.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An instance was added, or is back.
    Added(Box<Instance>),
    /// A new incarnation of an instance that was not gone.
    Restarted(Box<Instance>),
    /// An instance shows another contract, or belongs to another service.
    Redeployed(Box<Instance>),
    /// An instance is gone: why, and when its last heartbeat was.
    Removed(InstanceKey, Gone, String),
    /// Its heartbeat is late: the age of the last one.
    Late(InstanceKey, Duration),
    /// Its heartbeat is no longer late.
    Recovered(InstanceKey),
    /// The registry reports another state.
    StateChanged(InstanceKey, State),
}
