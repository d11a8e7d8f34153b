//! Accepts connections, within the limit of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use rpc_host::net::Listener;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection;
use crate::state::ServerState;

/// The listening socket, and the connections accepted from it.
pub(crate) struct Acceptor {
    state: Arc<ServerState>,
    listener: Listener,
    connections: TaskTracker,
}

impl Acceptor {
    pub(crate) fn new(state: Arc<ServerState>, listener: Listener) -> Self {
        Self { state, listener, connections: TaskTracker::new() }
    }

    /// Accepts connections until the listening socket fails.
    pub(crate) async fn accept(&mut self) -> io::Error {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => return error,
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let metrics = &self.state.metrics;
        if self.connections.len() >= self.state.limits.max_connections {
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
        while let Some(Ok((stream, peer))) = self.listener.accept().now_or_never() {
            self.admit(stream, peer);
        }
        self.connections.close();
        self.connections
    }
}
