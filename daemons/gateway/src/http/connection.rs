//! The listening socket and its connections: accepted, limited, served, ended.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rpc_host::net::{Accepted, Listener, listen};
use rpc_host::shares::{Share, Shares};
use rpc_host::strangers::{Seats, StrangerLimits, Visit};
use rpc_host::task::{repeat_blocking, until_cancelled};
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::RELOAD_INTERVAL;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::ServiceExt;

use super::door::{Door, Peer};
use super::room::Room;
use super::{Http, router};
use crate::{Gateway, HttpOptions};

/// Bytes of a request's line and headers, and of what is read ahead of its body.
const HEAD_BYTES: usize = 16 << 10;
/// Connections that are told at once that there is no place; further ones are closed without a word.
const MAX_REFUSALS: usize = 64;
/// Time for that.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A gateway that listens for HTTP. Connections wait until [`serve`](Self::serve).
#[derive(Debug)]
pub struct Endpoint {
    listener: Listener,
    address: SocketAddr,
    gateway: Gateway,
    options: HttpOptions,
}

impl Endpoint {
    /// Listens on `address`; port 0 takes any free one.
    ///
    /// # Errors
    /// It cannot be listened on.
    pub fn bind(address: SocketAddr, gateway: Gateway, options: HttpOptions) -> io::Result<Self> {
        let listener = listen(address, options.backlog, options.tcp_user_timeout)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, gateway, options })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready; then ends subscriptions, and waits for the calls in flight, at most
    /// [`HttpOptions::drain_timeout`]. Dropped, it ends at once.
    ///
    /// # Errors
    /// The listening socket failed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self { mut listener, address, gateway, options } = self;
        tracing::info!(%address, "listening");
        let guard = options.guard.clone();
        let _reloading = AbortOnDropHandle::new(tokio::spawn(async move {
            if !guard.is_open() {
                repeat_blocking(RELOAD_INTERVAL, move || guard.reload()).await;
            }
        }));
        let drain = options.drain_timeout;
        let strangers = StrangerLimits {
            most: options.max_unidentified_connections,
            per_peer: options.max_unidentified_connections_per_peer,
        };
        let places = Shares::new(options.max_connections, options.max_connections_per_peer);
        let acceptor = Acceptor {
            seats: Seats::new(places, &options.guard, strangers),
            refusals: Shares::new(MAX_REFUSALS, Share::Quarter),
            aborted: CancellationToken::new(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let http = Arc::new(Http {
            gateway,
            door: Door::new(&options),
            room: Room::new(options.max_buffered_bytes),
            options,
            ending: acceptor.ending.clone(),
        });
        let service = Service { router: router(Arc::clone(&http)), http };
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            failed = acceptor.accept(&mut listener, &service) => failed,
        };
        drop(listener);
        acceptor.ending.cancel();
        acceptor.tasks.close();
        if timeout(drain, acceptor.tasks.wait()).await.is_err() {
            acceptor.aborted.cancel();
            acceptor.tasks.wait().await;
        }
        tracing::info!(%address, "stopped");
        ended
    }
}

#[derive(Clone)]
struct Service {
    router: Router,
    http: Arc<Http>,
}

/// Dropped, it ends all connections.
struct Acceptor {
    seats: Seats,
    refusals: Arc<Shares>,
    aborted: CancellationToken,
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.aborted.cancel();
    }
}

impl Acceptor {
    async fn accept(&self, listener: &mut Listener, service: &Service) -> io::Result<()> {
        loop {
            match listener.accept().await? {
                Accepted::Connection(stream, peer) => self.admit(stream, peer, service.clone()),
                // There is no file for it.
                Accepted::Surplus(stream, _) => drop(stream),
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, service: Service) {
        let ending = self.ending.clone();
        let closing = CancellationToken::new();
        match self.seats.take(peer.ip(), &closing) {
            Ok(seat) => self.spawn(async move {
                let serving = pin!(service.serve(stream, peer, Visit::new(seat), &ending));
                // Only that of a stranger, who has been told nothing, is closed like this.
                closing.run_until_cancelled(serving).await;
            }),
            Err(_) => {
                if let Ok(place) = self.refusals.take(peer.ip()) {
                    self.spawn(async move {
                        let _ = timeout(REFUSAL_TIME, refuse(stream)).await;
                        drop(place);
                    });
                }
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(until_cancelled(self.aborted.clone(), task));
    }
}

impl Service {
    /// Serves a connection until it ends. At the end the request in flight is the last.
    async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        visit: Visit,
        ending: &CancellationToken,
    ) {
        let options = &self.http.options;
        let here = stream.local_addr();
        let on_loopback = here.is_ok_and(|it| it.ip().to_canonical().is_loopback());
        let visit = Arc::new(visit);
        let ip = peer.ip().to_canonical();
        let from = Peer { ip, on_loopback, visit: Arc::clone(&visit) };
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            let visit = Arc::clone(&from.visit);
            visit.ask();
            request.extensions_mut().insert(from.clone());
            self.router.clone().oneshot(request).inspect(move |_| visit.reply())
        });
        let stream = WriteTimeout::of(stream, options.write_timeout);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let served = async {
            let patience = options.unidentified_timeout;
            tokio::select! {
                served = connection.as_mut() => return served,
                () = visit.remains_stranger(patience) => {}
                () = ending.cancelled() => {}
            }
            connection.as_mut().graceful_shutdown();
            if visit.is_silent_stranger() && !ending.is_cancelled() {
                // A request whose head is not whole by now is none.
                return connection.as_mut().now_or_never().unwrap_or(Ok(()));
            }
            // The request in flight, if there is one, has as long again to show who sends it.
            tokio::select! {
                served = connection.as_mut() => served,
                () = visit.remains_stranger(2 * patience) => Ok(()),
            }
        };
        let served = served.await;
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "connection lost");
        }
    }
}

/// Says that there is no place, and closes.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let mut head = [0; 1024];
    // Closing with bytes unread would reset the connection before the reply is read.
    if stream.read(&mut head).await? == 0 {
        return Ok(());
    }
    let body = r#"{"error":"too many connections (max_connections); try again later"}"#;
    let reply = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await?;
    while stream.read(&mut head).await? > 0 {}
    Ok(())
}
