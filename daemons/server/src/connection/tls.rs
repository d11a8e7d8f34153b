//! A connection of a server that speaks TLS: the handshake, and what is refused because it is plain text.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rpc_host::tls::{Entered, TlsEntrance};
use rpc_socket::Socket;
use rpc_wire::fault::Fault;
use tokio::time::{timeout, timeout_at};

use super::{first_bytes, refuse_as, serve_as};
use crate::places::connections::Slot;
use crate::sniff::Protocol;
use crate::state::ServerState;
use crate::visitor::Peer;

/// How long a peer whose certificate is refused from now on has for what is in flight, and to be told.
const FAREWELL: Duration = Duration::from_secs(3);

/// Serves a connection that begins with a handshake; refuses any other.
pub(super) async fn serve(
    state: &Arc<ServerState>,
    entrance: &TlsEntrance,
    protocol: Protocol,
    socket: Socket,
    address: SocketAddr,
    mut first: BytesMut,
    slot: &mut Slot,
) -> io::Result<()> {
    let Some(stream) = socket.into_plain() else { return Ok(()) };
    if protocol != Protocol::Tls {
        tracing::debug!(peer = %address, "plain text refused");
        return refuse_as(stream, first, &Fault::tls_only(), "403 Forbidden").await;
    }
    let closing = slot.closing().clone();
    let until = slot.first_until(&state.limits);
    let entering = timeout_at(until.into(), entrance.enter(stream, &first, address));
    let Some(Ok(Some(Entered { mut socket, certificate }))) =
        closing.run_until_cancelled(entering).await
    else {
        return Ok(());
    };
    first.clear();
    let peer = Peer { address, certificate: certificate.clone() };
    tracing::debug!(peer = %address, names = ?certificate.as_ref().map(|it| it.names()), "inside TLS");
    let expulsion = certificate.as_ref().map(|_| slot.expulsion());
    let served = async {
        match first_bytes(state, slot, &mut socket, &mut first).await? {
            Some(protocol) => serve_as(protocol, state, &mut socket, &peer, first, slot).await,
            None => Ok(()),
        }
    };
    let (Some(certificate), Some(expulsion)) = (certificate, expulsion) else {
        return served.await;
    };
    let mut served = std::pin::pin!(served);
    tokio::select! {
        biased;
        done = served.as_mut() => done,
        why = entrance.until_refused(&certificate) => {
            let names = certificate.names();
            tracing::info!(peer = %address, ?names, why, "closing the connection: its certificate is refused from now on");
            expulsion.begin(why);
            // A peer that reads nothing is not told.
            timeout(FAREWELL, served).await.unwrap_or(Ok(()))
        }
    }
}
