//! Places for calls in flight.

use std::net::IpAddr;
use std::sync::Arc;

use rpc_host::shares::{Full, Peer, Place, Share, Shares};
use rpc_wire::fault::Fault;

use super::counted;
use crate::Limits;

/// The places of all calls.
#[derive(Debug)]
pub(crate) struct CallPlaces {
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

impl CallPlaces {
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

/// Each is an error, the reply, if there is no place.
impl PlacesOfPeer {
    pub(crate) fn call(&self) -> Result<Place, Fault> {
        take(&self.calls, "call", "max_calls")
    }

    /// Beside the place for the call.
    pub(crate) fn stream(&self) -> Result<Place, Fault> {
        take(&self.streams, "stream", "max_streams")
    }

    /// For a stream of the log, which needs no other place.
    pub(crate) fn log_stream(&self) -> Result<Place, Fault> {
        take(&self.log_streams, "log stream", "max_log_streams")
    }
}

fn take(places: &Peer, what: &str, option: &str) -> Result<Place, Fault> {
    places.take().map_err(|full| {
        let (limit, text) = match full {
            Full::Whole(most) => (option.to_owned(), format!(
                "busy: limit of {} in flight ({option}); call another instance",
                counted(most, what)
            )),
            Full::Share(most) => (format!("{option}_per_peer"), format!(
                "busy: limit of {} in flight from one address ({option}_per_peer); wait, or call \
                 another instance",
                counted(most, what)
            )),
        };
        Fault::over_limit(&limit, text)
    })
}
