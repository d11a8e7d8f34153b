//! A call to be sent.

use std::time::Duration;

use rpc_wire::instance::InstanceKey;

use crate::model::calls::CallId;

/// What is to be called, where, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRequest {
    /// Under which the outcome comes back.
    pub id: CallId,
    /// The method's name.
    pub method: String,
    /// The arguments.
    pub args: rpc_wire::call::Args,
    /// Any of these instances, in random order until one can be reached.
    pub candidates: Vec<InstanceKey>,
    /// The whole call must be done by then.
    pub timeout: Duration,
    /// A stream is wanted.
    pub stream: bool,
}
