//! One connection: HTTP/1 with timeouts and graceful shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rpc_host::shares::Place;
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::PeerCertificate;
use rpc_socket::Socket;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::held::{Held, Lost, Watched};
use super::{Http, Peer};
#[cfg(feature = "tls")]
use crate::RegistryOptions;

/// Maximum size of a request's line and headers, and of the read-ahead of a body.
const BUFFER_BYTES: usize = 64 * 1024;

/// A peer that has not shown yet who it is.
#[derive(Debug)]
pub(crate) struct Stranger {
    _place: Place,
    since: Instant,
}

impl Stranger {
    /// Who has just connected, and takes this place.
    pub(crate) fn new(place: Place) -> Self {
        Self { _place: place, since: Instant::now() }
    }

    /// How long a step before the first request may take.
    #[cfg(feature = "tls")]
    pub(super) fn patience(stranger: Option<&Self>, options: &RegistryOptions) -> Duration {
        match stranger {
            Some(_) => options.header_timeout.min(options.unidentified_timeout),
            None => options.header_timeout,
        }
    }
}

/// Waits until a peer has been a stranger for that time; for ever if it is none by then.
async fn remains_stranger(stranger: &Mutex<Option<Stranger>>, patience: Duration) {
    let since = || {
        let stranger = stranger.lock().unwrap_or_else(PoisonError::into_inner);
        stranger.as_ref().map(|stranger| stranger.since)
    };
    if let Some(since) = since() {
        sleep_until(since + patience).await;
    }
    if since().is_none() {
        std::future::pending().await
    }
}

/// Serves a connection until it ends. At shutdown the request in flight is the last. Returns the
/// instances that were lost with it.
pub(super) async fn serve_socket(
    stream: Socket,
    peer: SocketAddr,
    stranger: Option<Stranger>,
    http: Arc<Http>,
    certificate: Option<Arc<PeerCertificate>>,
) -> Lost {
    let options = &http.service().options;
    let on_loopback =
        stream.tcp().local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let held = Arc::<Held>::default();
    let stream = Watched { stream, held: Arc::clone(&held) };
    let io = TokioIo::new(WriteTimeout::new(stream, options.write_timeout));
    let cut = CancellationToken::new();
    let ip = peer.ip().to_canonical();
    let from = Peer {
        ip,
        on_loopback,
        certificate,
        cut: cut.clone(),
        held: Arc::clone(&held),
        shown: Arc::default(),
        stranger: Arc::new(Mutex::new(stranger)),
    };
    let stranger = Arc::clone(&from.stranger);
    let service = service_fn(|request| {
        let (http, from) = (Arc::clone(&http), from.clone());
        async move {
            // Many requests may have come at once: other connections have their turn.
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(http.reply(request, from).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A peer that half-closed may still read; streams notice its end when they write.
        .half_close(true)
        .header_read_timeout(options.header_timeout)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(io, service);
    // Dropped at its end: what the peer did until then is known only after that.
    let serve = async {
        let mut connection = std::pin::pin!(connection);
        let patience = options.unidentified_timeout;
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = http.context.ending.cancelled() => {}
            () = remains_stranger(&stranger, patience) => {}
        }
        // The request in flight, if there is one, has as long again to show who sends it.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = remains_stranger(&stranger, 2 * patience) => Ok(()),
        }
    };
    match cut.run_until_cancelled(serve).await {
        Some(Ok(())) => {}
        Some(Err(error)) => debug!(%peer, %error, "connection failed"),
        None => {
            http.service().metrics.readers_cut.inc();
            debug!(%peer, "reads too slowly while too much is unread; disconnected");
        }
    }
    held.lost()
}
