//! The request of a call.

use std::time::Duration;

use rpc_wire::instance::InstanceKey;

use crate::model::calls::CallId;

/// A call to send.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRequest {
    /// Identifies its outcome.
    pub id: CallId,
    /// The method's name.
    pub method: String,
    /// The arguments.
    pub args: rpc_wire::call::Args,
    /// The arguments as written, with their references to variables: what a saved request keeps.
    pub written: rpc_wire::call::Args,
    /// The instances to try, in random order until one is reachable.
    pub candidates: Vec<InstanceKey>,
    /// Timeout of the whole call.
    pub timeout: Duration,
    /// Whether it is a stream.
    pub stream: bool,
}
