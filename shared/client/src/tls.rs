//! TLS towards servers: whom a connection must be with, and what is said when it is not.

use std::io;
use std::sync::Arc;

use rpc_security::tls::rustls::Error;
use rpc_security::tls::{ClientTls, ServerIdentity, explain};
use rpc_socket::{HandshakeError, Socket};
use tokio::net::TcpStream;

use crate::CallError;

/// A connection inside TLS to `peer` (`host:port`, for errors), which is who it is expected to be.
///
/// # Errors
/// The handshake failed, and why.
pub async fn secure(
    tls: &Arc<ClientTls>,
    stream: TcpStream,
    expected: ServerIdentity<'_>,
    peer: &str,
) -> Result<Socket, CallError> {
    refresh(tls).await;
    let connection = tls.connect(expected);
    let connection = connection.map_err(|error| insecure(peer, error.to_string()))?;
    rpc_socket::connect(stream, connection).await.map_err(|error| match error {
        HandshakeError::Tls(error, _) => refused(peer, &error),
        HandshakeError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let reason = "it closed the connection during the TLS handshake: it may not speak TLS, or take no more connections";
            CallError::Unreachable { peer: peer.to_owned(), reason: reason.to_owned() }
        }
        HandshakeError::Io(error) => {
            let reason = format!("the TLS handshake failed: {error}");
            CallError::Unreachable { peer: peer.to_owned(), reason }
        }
    })
}

/// Reads the files again if it is time to.
pub(crate) async fn refresh(tls: &Arc<ClientTls>) {
    if !tls.is_due() {
        return;
    }
    let tls = Arc::clone(tls);
    let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
    if let Ok(Err(error)) = reloaded {
        tracing::warn!(%error, "the new files for TLS are not used; those of before hold on");
    }
}

/// What a peer made of the connection after the handshake, if the error is that of TLS: only then a client learns
/// that its certificate is refused.
pub fn of_connection(peer: &str, error: &io::Error) -> Option<CallError> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(refused(peer, error))
}

fn refused(peer: &str, error: &Error) -> CallError {
    let explained = explain(error);
    let about = if explained.is_certificate { "the certificate is refused: " } else { "" };
    insecure(peer, format!("{about}{}", explained.text))
}

pub(crate) fn insecure(peer: &str, reason: String) -> CallError {
    CallError::Insecure { peer: peer.to_owned(), reason }
}
