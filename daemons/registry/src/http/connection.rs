//! One connection: HTTP/1 with timeouts and graceful shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rpc_host::strangers::Visit;
use rpc_host::watched::Watched;
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::PeerCertificate;
use rpc_socket::Socket;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::held::{Ending, Held, Lost};
use super::{Http, Peer};

/// Maximum size of a request's line and headers, and of the read-ahead of a body: what a connection has
/// anyway, so that heads without end take no more.
const BUFFER_BYTES: usize = 8 * 1024;

/// Serves a connection until it ends. At shutdown the request in flight is the last. Returns the
/// instances that were lost with it.
pub(super) async fn serve_socket(
    stream: Socket,
    peer: SocketAddr,
    visit: Visit,
    http: Arc<Http>,
    certificate: Option<Arc<PeerCertificate>>,
) -> Lost {
    let options = &http.service().options;
    let on_loopback =
        stream.tcp().local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let held = Arc::<Held>::default();
    let stream = Watched::new(stream, Ending(Arc::clone(&held)));
    let io = TokioIo::new(WriteTimeout::of(stream, options.write_timeout));
    let cut = CancellationToken::new();
    let ip = peer.ip().to_canonical();
    let from = Peer {
        ip,
        on_loopback,
        certificate,
        cut: cut.clone(),
        held: Arc::clone(&held),
        shown: Arc::default(),
        visit: Arc::new(visit),
    };
    let visit = Arc::clone(&from.visit);
    let service = service_fn(|request| {
        let (http, from) = (Arc::clone(&http), from.clone());
        from.visit.ask();
        async move {
            let visit = Arc::clone(&from.visit);
            // Many requests may have come at once: other connections have their turn.
            tokio::task::yield_now().await;
            let reply = http.reply(request, from).await;
            visit.reply();
            Ok::<_, Infallible>(reply)
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
    let serve = pin!(async {
        let mut connection = pin!(connection);
        let patience = options.unidentified_timeout;
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = http.context.ending.cancelled() => {}
            () = visit.remains_stranger(patience) => {}
        }
        connection.as_mut().graceful_shutdown();
        if visit.is_silent_stranger() && !http.context.ending.is_cancelled() {
            // A request whose head is not whole by now is none.
            return connection.as_mut().now_or_never().unwrap_or(Ok(()));
        }
        // The request in flight, if there is one, has as long again to show who sends it.
        tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = visit.remains_stranger(2 * patience) => Ok(()),
        }
    });
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
