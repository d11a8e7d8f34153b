//! Places among the server's calls in flight.

use std::net::IpAddr;
use std::sync::Arc;

use rpc_host::shares::{Full, Peer, Place, Share, Shares};
use rpc_wire::fault::{Code, Fault};

use crate::Limits;
use crate::state::ServerState;

/// The places of all calls.
#[derive(Debug)]
pub(crate) struct Places {
    calls: Arc<Shares>,
    streams: Arc<Shares>,
    log_streams: Arc<Shares>,
}

/// What one peer may take of them.
#[derive(Debug)]
pub(crate) struct PlacesOfPeer {
    calls: Peer,
    streams: Peer,
    log_streams: Peer,
}

/// Counts one of the server's calls in flight until dropped.
pub(crate) struct Permit {
    state: Arc<ServerState>,
    /// The method's position; none for the log.
    method: usize,
    _place: Place,
    _stream: Option<Place>,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Self {
        let of_logs = match limits.max_streams_per_peer {
            Share::Whole => Share::Whole,
            _ => Share::AtMost((limits.max_log_streams / 4).max(1)),
        };
        Self {
            calls: Shares::new(limits.max_calls, limits.max_calls_per_peer),
            streams: Shares::new(limits.max_streams, limits.max_streams_per_peer),
            log_streams: Shares::new(limits.max_log_streams, of_logs),
        }
    }

    pub(crate) fn of(&self, peer: IpAddr) -> PlacesOfPeer {
        PlacesOfPeer {
            calls: self.calls.peer(peer),
            streams: self.streams.peer(peer),
            log_streams: self.log_streams.peer(peer),
        }
    }

    /// Calls in flight.
    pub(crate) fn taken(&self) -> usize {
        self.calls.taken()
    }
}

impl PlacesOfPeer {
    /// A place for a call of the method at that position, a stream or not.
    ///
    /// # Errors
    /// There is none: the reply.
    pub(crate) fn permit(
        &self,
        state: &Arc<ServerState>,
        method: usize,
        is_stream: bool,
    ) -> Result<Permit, Fault> {
        let call = take(&self.calls, "call", "max_calls")?;
        let stream = match is_stream {
            true => Some(take(&self.streams, "stream", "max_streams")?),
            false => None,
        };
        if let Some(metrics) = state.metrics.method(method) {
            metrics.in_flight.up();
        }
        Ok(Permit { state: state.clone(), method, _place: call, _stream: stream })
    }

    /// A place for a stream of the log.
    ///
    /// # Errors
    /// There is none: the reply.
    pub(crate) fn log_stream(&self, state: &Arc<ServerState>) -> Result<Permit, Fault> {
        let place = take(&self.log_streams, "log stream", "max_log_streams")?;
        Ok(Permit { state: state.clone(), method: usize::MAX, _place: place, _stream: None })
    }
}

fn take(places: &Peer, what: &str, option: &str) -> Result<Place, Fault> {
    places.take().map_err(|full| {
        let text = match full {
            Full::Whole(most) => format!(
                "busy: limit of {} in flight ({option}); call another instance",
                counted(most, what)
            ),
            Full::Share(most) => format!(
                "busy: limit of {} in flight from one address ({option}_per_peer); wait, or call \
                 another instance",
                counted(most, what)
            ),
        };
        Fault::new(Code::Overloaded, text)
    })
}

pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(metrics) = self.state.metrics.method(self.method) {
            metrics.in_flight.down();
        }
    }
}
