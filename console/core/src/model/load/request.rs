//! The request of a load test.

use std::time::Duration;

use rpc_load::{Length, Mode, Plan};
use rpc_wire::target::Target;

use crate::model::load::RunId;
use crate::model::service::{MethodId, Service};

/// A load test to run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRequest {
    /// Identifies its progress messages.
    pub id: RunId,
    /// The service of the method, if it is known.
    pub service: Service,
    /// The method's name.
    pub method: String,
    /// The arguments, the same for every call.
    pub args: rpc_wire::call::Args,
    /// The instance to call, or the registry that lists them.
    pub target: Target,
    /// Timeout of each call.
    pub timeout: Duration,
    /// Open loop (rate) or closed loop (callers).
    pub mode: Mode,
    /// Connections to each instance.
    pub connections: usize,
    /// Duration, or number of calls.
    pub length: Length,
    /// Duration of calls before the measurement starts.
    pub warm_up: Duration,
}

impl LoadRequest {
    /// The method.
    pub fn method_id(&self) -> MethodId {
        MethodId::new(&self.service, self.method.clone())
    }

    /// The plan for the load engine.
    pub fn plan(&self) -> Plan {
        Plan {
            method: self.method.clone(),
            args: self.args.clone(),
            on: None,
            mode: self.mode,
            connections: self.connections,
            threads: None,
            length: self.length,
            warm_up: self.warm_up,
            timeout: Some(self.timeout),
            idempotent: false,
            snapshots_per_second: 4,
        }
    }
}
