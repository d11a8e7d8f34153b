//! One accepted socket: its first bytes select the protocol.

#[cfg(feature = "tls")]
mod tls;

use std::io;
#[cfg(feature = "http")]
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rpc_host::net;
use rpc_socket::Socket;
use rpc_wire::call::{Call, Message, Messages, Rejected, ReplyTo, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameLimits, Framer};
use rpc_wire::json::Json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

#[cfg(feature = "http")]
use crate::http;
use crate::places::connections::Slot;
use crate::session::Session;
use crate::sniff::{Protocol, sniff};
use crate::state::ServerState;
use crate::visitor::Peer;

/// How long, and how much, is read and discarded after the final error to a peer that is still
/// sending: closing at once would reset the connection, and the peer would lose the error.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// Bytes of the first read.
const FIRST_READ: usize = 4096;

/// How much, and how long, is read of a connection that is refused, for the id to refuse.
const REFUSED_BYTES: usize = 64 * 1024;
const REFUSED_TIME: Duration = Duration::from_millis(500);

/// How many requests an HTTP connection may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requests {
    One,
    Many,
}

/// Serves one connection, of which the `first` bytes were read already, until it closes.
pub(crate) async fn serve(
    state: Arc<ServerState>,
    stream: TcpStream,
    peer: SocketAddr,
    first: BytesMut,
    mut slot: Slot,
) {
    state.metrics.connections.inc();
    let _counted = count_connection(&state);
    if let Err(error) = serve_stream(&state, stream, peer, first, &mut slot).await {
        tracing::debug!(%peer, %error, "connection lost");
    }
}

async fn serve_stream(
    state: &Arc<ServerState>,
    stream: TcpStream,
    peer: SocketAddr,
    mut first: BytesMut,
    slot: &mut Slot,
) -> io::Result<()> {
    first.reserve(FIRST_READ);
    if first.is_empty() && state.lag.at(Instant::now().into()) > Duration::ZERO {
        take_arrived(&stream, &mut first);
    }
    let mut socket = Socket::Plain(stream);
    let Some(protocol) = first_bytes(state, slot, &mut socket, &mut first).await? else {
        return Ok(());
    };
    #[cfg(feature = "tls")]
    if let Some(entrance) = &state.tls
        && (protocol == Protocol::Tls || entrance.is_only())
    {
        // Boxed, so that the task of a plain connection has no room for it.
        return Box::pin(tls::serve(state, entrance, protocol, socket, peer, first, slot)).await;
    }
    serve_as(protocol, state, &mut socket, &peer.into(), first, slot).await
}

async fn serve_as(
    protocol: Protocol,
    state: &Arc<ServerState>,
    stream: &mut Socket,
    peer: &Peer,
    first: BytesMut,
    slot: &mut Slot,
) -> io::Result<()> {
    match protocol {
        Protocol::Json => {
            let opened = (slot.opened(), slot.closing());
            let session = Session::new(state.clone(), peer, first, opened);
            if session.run(stream, slot).await? {
                linger(stream).await;
            }
        }
        Protocol::Http => serve_http(state, stream, peer, first, Requests::Many, slot).await?,
        Protocol::Tls => {
            tracing::debug!(peer = %peer.address, "TLS refused: there is no certificate, or it is inside TLS")
        }
        Protocol::Unknown => {
            state.metrics.malformed.inc();
            let mut out = Vec::new();
            let fault = Fault::new(Code::NotJson, "request is not JSON: it must begin with { or [");
            reply::fault(&mut out, ReplyTo::Classic, &fault);
            stream.write_all(&out).await?;
            linger(stream).await;
        }
    }
    Ok(())
}

#[cfg(feature = "http")]
pub(crate) async fn serve_http(
    state: &Arc<ServerState>,
    stream: &mut Socket,
    peer: &Peer,
    first: BytesMut,
    requests: Requests,
    slot: &mut Slot,
) -> io::Result<()> {
    let on_loopback =
        stream.tcp().local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
    let peer = (peer.clone(), on_loopback);
    let (reader, writer) = stream.split();
    let whole = tokio::io::join(AsyncReadExt::chain(Cursor::new(first), reader), writer);
    // Boxed, so that the task of a JSON connection has no room for hyper's state.
    Box::pin(http::serve(state, whole, peer, requests == Requests::Many, slot)).await;
    Ok(())
}

/// A server without HTTP says so in HTTP.
#[cfg(not(feature = "http"))]
pub(crate) async fn serve_http(
    _: &Arc<ServerState>,
    stream: &mut Socket,
    _: &Peer,
    _: BytesMut,
    _: Requests,
    _: &mut Slot,
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

/// Says why a connection is not served, in the dialect of its first message, and ends it.
pub(crate) async fn refuse(stream: TcpStream, why: &str) -> io::Result<()> {
    let first = BytesMut::with_capacity(1024);
    let fault = Fault::new(Code::Overloaded, why);
    refuse_as(stream, first, &fault, "503 Service Unavailable").await
}

/// The same with any fault, of a connection of which the `first` bytes were read already.
async fn refuse_as(
    mut stream: TcpStream,
    mut first: BytesMut,
    fault: &Fault,
    http_status: &str,
) -> io::Result<()> {
    let mut out = Vec::new();
    // A message that stays incomplete has no id to reply with.
    let read = timeout(REFUSED_TIME, refuse_first(&mut stream, &mut first, fault, &mut out)).await;
    read.unwrap_or(Ok(()))?;
    match sniff(&first) {
        Some(Protocol::Tls) => return Ok(()),
        Some(Protocol::Http) => out = http_reply(http_status, &fault.message).into_bytes(),
        None if first.is_empty() => return Ok(()),
        _ if out.is_empty() => reply::refusal(&mut out, fault),
        _ => {}
    }
    stream.write_all(&out).await?;
    linger(&mut stream).await;
    Ok(())
}

/// Reads the first messages and appends a refusal of each.
async fn refuse_first(
    stream: &mut TcpStream,
    first: &mut BytesMut,
    fault: &Fault,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let limits = FrameLimits { max_bytes: REFUSED_BYTES, max_depth: FrameLimits::DEEPEST };
    let mut framer = Framer::new(limits);
    loop {
        match sniff(first) {
            None => {}
            Some(Protocol::Json) => {
                let mut messages = Messages::new(&mut framer, first);
                while let Ok(Some((message, _))) = messages.next() {
                    match message {
                        Ok(Message::Call(call)) if call.meta.oneway => {}
                        Ok(Message::Cancel(_)) => {}
                        Ok(Message::Call(Call { reply_to, .. }))
                        | Err(Rejected { reply_to, .. })
                            if !reply_to.is_classic() =>
                        {
                            reply::fault(out, reply_to, fault);
                        }
                        Ok(Message::Batch(_)) => {
                            reply::fault(out, ReplyTo::JsonRpc(Json::NULL), fault);
                        }
                        _ => reply::refusal(out, fault),
                    }
                }
            }
            Some(_) => return Ok(()),
        }
        if !out.is_empty() || first.len() >= REFUSED_BYTES || stream.read_buf(first).await? == 0 {
            return Ok(());
        }
    }
}

/// Reads what has arrived already: a runtime whose workers lag notices it late, and a first message is
/// often one that asks whether the server is well.
fn take_arrived(stream: &TcpStream, first: &mut BytesMut) {
    let mut arrived = [0; FIRST_READ];
    // An end or an error is found again by the next read.
    let read = net::read_arrived(stream, &mut arrived).unwrap_or(0);
    first.extend_from_slice(&arrived[..read]);
}

/// Reads until the protocol is known; `None` if the peer closes or the time is up.
async fn first_bytes(
    state: &ServerState,
    slot: &mut Slot,
    stream: &mut Socket,
    first: &mut BytesMut,
) -> io::Result<Option<Protocol>> {
    // White space is no request: it does not keep a connection open.
    let opened = Instant::now();
    let idle = Instant::from_std(slot.first_until(&state.limits));
    let gives_way = opened + Slot::patience(&state.limits);
    let closing = slot.closing().clone();
    loop {
        if let Some(protocol) = sniff(first) {
            return Ok(Some(protocol));
        }
        // Only white space or the start of an HTTP method is undecided.
        let space = first.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        first.advance(space);
        let until = match first.is_empty() {
            true if slot.gives_way() => idle,
            true => idle.min(gives_way),
            false => idle.min(Instant::now() + state.limits.request_timeout),
        };
        let read = tokio::select! {
            biased;
            read = timeout_at(until, stream.read_buf(first)) => read,
            () = closing.cancelled() => {
                if !state.draining.is_cancelled() {
                    return Ok(None);
                }
                // From the accept backlog: its request is on its way.
                let until = until.min(Instant::now() + state.limits.close_timeout);
                timeout_at(until, stream.read_buf(first)).await
            }
        };
        let Ok(read) = read else {
            if first.is_empty() && !slot.gives_way() && until < idle && !closing.is_cancelled() {
                slot.give_way(opened.into());
                continue;
            }
            return Ok(None);
        };
        if read? == 0 || !slot.resume() {
            return Ok(None);
        }
    }
}

async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    // The peer, which may wait for it, learns that nothing follows.
    let _ = stream.shutdown().await;
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
            self.0.metrics.connections.dec();
        }
    }
    Counted(state.clone())
}
