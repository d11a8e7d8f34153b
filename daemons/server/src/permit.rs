//! A place among the server's calls in flight.

use std::sync::Arc;

use crate::state::ServerState;

/// Counts one of the server's calls in flight until dropped.
pub(crate) struct Permit {
    state: Arc<ServerState>,
    method: usize,
}

impl Permit {
    /// `None` if the server has reached its limit.
    pub(crate) fn acquire(state: &Arc<ServerState>, method: usize) -> Option<Self> {
        if !state.metrics.in_flight.up_to(state.limits.max_calls) {
            return None;
        }
        if let Some(metrics) = state.metrics.method(method) {
            metrics.in_flight.up();
        }
        Some(Self { state: state.clone(), method })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.state.metrics.in_flight.down();
        if let Some(metrics) = self.state.metrics.method(self.method) {
            metrics.in_flight.down();
        }
    }
}
