//! While the workers lag: accepts connections in their place, and answers if health is asked for.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use rpc_socket::Socket;
use rpc_wire::call::{Message, Messages, reply};
use rpc_wire::framing::{FrameLimits, Framer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use crate::acceptor::Entrance;
use crate::connection::{self, Requests};
use crate::places::connections::Slot;
use crate::reserved::{self, Report, Reserved};
use crate::sniff::{Protocol, sniff};
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};

/// How often the lag is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How an HTTP request begins that asks for health or statistics.
const HTTP: [&[u8]; 2] = [b"GET /healthz ", b"GET /metrics "];
/// Bytes that are enough to know it.
const LONGEST_HTTP: usize = 13;
/// How long, and how many bytes of, the first message is waited for.
const FIRST_MESSAGE: Duration = Duration::from_secs(1);
const FIRST_BYTES: usize = 4096;

/// Connections that are looked at here at a time; further ones go to the workers unseen.
const MAX_EARLY: usize = 64;

/// Accepts from a second handle of the listening socket whenever the lag is high.
pub(crate) async fn accept_early(entrance: Entrance, mut listener: TcpListener, workers: Handle) {
    let state = entrance.state();
    let looks = Arc::new(Semaphore::new(MAX_EARLY));
    loop {
        state.lag.pause(LOOK).await;
        if !state.lag.is_high() {
            continue;
        }
        // Only now, since the registration wakes this thread for each connection.
        let Ok(registered) = tokio::net::TcpListener::from_std(listener) else { return };
        while state.lag.is_high() {
            match timeout(LOOK, registered.accept()).await {
                Ok(Ok((stream, peer))) => admit(&entrance, stream, peer, &workers, &looks),
                // For lack of files it would fail again at once.
                Ok(Err(_)) => sleep(LOOK).await,
                Err(_none_came) => {}
            }
        }
        let Ok(unregistered) = registered.into_std() else { return };
        listener = unregistered;
    }
}

/// Looks at the connection's first message, then lets the workers serve it.
fn admit(
    entrance: &Entrance,
    stream: TcpStream,
    peer: SocketAddr,
    workers: &Handle,
    looks: &Arc<Semaphore>,
) {
    let mut slot = match entrance.slot(peer) {
        Ok(slot) => slot,
        Err(full) => return entrance.refuse(stream, peer, full),
    };
    let place = looks.clone().try_acquire_owned();
    let (state, connections) = (entrance.state().clone(), entrance.connections().clone());
    let workers = workers.clone();
    let look = async move {
        let mut first = BytesMut::new();
        let mut socket = Socket::Plain(stream);
        if place.is_ok() && !state.takes_tls_only() {
            match first_look(&state, &mut socket, &peer.into(), &mut first, &mut slot).await {
                First::Message => {}
                First::Served => return,
            }
        }
        drop(place);
        // What this runtime knows of the socket stays here.
        let Some(Ok(stream)) = socket.into_plain().map(TcpStream::into_std) else { return };
        let serve = async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => connection::serve(state, stream, peer, first, slot).await,
                Err(error) => tracing::debug!(%peer, %error, "connection lost"),
            }
        };
        connections.spawn_on(serve.in_current_span(), &workers);
    };
    entrance.connections().spawn(look.in_current_span());
}

/// What becomes of a connection whose first bytes were read here.
enum First {
    /// It is for the workers.
    Message,
    /// It has ended, or was served here.
    Served,
}

/// Reads a connection's first bytes and answers them if they ask for the server's health or
/// statistics; over HTTP, once. Whatever is left in `first` is for the workers.
async fn first_look(
    state: &Arc<ServerState>,
    stream: &mut Socket,
    peer: &Peer,
    first: &mut BytesMut,
    slot: &mut Slot,
) -> First {
    // A slow peer waits for a worker.
    let read = timeout(FIRST_MESSAGE, read_first(state, stream, peer, first)).await;
    match read {
        Err(_late) => First::Message,
        Ok(Err(error)) => {
            tracing::debug!(%error, "connection lost");
            First::Served
        }
        Ok(Ok(Protocol::Http)) if HTTP.iter().any(|asks| first.starts_with(asks)) => {
            let first = std::mem::take(first);
            // Its errors are reported there.
            let _ = connection::serve_http(state, stream, peer, first, Requests::One, slot).await;
            First::Served
        }
        Ok(Ok(_)) => First::Message,
    }
}

/// Reads until the protocol is known, in JSON until the first message is complete.
async fn read_first(
    state: &ServerState,
    stream: &mut Socket,
    peer: &Peer,
    first: &mut BytesMut,
) -> io::Result<Protocol> {
    loop {
        if stream.read_buf(first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match sniff(first) {
            Some(Protocol::Json) => match report(state, peer, first) {
                Answer::Reply(reply, used) => {
                    stream.write_all(&reply).await?;
                    first.advance(used);
                    return Ok(Protocol::Json);
                }
                Answer::None => return Ok(Protocol::Json),
                Answer::Unfinished => {}
            },
            Some(Protocol::Http) if first.len() < LONGEST_HTTP => {}
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
fn report(state: &ServerState, peer: &Peer, first: &[u8]) -> Answer {
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
    // Who has shown a token has shown it to its connection.
    if message.meta.stream || message.meta.oneway || message.token.is_some() {
        return Answer::None;
    }
    let mut reply = Vec::new();
    if let Some(mut visitor) = Visitor::new(&state.guard, peer)
        && let Err(refusal) = visitor.may(Reserved::Report(report).permission(), state.object())
    {
        // To a probe this is a sign of life; what else is refused can wait.
        if report != Report::Health {
            return Answer::None;
        }
        reply::fault(&mut reply, message.reply_to, &refusal.into());
        return Answer::Reply(reply, framer.unfinished_from());
    }
    reply::begin_result(&mut reply, message.reply_to);
    reply.extend_from_slice(reserved::report(state, report, Instant::now()).as_ref());
    reply::end_result(&mut reply);
    Answer::Reply(reply, framer.unfinished_from())
}

#[cfg(test)]
mod tests {
    use rpc_security::{Access, Auth, Guard};
    use serde_json::Value;

    use super::*;
    use crate::Limits;
    use crate::extract::States;
    use crate::method::Methods;
    use crate::state::{GivenIdentity, Identity};

    /// The early answer to a call of this method by somebody without a token.
    fn answer(guard: Guard, method: &str) -> Option<Value> {
        let identity = Identity::from(GivenIdentity::default());
        let methods = Methods::new(Vec::new(), &States::default()).unwrap();
        let state = ServerState { guard, ..ServerState::new(identity, methods, Limits::default()) };
        let call = format!(r#"{{"id":1,"method_name":"{method}"}}"#);
        let peer = Peer::from(SocketAddr::from(([10, 0, 0, 1], 1)));
        match report(&state, &peer, call.as_bytes()) {
            Answer::Reply(reply, used) => {
                assert_eq!(used, call.len());
                Some(serde_json::from_slice(&reply).unwrap())
            }
            Answer::None => None,
            Answer::Unfinished => panic!("{method}"),
        }
    }

    #[test]
    fn what_is_answered_early_is_no_way_around_the_guard() {
        let required = |anonymous: &str| {
            let anonymous = anonymous.parse().unwrap();
            let access = Access { auth: Auth::Required, anonymous, ..Access::default() };
            Guard::new(access, None)
        };
        for method in ["rpc.health", "rpc.stats"] {
            for guard in [Guard::open(), required("observe")] {
                let reply = answer(guard, method).unwrap();
                assert!(reply["res"].is_object(), "{method}: {reply}");
            }
        }
        let refused = answer(required("call"), "rpc.health").unwrap();
        assert_eq!(refused["error"]["code"], -32004, "{refused}");
        assert_eq!(answer(required("call"), "rpc.stats"), None, "the workers refuse it");
    }
}
