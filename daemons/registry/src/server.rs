//! A registry on a socket: accept, limit, serve, shut down.

use std::io;
use std::net::SocketAddr;
#[cfg(feature = "redb")]
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rpc_host::net::{Accepted, Listener, Room, SURPLUS_TIME};
use rpc_host::shares::{Full, Share, Shares};
use rpc_host::strangers::{Seats, StrangerLimits, Visit};
use rpc_host::task::{repeat_blocking, until_cancelled};
#[cfg(feature = "tls")]
use rpc_host::tls::TlsEntrance;
use rpc_security::RELOAD_INTERVAL;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, info};

use crate::error::Refusal;
use crate::http::{Http, refuse_connection, serve_connection};
#[cfg(feature = "redb")]
use crate::record::Record;
use crate::service::Service;
#[cfg(feature = "redb")]
use crate::store::Store;
#[cfg(feature = "etcd")]
use crate::store::etcd::Etcd;
#[cfg(feature = "redb")]
use crate::store::{self, FileStore, Recovered, StoreError};
#[cfg(feature = "redb")]
use crate::table::Restored;
use crate::{RegistryError, RegistryOptions, StoreOptions};

/// A registry that listens. Connections wait in the backlog until [`serve`](Self::serve).
#[derive(Debug)]
pub struct Registry {
    listener: Listener,
    address: SocketAddr,
    options: RegistryOptions,
    opened: Opened,
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsEntrance>>,
}

/// What the table is kept in.
#[derive(Debug)]
enum Opened {
    Nothing,
    /// A store, and what an earlier process left in it.
    #[cfg(feature = "redb")]
    File(Box<dyn Store>, Vec<Restored>),
    /// A cluster that is read while the registry serves.
    #[cfg(feature = "etcd")]
    Etcd(Box<Etcd>),
}

impl Registry {
    /// Listens on `address`; port 0 takes any free one, see [`local_addr`](Self::local_addr). Then opens
    /// the store and reads what is in it.
    ///
    /// # Errors
    /// An option is invalid, the address cannot be listened on, or the store cannot be used.
    pub async fn bind(
        address: SocketAddr,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        options.check()?;
        #[cfg(feature = "tls")]
        let tls = TlsEntrance::open(options.tls.clone()).await?;
        #[cfg(not(feature = "tls"))]
        if options.tls.is_on() {
            return Err(RegistryError::NoTls);
        }
        let failed = |source| RegistryError::Bind { address, source };
        let listener = rpc_host::net::listen(address, options.backlog, options.tcp_user_timeout)
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let opened = open(&options).await?;
        Ok(Self {
            listener,
            address,
            options,
            opened,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Puts what is readable of a damaged database in `data_dir` into a new one, and keeps the damaged one
    /// beside it. A database that is not damaged is left as it is. Blocks.
    ///
    /// # Errors
    /// It is in use, of an unknown format, not there, or cannot be read or written.
    #[cfg(feature = "redb")]
    pub fn recover(data_dir: &Path, options: &RegistryOptions) -> Result<Recovered, RegistryError> {
        let is_readable = |record: &Record| Restored::read(record).is_ok();
        store::recover(data_dir, options.max_store_cache_bytes, is_readable)
            .map_err(|source| RegistryError::Store { path: FileStore::path_in(data_dir), source })
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
        let Self { mut listener, address, options, opened, .. } = self;
        info!(%address, ttl = ?options.ttl, check = ?options.check_interval, "listening");
        if matches!(opened, Opened::Nothing) {
            info!(
                "nothing is kept: a restart forgets registrations until they are repeated, and overrides for good"
            );
        }
        let drain = options.drain_timeout;
        let acceptor = Acceptor::open(
            options,
            address,
            opened,
            #[cfg(feature = "tls")]
            self.tls,
        );
        let acceptor = acceptor.map_err(RegistryError::Thread)?;
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

async fn open(options: &RegistryOptions) -> Result<Opened, RegistryError> {
    match options.store.clone() {
        StoreOptions::None => Ok(Opened::Nothing),
        #[cfg(feature = "redb")]
        StoreOptions::Redb { data_dir } => open_file(data_dir, options.max_store_cache_bytes).await,
        #[cfg(feature = "etcd")]
        StoreOptions::Etcd(etcd) => {
            let etcd = Etcd::new(etcd).map_err(RegistryError::Etcd)?;
            Ok(Opened::Etcd(Box::new(etcd)))
        }
    }
}

#[cfg(feature = "redb")]
async fn open_file(data_dir: PathBuf, cache_bytes: usize) -> Result<Opened, RegistryError> {
    let path = FileStore::path_in(&data_dir);
    let opening = tokio::task::spawn_blocking(move || {
        let (store, records) = FileStore::open(&data_dir, cache_bytes)?;
        let read = |record: &Record| {
            Restored::read(record).map_err(|what| {
                StoreError::Damaged(format!("the record {} is not readable: {what}", record.key))
            })
        };
        let left = records.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok((store, left))
    });
    let opened = opening.await.unwrap_or_else(|_| Err(StoreError::Failed));
    let (store, left) =
        opened.map_err(|source| RegistryError::Store { path: path.clone(), source })?;
    info!(path = %path.display(), records = left.len(), "store opened");
    Ok(Opened::File(Box::new(store), left))
}

/// Connections accepted before other tasks have their turn.
const ACCEPT_AT_ONCE: usize = 512;

/// The connections and timers of a serving registry. Dropping it stops them at once.
struct Acceptor {
    http: Arc<Http>,
    seats: Seats,
    /// Places for connections that get a refusal; further ones are closed unread.
    refusals: Arc<Shares>,
    tasks: TaskTracker,
    /// Cancelled first: no new requests are taken.
    ending: CancellationToken,
    /// Cancelled last: the requests in flight are dropped.
    aborted: CancellationToken,
    span: Span,
}

/// Time for the store to end in order. What it has acknowledged is durable without that.
const STORE_TIME: Duration = Duration::from_millis(400);
/// Connections from this machine beyond the limit, so that health checks work.
const PLACES_FOR_LOOPBACK: usize = 8;

impl Acceptor {
    fn open(
        options: RegistryOptions,
        address: SocketAddr,
        opened: Opened,
        #[cfg(feature = "tls")] tls: Option<Arc<TlsEntrance>>,
    ) -> io::Result<Self> {
        let ending = CancellationToken::new();
        let room = Room::for_connections(options.max_connections);
        let places = Shares::with_places_for_loopback(
            room.connections,
            options.max_connections_per_peer,
            PLACES_FOR_LOOPBACK,
        );
        let strangers = StrangerLimits {
            most: options.max_unidentified_connections,
            per_peer: options.max_unidentified_connections_per_peer,
        };
        let seats = Seats::new(places, &options.guard, strangers);
        let service = match opened {
            Opened::Nothing => Arc::new(Service::new(options, address, Vec::new())),
            #[cfg(feature = "redb")]
            Opened::File(store, left) => {
                let service = Arc::new(Service::new(options, address, left));
                service.save_to(store)?;
                service
            }
            #[cfg(feature = "etcd")]
            Opened::Etcd(etcd) => {
                let service = Arc::new(Service::new(options, address, Vec::new()));
                service.share_in(*etcd, address);
                service
            }
        };
        let acceptor = Self {
            http: Arc::new(Http::new(
                Arc::clone(&service),
                ending.clone(),
                #[cfg(feature = "tls")]
                tls.clone(),
            )),
            seats,
            refusals: Shares::new(room.refusals, Share::Quarter),
            tasks: TaskTracker::new(),
            ending,
            aborted: CancellationToken::new(),
            span: Span::current(),
        };
        #[cfg(feature = "tls")]
        if let Some(entrance) = tls {
            let ending = acceptor.ending.clone();
            acceptor.spawn(async move {
                ending.run_until_cancelled_owned(entrance.watch()).await;
            });
        }
        let ending = acceptor.ending.clone();
        acceptor.spawn(async move {
            ending.run_until_cancelled_owned(service.run_timers()).await;
        });
        let service = Arc::clone(acceptor.http.service());
        if !service.options.guard.is_open() {
            let ending = acceptor.ending.clone();
            acceptor.spawn(async move {
                let reloading = repeat_blocking(RELOAD_INTERVAL, move || service.reload_tokens());
                ending.run_until_cancelled_owned(reloading).await;
            });
        }
        Ok(acceptor)
    }

    /// Accepts connections until `shutdown` is ready or the listening socket fails.
    async fn accept(
        &self,
        listener: &mut Listener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut shutdown = pin!(shutdown);
        let mut in_a_row = 0;
        loop {
            // Under a flood each turn of this task is long awaited: it takes more than the few connections
            // that the runtime's own budget would let it take.
            in_a_row += 1;
            if in_a_row > ACCEPT_AT_ONCE {
                in_a_row = 0;
                tokio::task::yield_now().await;
            }
            let accepted = tokio::select! {
                biased;
                () = shutdown.as_mut() => return Ok(()),
                accepted = tokio::task::unconstrained(listener.accept()) => accepted,
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
        let closing = CancellationToken::new();
        let visit = match self.seats.take(peer.ip(), &closing) {
            Ok(seat) => Visit::new(seat),
            Err(full) => {
                metrics.connections_refused.inc();
                let refusal = match full {
                    Full::Whole(all) => Refusal::TooManyConnections(all),
                    Full::Share(share) => Refusal::TooManyConnectionsOfPeer(share),
                };
                return self.refuse(stream, peer, refusal);
            }
        };
        metrics.connections_accepted.inc();
        metrics.connections.inc();
        let http = Arc::clone(&self.http);
        self.spawn(async move {
            let serving = pin!(serve_connection(stream, peer, visit, Arc::clone(&http)));
            // Only that of a stranger, of whom nothing is known yet, is closed like this.
            let lost = closing.run_until_cancelled(serving).await;
            http.service().metrics.connections.dec();
            if let Some(lost) = lost {
                lost.probe(&http).await;
            }
        });
    }

    /// Says why, unless so many are being refused that closing unread is all there is time for.
    fn refuse(&self, stream: TcpStream, peer: SocketAddr, refusal: Refusal) {
        let Ok(place) = self.refusals.take(peer.ip()) else { return };
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
        self.http.service().saving().end(STORE_TIME).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = until_cancelled(self.aborted.clone(), task);
        self.tasks.spawn(task.instrument(self.span.clone()));
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.ending.cancel();
        self.aborted.cancel();
        self.http.service().saving().end_soon();
    }
}
