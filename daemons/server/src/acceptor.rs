//! Accepts connections, within the limit of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use rpc_host::net::{Accepted, Listener, SURPLUS_TIME};
use rpc_host::shares::Full;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection;
use crate::places::connections::{ConnectionPlaces, Slot};
use crate::places::counted;
use crate::state::ServerState;

const NO_FILE_LEFT: &str =
    "the server has no open file left for this connection; try again later, or on another instance";

/// How long a connection that is refused may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// The listening socket, and the connections accepted from it.
pub(crate) struct Acceptor {
    listener: Listener,
    /// Another one accepts while the workers lag: what is accepted here would wait for them.
    has_second: bool,
    entrance: Entrance,
}

/// How long it is left to the second one.
const TURN_OF_SECOND: Duration = Duration::from_millis(10);

/// Where accepted connections come in, within the limit of them.
#[derive(Clone)]
pub(crate) struct Entrance {
    state: Arc<ServerState>,
    places: Arc<ConnectionPlaces>,
    connections: TaskTracker,
}

impl Acceptor {
    pub(crate) fn new(state: Arc<ServerState>, listener: Listener) -> Self {
        let places =
            ConnectionPlaces::new(&state.limits, &state.guard, state.kept_files.load(Relaxed));
        let connections = TaskTracker::new();
        Self { listener, has_second: false, entrance: Entrance { state, places, connections } }
    }

    /// What a second one, for the time in which the workers lag, admits connections to.
    pub(crate) fn for_second(&mut self) -> Entrance {
        self.has_second = true;
        self.entrance.clone()
    }

    /// Accepts connections until the listening socket fails.
    pub(crate) async fn accept(&mut self) -> io::Error {
        loop {
            while self.has_second && self.entrance.state.lag.is_high() {
                sleep(TURN_OF_SECOND).await;
            }
            match self.listener.accept().await {
                Ok(Accepted::Connection(stream, peer)) => self.entrance.admit(stream, peer),
                Ok(Accepted::Surplus(stream, _)) => {
                    self.entrance.state.metrics.connections_refused.inc();
                    let refusal = connection::refuse(stream, NO_FILE_LEFT);
                    // The peer is slow: its file is needed for the next one.
                    let _ = timeout(SURPLUS_TIME, refusal).await;
                }
                Err(error) => return error,
            }
        }
    }

    /// Accepts the connections in the backlog, so that they get a refusal, and closes.
    pub(crate) fn close(mut self) -> TaskTracker {
        while let Some(Ok(accepted)) = self.listener.accept().now_or_never() {
            if let Accepted::Connection(stream, peer) = accepted {
                self.entrance.admit(stream, peer);
            }
        }
        self.entrance.connections.close();
        self.entrance.connections
    }
}

impl Entrance {
    pub(crate) fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// The tasks of all connections.
    pub(crate) fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// Serves the connection, on the worker this is called on.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        match self.slot(peer) {
            Ok(slot) => {
                let first = BytesMut::new();
                let served = connection::serve(self.state.clone(), stream, peer, first, slot);
                self.connections.spawn(served.in_current_span());
            }
            Err(full) => self.refuse(stream, peer, full),
        }
    }

    /// A place for a connection of this peer.
    pub(crate) fn slot(&self, peer: SocketAddr) -> Result<Slot, Full> {
        let metrics = &self.state.metrics;
        // A token of its own: waiting on the server's would make all connections share its lock.
        let closing = self.state.draining.child_token();
        let slot = self.places.take(peer.ip(), closing);
        match &slot {
            Ok(_) => metrics.connections_accepted.inc(),
            Err(_) => metrics.connections_refused.inc(),
        }
        slot
    }

    /// Says why, unless so many are being refused that closing unread is all there is time for.
    pub(crate) fn refuse(&self, stream: TcpStream, peer: SocketAddr, full: Full) {
        let Some(place) = self.places.take_refusal(peer.ip()) else { return };
        let why = match full {
            Full::Whole(most) => format!(
                "busy: limit of {} open (max_connections); call another instance",
                counted(most, "connection")
            ),
            Full::Share(most) => format!(
                "busy: limit of {} open from one address (max_connections_per_peer); close some, or \
                 call another instance",
                counted(most, "connection")
            ),
        };
        tracing::debug!(%peer, why, "connection refused");
        self.connections.spawn(async move {
            // The peer has gone, or is slow: either way this was the last it is given.
            let _ = timeout(REFUSAL_TIME, connection::refuse(stream, &why)).await;
            drop(place);
        });
    }
}
