//! A load test to be made.

use std::time::Duration;

use rpc_load::{Length, Mode, Plan};
use rpc_wire::target::Target;

use crate::model::load::RunId;

/// A load test to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRequest {
    /// Under which the news come back.
    pub id: RunId,
    /// The method's name.
    pub method: String,
    /// The arguments, the same for every call.
    pub args: rpc_wire::call::Args,
    /// Whom to call.
    pub target: Target,
    /// How long each call may take.
    pub timeout: Duration,
    /// When calls begin.
    pub mode: Mode,
    /// Connections to each server.
    pub connections: usize,
    /// When it ends.
    pub length: Length,
    /// How long calls are made before they are measured.
    pub warm_up: Duration,
}

impl LoadRequest {
    /// The same in the words of the engine.
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
            snapshots_per_second: 4,
        }
    }
}
