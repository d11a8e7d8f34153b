//! A place among the server's calls in flight.

use std::sync::Arc;

use rpc_host::shares::Place;

use crate::state::ServerState;

/// Counts one of the server's calls in flight until dropped.
pub(crate) struct Permit {
    state: Arc<ServerState>,
    /// The method's position; none of them for the log.
    method: usize,
    _places: (Place, Option<Place>),
}

impl Permit {
    /// For a call of the method at that position, with its place and that of its stream.
    pub(crate) fn new(
        state: &Arc<ServerState>,
        method: usize,
        place: Place,
        stream: Option<Place>,
    ) -> Self {
        if let Some(metrics) = state.metrics.method(method) {
            metrics.in_flight.inc();
        }
        Self { state: state.clone(), method, _places: (place, stream) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(metrics) = self.state.metrics.method(self.method) {
            metrics.in_flight.dec();
        }
    }
}
