//! A registry on a socket: accept, limit, serve, shut down.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rpc_host::net::{Accepted, Listener, Room, SURPLUS_TIME};
use rpc_host::shares::{Full, Share, Shares};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, info};

use crate::error::Refusal;
use crate::http::{Http, refuse_connection, serve_connection};
use crate::service::Service;
use crate::{RegistryError, RegistryOptions};

/// A registry that listens. Connections wait in the backlog until [`serve`](Self::serve).
#[derive(Debug)]
pub struct Registry {
    listener: Listener,
    address: SocketAddr,
    options: RegistryOptions,
}

impl Registry {
    /// Listens on `address`; port 0 takes any free one, see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    /// An option is invalid, or the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        options.check()?;
        let failed = |source| RegistryError::Bind { address, source };
        let listener = rpc_host::net::listen(address, options.backlog).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, options })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then closes the listener, event streams and idle
    /// connections at once and everything else within [`RegistryOptions::drain_timeout`]. Dropping
    /// the future stops everything at once.
    ///
    /// Its tasks run in the span this is called in (see
    /// [`daemon_span`](rpc_host::logging::daemon_span)).
    ///
    /// # Errors
    /// The listening socket failed; the registry was shut down gracefully.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), RegistryError> {
        rpc_host::task::on_a_worker(self.serve_here(shutdown)).await
    }

    async fn serve_here(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), RegistryError> {
        let Self { mut listener, address, options } = self;
        info!(%address, ttl = ?options.ttl, check = ?options.check_interval, "listening");
        let drain = options.drain_timeout;
        let acceptor = Acceptor::open(options, address);
        let outcome = acceptor.accept(&mut listener, shutdown).await;
        if let Err(error) = &outcome {
            error!(%address, %error, "shutting down");
        }
        drop(listener);
        acceptor.close(drain).await;
        info!(%address, "stopped");
        outcome.map_err(RegistryError::Listener)
    }
}

/// The connections and timers of a serving registry. Dropping it stops them at once.
struct Acceptor {
    http: Arc<Http>,
    places: Arc<Shares>,
    /// Places for connections that get a refusal; further ones are closed unread.
    refusals: Arc<Shares>,
    tasks: TaskTracker,
    /// Cancelled first: no new requests are taken.
    ending: CancellationToken,
    /// Cancelled last: the requests in flight are dropped.
    aborted: CancellationToken,
    span: Span,
}

/// Connections from this machine beyond the limit, so that health checks work.
const PLACES_FOR_LOOPBACK: usize = 8;

impl Acceptor {
    fn open(options: RegistryOptions, address: SocketAddr) -> Self {
        let ending = CancellationToken::new();
        let room = Room::for_connections(options.max_connections);
        let places = Shares::with_places_for_loopback(
            room.connections,
            options.max_connections_per_peer,
            PLACES_FOR_LOOPBACK,
        );
        let service = Arc::new(Service::new(options, address));
        let acceptor = Self {
            http: Arc::new(Http::new(Arc::clone(&service), ending.clone())),
            places,
            refusals: Shares::new(room.refusals, Share::Quarter),
            tasks: TaskTracker::new(),
            ending,
            aborted: CancellationToken::new(),
            span: Span::current(),
        };
        let ending = acceptor.ending.clone();
        acceptor.spawn(async move {
            ending.run_until_cancelled_owned(service.run_timers()).await;
        });
        acceptor
    }

    /// Accepts connections until `shutdown` is ready or the listening socket fails.
    async fn accept(
        &self,
        listener: &mut Listener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted? {
                Accepted::Connection(stream, peer) => self.admit(stream, peer),
                Accepted::Surplus(stream, _) => {
                    self.http.service().metrics.connections_refused.inc();
                    let refusal = refuse_connection(stream, Refusal::NoFileLeft);
                    // The peer is slow: its file is needed for the next one.
                    let _ = timeout(SURPLUS_TIME, refusal).await;
                }
            }
        }
    }

    /// Serves a connection, or refuses it at a limit.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let metrics = &self.http.service().metrics;
        let place = match self.places.take(peer.ip()) {
            Ok(place) => place,
            Err(full) => {
                metrics.connections_refused.inc();
                return self.refuse(stream, peer, full);
            }
        };
        metrics.connections_accepted.inc();
        metrics.connections.inc();
        let http = Arc::clone(&self.http);
        self.spawn(async move {
            let lost = serve_connection(stream, peer, Arc::clone(&http)).await;
            http.service().metrics.connections.dec();
            drop(place);
            lost.probe(&http).await;
        });
    }

    /// Says why, unless so many are being refused that closing unread is all there is time for.
    fn refuse(&self, stream: TcpStream, peer: SocketAddr, full: Full) {
        let Ok(place) = self.refusals.take(peer.ip()) else { return };
        let refusal = match full {
            Full::Whole(all) => Refusal::TooManyConnections(all),
            Full::Share(share) => Refusal::TooManyConnectionsOfPeer(share),
        };
        self.spawn(async move {
            refuse_connection(stream, refusal).await;
            drop(place);
        });
    }

    async fn close(self, drain: Duration) {
        self.ending.cancel();
        self.tasks.close();
        if timeout(drain, self.tasks.wait()).await.is_err() {
            self.aborted.cancel();
            self.tasks.wait().await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let aborted = self.aborted.clone();
        let task = async move {
            aborted.run_until_cancelled_owned(task).await;
        };
        self.tasks.spawn(task.instrument(self.span.clone()));
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.ending.cancel();
        self.aborted.cancel();
    }
}
