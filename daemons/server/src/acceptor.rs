//! Accepts connections, within the limit of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use rpc_host::net::{Accepted, Listener, Room, SURPLUS_TIME};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection;
use crate::state::ServerState;

const NO_FILE_LEFT: &str =
    "the server has no open file left for this connection; try again later, or on another instance";

/// The listening socket, and the connections accepted from it.
pub(crate) struct Acceptor {
    state: Arc<ServerState>,
    listener: Listener,
    max_connections: usize,
    connections: TaskTracker,
}

impl Acceptor {
    pub(crate) fn new(state: Arc<ServerState>, listener: Listener) -> Self {
        let Room { connections: max_connections, .. } =
            Room::for_connections(state.limits.max_connections);
        Self { state, listener, max_connections, connections: TaskTracker::new() }
    }

    /// Accepts connections until the listening socket fails.
    pub(crate) async fn accept(&mut self) -> io::Error {
        loop {
            match self.listener.accept().await {
                Ok(Accepted::Connection(stream, peer)) => self.admit(stream, peer),
                Ok(Accepted::Surplus(stream, _)) => {
                    self.state.metrics.connections_refused.inc();
                    let refusal = connection::refuse(stream, NO_FILE_LEFT);
                    // The peer is slow: its file is needed for the next one.
                    let _ = timeout(SURPLUS_TIME, refusal).await;
                }
                Err(error) => return error,
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let metrics = &self.state.metrics;
        if self.connections.len() >= self.max_connections {
            metrics.connections_refused.inc();
            tracing::debug!(%peer, "connection refused: max_connections reached");
            return;
        }
        metrics.connections_accepted.inc();
        self.connections
            .spawn(connection::serve(self.state.clone(), stream, peer).in_current_span());
    }

    /// Accepts the connections in the backlog, so that they get a refusal, and closes.
    pub(crate) fn close(mut self) -> TaskTracker {
        while let Some(Ok(accepted)) = self.listener.accept().now_or_never() {
            if let Accepted::Connection(stream, peer) = accepted {
                self.admit(stream, peer);
            }
        }
        self.connections.close();
        self.connections
    }
}
