//! Connecting to an address: every resolved one in order, without waiting long for a silent one;
//! then the probe, which detects the server's dialect.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rpc_socket::Socket;
use rpc_wire::call::{Args, JsonRpcReply, Reply, request};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::paths::RPC_HEALTH;
use rpc_wire::report::{Health, HealthStatus};
use serde_json::value::RawValue;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::connection::Inbox;
use crate::{CallError, Dialect};

/// If an address has not accepted by then, the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
/// A peer that has sent this much without a reply to the probe is no server: a reply to `rpc.health`
/// has a few hundred bytes.
const MAX_PROBE_BYTES: usize = 64 << 10;
/// A contract is a digest of 32 digits; what is longer is none, and is not kept.
const MAX_CONTRACT: usize = 64;
/// Keepalive probes before a peer is given up.
const PROBES: u32 = 3;
/// The most that systems accept for these options.
const LONGEST_KEEPALIVE: Duration = Duration::from_secs(32_767);

/// Connects to the first address of `host` that accepts, tried in the resolver's order. A peer that
/// disappears later without closing is noticed after `tcp_user_timeout`.
pub(super) async fn connect(
    host: &str,
    port: u16,
    tcp_user_timeout: Duration,
) -> io::Result<TcpStream> {
    let mut addresses = tokio::net::lookup_host((host, port)).await?;
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let more = addresses.next();
        let none_left = more.is_none();
        if let Some(address) = more {
            attempts.push(TcpStream::connect(address));
        }
        loop {
            let attempt = async {
                if none_left {
                    return Ok(attempts.next().await);
                }
                tokio::time::timeout(STAGGER, attempts.next()).await
            };
            match attempt.await {
                Ok(Some(Ok(socket))) => {
                    set_up(&socket, tcp_user_timeout)?;
                    return Ok(socket);
                }
                Ok(Some(Err(error))) => last = error,
                Ok(None) if none_left => return Err(last),
                Ok(None) | Err(_) => break,
            }
        }
    }
}

pub(super) fn unreachable(peer: &str, error: &std::io::Error) -> CallError {
    CallError::Unreachable { peer: peer.to_owned(), reason: error.to_string() }
}

fn set_up(socket: &TcpStream, tcp_user_timeout: Duration) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    let limit = tcp_user_timeout.clamp(Duration::from_secs(1), LONGEST_KEEPALIVE);
    let (silence, interval) = keepalive(limit);
    let keepalive = TcpKeepalive::new().with_time(silence).with_interval(interval);
    socket.set_tcp_keepalive(&keepalive.with_retries(PROBES))?;
    // Keepalive sends no probes while sent bytes wait for their acknowledgement.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limit))?;
    Ok(())
}

/// After which silence the first keepalive probe is sent, and how often the next, so that the last of them has gone
/// unanswered at `limit`, of four seconds at least. Systems count whole seconds: what is left over of the interval goes to the silence.
fn keepalive(limit: Duration) -> (Duration, Duration) {
    let limit = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    let interval = (limit / u64::from(PROBES + 1)).max(1);
    let silence = limit.saturating_sub(interval * u64::from(PROBES)).max(1);
    (Duration::from_secs(silence), Duration::from_secs(interval))
}

/// A connection to a peer whose dialect is known.
pub(super) struct Probed {
    pub(super) dialect: Dialect,
    /// Whether it takes calls: a draining server refuses them.
    pub(super) accepts_calls: bool,
    /// The contract of its methods, if it says that.
    pub(super) contract: Option<String>,
    pub(super) socket: Socket,
    pub(super) inbox: Inbox,
}

/// Calls `rpc.health`: a server of the extended dialect replies with the id, an older one without, and one of
/// JSON-RPC with an error of its own.
pub(super) async fn probe(
    peer: &str,
    mut socket: Socket,
    mut inbox: Inbox,
) -> Result<Probed, CallError> {
    let mut call = Vec::new();
    request::extended(&mut call, 0, RPC_HEALTH, &Args::none(), &request::RequestMeta::default());
    // The caller's own request is not sent yet, so that it was not executed whatever goes wrong here.
    let lost = |reason: String| CallError::Unreachable {
        peer: peer.to_owned(),
        reason: format!("the connection was lost during the probe ({reason})"),
    };

    write_all(&mut socket, &call).await.map_err(|error| lost(error.to_string()))?;
    let mut received = 0;
    loop {
        // Some web servers send to such a line the page of an error, without a head.
        if inbox.starts_with(b"HTTP/") || inbox.starts_with(b"<") {
            return Err(CallError::bad_reply(peer, is_http(peer)));
        }
        let next = inbox.next_reply().map_err(|error| CallError::bad_frame(peer, error))?;
        if let Some((_, bytes, reply)) = next {
            let (dialect, (accepts_calls, contract)) = match reply {
                _ if JsonRpcReply::is_one(bytes) => (Dialect::JsonRpc, (true, None)),
                Ok(Reply::Done { id: id @ (Some(0) | None), outcome }) => {
                    match (id, outcome.map_err(Fault::of_connection)) {
                        (_, Err(fault)) if fault.code == Code::Overloaded => {
                            return Err(CallError::refused(peer, fault));
                        }
                        (_, Err(fault)) if fault.is_tls_only() => {
                            let (peer, reason) = (peer.to_owned(), fault.message);
                            return Err(CallError::Insecure { peer, reason });
                        }
                        (None, Err(fault)) if fault.code == Code::Draining => {
                            return Err(CallError::refused(peer, fault));
                        }
                        (Some(_), outcome) => (Dialect::Extended, read(outcome)),
                        (None, _) => (Dialect::Classic, (true, None)),
                    }
                }
                // A draining server says so before it replies.
                Ok(Reply::Draining) => {
                    return Err(lost("the server is draining".to_owned()));
                }
                Ok(_) => return Err(CallError::bad_reply(peer, "it is not a reply to rpc.health")),
                Err(error) => return Err(CallError::bad_reply(peer, error)),
            };
            inbox.release();
            return Ok(Probed { dialect, accepts_calls, contract, socket, inbox });
        }
        if received >= MAX_PROBE_BYTES {
            return Err(CallError::bad_reply(
                peer,
                "it is not a server of this protocol (no reply to rpc.health in 64 KiB)",
            ));
        }
        match inbox.fill(&mut socket).await {
            Ok(0) => return Err(lost("the server closed it".to_owned())),
            Ok(count) => received += count,
            Err(error) => {
                #[cfg(feature = "tls")]
                if let Some(error) = crate::tls::of_connection(peer, &error) {
                    return Err(error);
                }
                return Err(lost(error.to_string()));
            }
        }
    }
}

/// Asks in JSON-RPC, for a server that says nothing to what is no JSON-RPC; `None` if it is not one of JSON-RPC only.
pub(super) async fn probe_json_rpc(mut socket: Socket, mut inbox: Inbox) -> Option<Probed> {
    let mut call = Vec::new();
    request::json_rpc(&mut call, 0, RPC_HEALTH, "[]");
    write_all(&mut socket, &call).await.ok()?;
    let mut received = 0;
    while received < MAX_PROBE_BYTES {
        if let Some((_, bytes)) = inbox.next_frame().ok()? {
            // A server of ours speaks it as well, and is just slow.
            let is_ours = match JsonRpcReply::parse(bytes) {
                Ok(JsonRpcReply::Done { outcome: Ok(health), .. }) => {
                    serde_json::from_str::<Health>(health.get()).is_ok()
                }
                Ok(JsonRpcReply::Done { outcome: Err(fault), .. }) => fault.code.is_ours(),
                _ => false,
            };
            if is_ours || !JsonRpcReply::is_one(bytes) {
                return None;
            }
            inbox.release();
            let (dialect, accepts_calls, contract) = (Dialect::JsonRpc, true, None);
            return Some(Probed { dialect, accepts_calls, contract, socket, inbox });
        }
        received += inbox.fill(&mut socket).await.ok().filter(|count| *count > 0)?;
    }
    None
}

/// A server that answers our line in HTTP: it may be one of JSON-RPC, whose path nobody has said yet.
fn is_http(peer: &str) -> String {
    format!(
        "it is HTTP, by which a JSON-RPC server is called at its URL, such as -i http://{peer}/"
    )
}

async fn write_all(socket: &mut Socket, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await
}

/// Whether the server takes calls, and the contract of its methods.
fn read(health: Result<&RawValue, Fault>) -> (bool, Option<String>) {
    match health.map(|health| serde_json::from_str::<Health>(health.get())) {
        Ok(Ok(health)) => {
            let contract = health.contract.filter(|contract| contract.len() <= MAX_CONTRACT);
            (health.status != HealthStatus::Draining, contract)
        }
        Ok(Err(_)) => (true, None),
        Err(fault) => (fault.code != Code::Draining, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalive_gives_up_at_the_limit_whatever_part_of_a_second_is_left_over() {
        for (limit, expected) in
            [(4000, (1, 1)), (20_000, (5, 5)), (25_000, (7, 6)), (4500, (2, 1)), (7000, (4, 1))]
        {
            let (silence, interval) = keepalive(Duration::from_millis(limit));
            assert_eq!((silence.as_secs(), interval.as_secs()), expected, "{limit} ms");
            let end = silence + PROBES * interval;
            assert!(
                end >= Duration::from_millis(limit) && end < Duration::from_millis(limit + 1000)
            );
        }
    }
}
