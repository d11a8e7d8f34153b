//! One accepted socket: its first bytes select the protocol.

use std::io;
#[cfg(feature = "http")]
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rpc_wire::call::reply;
use rpc_wire::fault::{Code, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[cfg(feature = "http")]
use crate::http;
use crate::limits::FIRST_REQUEST_GRACE;
use crate::session::Session;
use crate::sniff::{Protocol, sniff};
use crate::state::ServerState;

/// How long, and how much, is read and discarded after the final error to a peer that is still
/// sending: closing at once would reset the connection, and the peer would lose the error.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// Serves one connection, of which the `first` bytes were read already, until it closes.
pub(crate) async fn serve(
    state: Arc<ServerState>,
    mut stream: TcpStream,
    peer: SocketAddr,
    first: BytesMut,
) {
    state.metrics.connections.up();
    let _counted = count_connection(&state);
    if let Err(error) = serve_stream(&state, &mut stream, peer, first).await {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

async fn serve_stream(
    state: &Arc<ServerState>,
    stream: &mut TcpStream,
    peer: SocketAddr,
    mut first: BytesMut,
) -> io::Result<()> {
    first.reserve(4096);
    // A token of its own: waiting on the server's would make all connections share its lock.
    let draining = state.draining.child_token();
    let Some(protocol) = first_bytes(state, &draining, stream, &mut first).await? else {
        return Ok(());
    };
    match protocol {
        Protocol::Json => {
            if Session::new(state.clone(), peer, first).run(stream, draining).await? {
                linger(stream).await;
            }
        }
        Protocol::Http => serve_http(state, stream, first).await?,
        Protocol::Tls => tracing::debug!(%peer, "TLS refused: not supported yet"),
        Protocol::Unknown => {
            state.metrics.malformed.inc();
            let mut out = Vec::new();
            let fault = Fault::new(Code::NotJson, "request is not JSON: it must begin with { or [");
            reply::fault(&mut out, None, &fault);
            stream.write_all(&out).await?;
            linger(stream).await;
        }
    }
    Ok(())
}

#[cfg(feature = "http")]
pub(crate) async fn serve_http(
    state: &Arc<ServerState>,
    stream: &mut TcpStream,
    first: BytesMut,
) -> io::Result<()> {
    let (reader, writer) = stream.split();
    let whole = tokio::io::join(AsyncReadExt::chain(Cursor::new(first), reader), writer);
    // Boxed, so that the task of a JSON connection has no room for hyper's state.
    Box::pin(http::serve(state, whole)).await;
    Ok(())
}

/// A server without HTTP says so in HTTP.
#[cfg(not(feature = "http"))]
pub(crate) async fn serve_http(
    _: &Arc<ServerState>,
    stream: &mut TcpStream,
    _: BytesMut,
) -> io::Result<()> {
    let text = "this server was built without HTTP; send JSON messages";
    stream.write_all(http_reply("501 Not Implemented", text).as_bytes()).await?;
    linger(stream).await;
    Ok(())
}

/// The last reply on a connection, in HTTP, without a library.
fn http_reply(status: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
}

/// Says why a connection is not served, in the protocol of its first bytes, and ends it.
pub(crate) async fn refuse(mut stream: TcpStream, why: &str) -> io::Result<()> {
    let mut first = BytesMut::with_capacity(1024);
    if stream.read_buf(&mut first).await? == 0 {
        return Ok(());
    }
    let reply = match sniff(&first) {
        Some(Protocol::Tls) => return Ok(()),
        Some(Protocol::Http) => http_reply("503 Service Unavailable", why).into_bytes(),
        _ => {
            let mut out = Vec::new();
            reply::fault(&mut out, None, &Fault::new(Code::Overloaded, why));
            out
        }
    };
    stream.write_all(&reply).await?;
    stream.shutdown().await?;
    linger(&mut stream).await;
    Ok(())
}

/// Reads until the protocol is known; `None` if the peer closes or the time is up.
async fn first_bytes(
    state: &ServerState,
    draining: &CancellationToken,
    stream: &mut TcpStream,
    first: &mut BytesMut,
) -> io::Result<Option<Protocol>> {
    loop {
        if let Some(protocol) = sniff(first) {
            return Ok(Some(protocol));
        }
        // Only white space or the start of an HTTP method is undecided.
        let space = first.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        first.advance(space);
        let limit =
            if first.is_empty() { state.limits.idle_timeout } else { state.limits.request_timeout };
        let read = tokio::select! {
            biased;
            read = timeout(limit, stream.read_buf(first)) => read,
            () = draining.cancelled() => {
                timeout(FIRST_REQUEST_GRACE.min(limit), stream.read_buf(first)).await
            }
        };
        let Ok(read) = read else { return Ok(None) };
        if read? == 0 {
            return Ok(None);
        }
    }
}

async fn linger(stream: &mut TcpStream) {
    let discarded = async {
        // On the heap: whatever lives across an await is part of every connection's task.
        let mut rest = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = stream.read(&mut rest).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    // A peer that keeps sending for longer may lose the final error.
    let _ = timeout(LINGER, discarded).await;
}

/// Decrements the count of connections, however the connection's task ends.
fn count_connection(state: &Arc<ServerState>) -> impl Drop + use<> {
    struct Counted(Arc<ServerState>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.metrics.connections.down();
        }
    }
    Counted(state.clone())
}
