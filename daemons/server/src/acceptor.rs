//! Accepts connections, within the limit of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use rpc_host::net::{Accepted, Listener, Room, SURPLUS_TIME};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection;
use crate::control::{First, first_look};
use crate::state::ServerState;

const NO_FILE_LEFT: &str =
    "the server has no open file left for this connection; try again later, or on another instance";
/// Connections that are looked at before they get to the workers; further ones go there unseen.
const MAX_EARLY: usize = 64;

/// The listening socket, and the connections accepted from it.
pub(crate) struct Acceptor {
    listener: Listener,
    entrance: Entrance,
}

/// Where accepted connections come in, within the limit of them.
#[derive(Clone)]
pub(crate) struct Entrance {
    state: Arc<ServerState>,
    max_connections: usize,
    connections: TaskTracker,
    early: Arc<Semaphore>,
}

impl Acceptor {
    pub(crate) fn new(state: Arc<ServerState>, listener: Listener) -> Self {
        let Room { connections: max_connections, .. } =
            Room::for_connections(state.limits.max_connections);
        let early = Arc::new(Semaphore::new(MAX_EARLY));
        let connections = TaskTracker::new();
        Self { listener, entrance: Entrance { state, max_connections, connections, early } }
    }

    pub(crate) fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// Accepts connections until the listening socket fails.
    pub(crate) async fn accept(&mut self) -> io::Error {
        loop {
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

    /// Serves the connection, on the worker this is called on.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        if self.has_room(peer) {
            let first = BytesMut::new();
            let served = connection::serve(self.state.clone(), stream, peer, first);
            self.connections.spawn(served.in_current_span());
        }
    }

    /// Looks at the connection's first message on the thread this is called on, then lets the
    /// workers serve it.
    pub(crate) fn admit_early(&self, mut stream: TcpStream, peer: SocketAddr, workers: &Handle) {
        if !self.has_room(peer) {
            return;
        }
        let place = self.early.clone().try_acquire_owned();
        let (entrance, workers) = (self.clone(), workers.clone());
        let look = async move {
            let mut first = BytesMut::new();
            if place.is_ok() {
                match first_look(&entrance.state, &mut stream, &mut first).await {
                    First::Message => {}
                    First::Served => return,
                }
            }
            drop(place);
            // What this runtime knows of the socket stays here.
            let Ok(stream) = stream.into_std() else { return };
            let state = entrance.state.clone();
            let serve = async move {
                match TcpStream::from_std(stream) {
                    Ok(stream) => connection::serve(state, stream, peer, first).await,
                    Err(error) => tracing::debug!(%peer, %error, "connection lost"),
                }
            };
            entrance.connections.spawn_on(serve.in_current_span(), &workers);
        };
        self.connections.spawn(look.in_current_span());
    }

    fn has_room(&self, peer: SocketAddr) -> bool {
        let metrics = &self.state.metrics;
        if self.connections.len() >= self.max_connections {
            metrics.connections_refused.inc();
            tracing::debug!(%peer, "connection refused: max_connections reached");
            return false;
        }
        metrics.connections_accepted.inc();
        true
    }
}
