//! While the workers lag: accepts connections in their place, and answers if health is asked for.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rpc_wire::call::{Message, Messages, reply};
use rpc_wire::framing::{FrameLimits, Framer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::acceptor::Entrance;
use crate::connection;
use crate::reserved::{self, Report, Reserved};
use crate::sniff::{Protocol, sniff};
use crate::state::ServerState;

/// Lag of the workers from which connections are accepted here.
const HIGH_LAG: Duration = Duration::from_millis(20);
/// How often the lag is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long, and how many bytes of, the first message is waited for.
const FIRST_MESSAGE: Duration = Duration::from_secs(1);
const FIRST_BYTES: usize = 4096;

/// Accepts from a second handle of the listening socket whenever the lag is high.
pub(crate) async fn accept_early(entrance: Entrance, mut listener: TcpListener, workers: Handle) {
    let state = entrance.state();
    loop {
        state.lag.pause(LOOK).await;
        if !is_high(state) {
            continue;
        }
        // Only now, since the registration wakes this thread for each connection.
        let Ok(registered) = tokio::net::TcpListener::from_std(listener) else { return };
        while is_high(state) {
            if let Ok(Ok((stream, peer))) = timeout(LOOK, registered.accept()).await {
                entrance.admit_early(stream, peer, &workers);
            }
        }
        let Ok(unregistered) = registered.into_std() else { return };
        listener = unregistered;
    }
}

fn is_high(state: &ServerState) -> bool {
    state.lag.at(Instant::now()) >= HIGH_LAG
}

/// What becomes of a connection whose first bytes were read here.
pub(crate) enum First {
    /// It is for the workers.
    Message,
    /// It has ended, or was served here.
    Served,
}

/// Reads a connection's first bytes and answers them if they ask for the server's health or
/// statistics; HTTP, which is only about these, is served to its end. Whatever is left in `first` is
/// for the workers.
pub(crate) async fn first_look(
    state: &Arc<ServerState>,
    stream: &mut TcpStream,
    first: &mut BytesMut,
) -> First {
    // A slow peer waits for a worker.
    let read = timeout(FIRST_MESSAGE, read_first(state, stream, first)).await;
    match read {
        Err(_late) => First::Message,
        Ok(Err(error)) => {
            tracing::debug!(%error, "connection lost");
            First::Served
        }
        Ok(Ok(Protocol::Http)) => {
            let first = std::mem::take(first);
            // Its errors are reported there.
            let _ = connection::serve_http(state, stream, first).await;
            First::Served
        }
        Ok(Ok(_)) => First::Message,
    }
}

/// Reads until the protocol is known, in JSON until the first message is complete.
async fn read_first(
    state: &ServerState,
    stream: &mut TcpStream,
    first: &mut BytesMut,
) -> io::Result<Protocol> {
    loop {
        if stream.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match sniff(first) {
            Some(Protocol::Json) => match report(state, first) {
                Answer::Reply(reply, used) => {
                    stream.write_all(&reply).await?;
                    first.advance(used);
                    return Ok(Protocol::Json);
                }
                Answer::None => return Ok(Protocol::Json),
                Answer::Unfinished => {}
            },
            Some(protocol) => return Ok(protocol),
            None => {}
        }
        if first.len() >= FIRST_BYTES {
            return Ok(Protocol::Json);
        }
    }
}

enum Answer {
    /// The reply to the first message, and how long that was.
    Reply(Vec<u8>, usize),
    /// It asks for something else.
    None,
    Unfinished,
}

/// The answer to the first message, if it is a call of `rpc.health` or `rpc.stats`.
fn report(state: &ServerState, first: &[u8]) -> Answer {
    let limits = FrameLimits { max_bytes: FIRST_BYTES, max_depth: state.limits.max_nesting };
    let mut framer = Framer::new(limits);
    let message = match Messages::new(&mut framer, first).next() {
        Ok(None) => return Answer::Unfinished,
        Ok(Some((Ok(Message::Call(call)), _))) => call,
        _ => return Answer::None,
    };
    let report = match Reserved::find(&message.method) {
        Some(Reserved::Report(report @ (Report::Health | Report::Stats))) => report,
        _ => return Answer::None,
    };
    if message.meta.stream || message.meta.oneway {
        return Answer::None;
    }
    let mut reply = Vec::new();
    reply::begin_result(&mut reply, message.id);
    reply.extend_from_slice(&reserved::report(state, report, Instant::now()));
    reply::end_result(&mut reply);
    Answer::Reply(reply, framer.unfinished_from())
}
