//! How a connection comes in: in plain text, or by TLS where the registry speaks that.

use std::net::SocketAddr;
use std::sync::Arc;

use rpc_host::strangers::Visit;
#[cfg(feature = "tls")]
use rpc_host::tls::{Entered, TlsEntrance};
use rpc_socket::Socket;
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio::time::timeout_at;

use super::Http;
use super::connection::serve_socket;
use super::held::Lost;
#[cfg(feature = "tls")]
use super::refuse::TLS_HANDSHAKE;
#[cfg(feature = "tls")]
use super::refuse_connection;
#[cfg(feature = "tls")]
use crate::error::Refusal;

/// Serves a connection until it ends, see [`serve_socket`].
pub(crate) async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    visit: Visit,
    http: Arc<Http>,
) -> Lost {
    #[cfg(feature = "tls")]
    if let Some(entrance) = &http.context.tls {
        // Boxed, so that the task of a connection has no room for it where there is no TLS.
        return Box::pin(by_tls(stream, peer, visit, &http, entrance)).await;
    }
    serve_socket(Socket::Plain(stream), peer, visit, http, None).await
}

/// Serves a connection that begins with a handshake, and plain text where that is allowed.
#[cfg(feature = "tls")]
async fn by_tls(
    stream: TcpStream,
    peer: SocketAddr,
    visit: Visit,
    http: &Arc<Http>,
    entrance: &Arc<TlsEntrance>,
) -> Lost {
    let context = &http.context;
    // What is only looked at is still there for whoever reads.
    let mut first = [0];
    let options = &context.service.options;
    let until = visit.enters_until(options.header_timeout, options.unidentified_timeout);
    let looking = timeout_at(until, stream.peek(&mut first));
    let Some(Ok(Ok(1))) = context.ending.run_until_cancelled(looking).await else {
        return Lost::default();
    };
    if first != [TLS_HANDSHAKE] {
        if entrance.is_only() {
            refuse_connection(stream, Refusal::TlsOnly).await;
            return Lost::default();
        }
        return serve_socket(Socket::Plain(stream), peer, visit, Arc::clone(http), None).await;
    }
    let entering = timeout_at(until, entrance.enter(stream, &[], peer));
    let entering = context.ending.run_until_cancelled(entering);
    let Some(Ok(Some(Entered { socket, certificate }))) = entering.await else {
        return Lost::default();
    };
    let served = serve_socket(socket, peer, visit, Arc::clone(http), certificate.clone());
    let Some(certificate) = certificate else { return served.await };
    tokio::select! {
        biased;
        lost = served => lost,
        why = entrance.until_refused(&certificate) => {
            let names = certificate.names();
            tracing::info!(%peer, ?names, why, "closing the connection: its certificate is refused from now on");
            Lost::default()
        }
    }
}
