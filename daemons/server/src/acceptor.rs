//! Accepts connections, within the limit of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rpc_host::net;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::connection;
use crate::state::ServerState;

/// Pause after an accept that failed for lack of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Minimum interval between log lines about such failures.
const ACCEPT_LOG: Duration = Duration::from_secs(5);

/// The listening socket, and the connections accepted from it.
pub(crate) struct Acceptor {
    state: Arc<ServerState>,
    listener: TcpListener,
    connections: TaskTracker,
}

impl Acceptor {
    pub(crate) fn new(state: Arc<ServerState>, listener: TcpListener) -> Self {
        Self { state, listener, connections: TaskTracker::new() }
    }

    /// Accepts connections until the listening socket fails.
    pub(crate) async fn accept(&self) -> io::Error {
        let mut logged: Option<Instant> = None;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) if net::is_listener_gone(&error) => return error,
                Err(error) => {
                    if logged.is_none_or(|at| at.elapsed() > ACCEPT_LOG) {
                        tracing::warn!(%error, "cannot accept a connection");
                        logged = Some(Instant::now());
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
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
        net::set_up(&stream);
        self.connections
            .spawn(connection::serve(self.state.clone(), stream, peer).in_current_span());
    }

    /// Accepts the connections in the backlog, so that they get a refusal, and closes.
    pub(crate) fn close(self) -> TaskTracker {
        while let Some(Ok((stream, peer))) = self.listener.accept().now_or_never() {
            self.admit(stream, peer);
        }
        self.connections.close();
        self.connections
    }
}
