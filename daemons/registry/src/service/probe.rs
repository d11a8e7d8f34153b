//! One probe: whether an instance accepts connections, or replies when asked for its health.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use rpc_wire::call::{Args, Reply, request};
use rpc_wire::framing::{FrameLimits, Framer};
use rpc_wire::mutants::mutant;
use rpc_wire::paths::RPC_HEALTH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::table::{Outcome, Probe};

/// Probes instances, a bounded number at a time, each with a timeout.
#[derive(Debug)]
pub(super) struct Prober {
    turns: Semaphore,
    timeout: Duration,
    /// Where this registry listens.
    own: SocketAddr,
}

/// What sends this much without a reply is no server of ours: a reply to `rpc.health` has a few hundred
/// bytes.
const MAX_REPLY_BYTES: usize = 64 * 1024;

impl Prober {
    pub(super) fn new(max_probes: usize, timeout: Duration, own: SocketAddr) -> Self {
        Self { turns: Semaphore::new(max_probes.min(Semaphore::MAX_PERMITS)), timeout, own }
    }

    /// Waits until one more may be probed.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        match self.turns.acquire().await {
            Ok(turn) => turn,
            // It is never closed.
            Err(_closed) => std::future::pending().await,
        }
    }

    /// Whether a TCP connection succeeds in time, including the wait for a turn.
    pub(super) async fn is_up(&self, address: SocketAddr) -> bool {
        let connect = async {
            let _turn = self.turn().await;
            connect(address).await.is_ok()
        };
        timeout(self.timeout, connect).await.unwrap_or(false)
    }

    /// Probes an instance whose turn it is.
    pub(super) async fn probe(&self, probe: &Probe) -> Outcome {
        if self.is_own(probe.address) {
            return Outcome::Itself;
        }
        if mutant("probe-says-alive") {
            return Outcome::Alive;
        }
        let attempt = async {
            match connect(probe.address).await {
                Ok(stream) if probe.extended => replies(stream).await,
                Ok(_) => Outcome::Alive,
                Err(error) => meaning(&error),
            }
        };
        unpaused_timeout(self.timeout, attempt).await.unwrap_or(Outcome::NoReply)
    }

    /// Whether this registry listens there: whoever registers its address must not make it call itself.
    fn is_own(&self, address: SocketAddr) -> bool {
        let own = self.own.ip().to_canonical();
        address.port() == self.own.port()
            && (address.ip() == own || (own.is_unspecified() && is_of_this_machine(address.ip())))
    }
}

/// Only an address of this machine can be bound; nothing is sent.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A connection from a free port of this machine to itself succeeds although nobody listens.
    if stream.local_addr()? == address {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

/// What a failure to connect says about the instance.
fn meaning(error: &io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => Outcome::Refused,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::TimedOut
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted => Outcome::NoReply,
        _ => Outcome::Unknown,
    }
}

/// Asks for the health: any reply shows that it is alive, also an error.
async fn replies(mut stream: TcpStream) -> Outcome {
    let mut call = Vec::new();
    request::extended(&mut call, 0, RPC_HEALTH, &Args::none(), &request::RequestMeta::default());
    if stream.write_all(&call).await.is_err() {
        return Outcome::NoReply;
    }
    let limits = FrameLimits { max_bytes: MAX_REPLY_BYTES, max_depth: FrameLimits::DEEPEST };
    let mut framer = Framer::new(limits);
    let mut buffer = BytesMut::new();
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Outcome::NoReply,
        }
        match Reply::next(&mut framer, &buffer) {
            Ok(Some((Ok(_), _))) => return Outcome::Alive,
            Ok(None) if buffer.len() < MAX_REPLY_BYTES => {}
            Ok(_) | Err(_) => return Outcome::NoReply,
        }
    }
}

/// The result, unless it takes longer. A pause of this process takes a fifth of the time at most: the
/// reply may be waiting unread.
pub(super) async fn unpaused_timeout<T>(
    limit: Duration,
    what: impl Future<Output = T>,
) -> Option<T> {
    const PARTS: u32 = 5;
    let mut what = pin!(what);
    for _ in 0..PARTS {
        if let Ok(result) = timeout(limit / PARTS, what.as_mut()).await {
            return Some(result);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::Instance;
    use tokio::net::TcpListener;

    use super::*;

    const OWN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 9999);

    fn prober(max: usize, timeout: Duration) -> Prober {
        Prober::new(max, timeout, OWN)
    }

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn at(address: SocketAddr, extended: bool) -> Probe {
        Probe { key: Instance::new("127.0.0.1", address.port()).key(), address, extended }
    }

    #[tokio::test]
    async fn an_instance_is_up_when_it_accepts_connections() {
        let prober = prober(1, Duration::from_secs(5));
        let (listener, address) = listen().await;
        assert!(prober.is_up(address).await);
        assert_eq!(prober.probe(&at(address, false)).await, Outcome::Alive);
        drop(listener);
        assert!(!prober.is_up(address).await);
        assert_eq!(prober.probe(&at(address, false)).await, Outcome::Refused);
    }

    #[tokio::test]
    async fn a_probe_that_gets_no_turn_in_time_fails() {
        let (_listener, address) = listen().await;
        assert!(!prober(0, Duration::from_millis(1)).is_up(address).await);
    }

    #[tokio::test]
    async fn another_than_ours_gets_no_byte_and_an_end() {
        let (listener, address) = listen().await;
        let prober = prober(1, Duration::from_secs(5));
        assert_eq!(prober.probe(&at(address, false)).await, Outcome::Alive);
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut received = Vec::new();
        assert_eq!(peer.read_to_end(&mut received).await.unwrap(), 0);
    }

    /// The outcome if a server of ours replies with that and closes.
    async fn asked(reply: &'static [u8]) -> (Outcome, String) {
        let (listener, address) = listen().await;
        let server = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut received = vec![0; 4096];
            let count = peer.read(&mut received).await.unwrap();
            // Whoever sends too much is hung up on.
            let _ = peer.write_all(reply).await;
            String::from_utf8(received[..count].to_vec()).unwrap()
        });
        let outcome = prober(1, Duration::from_secs(20)).probe(&at(address, true)).await;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn any_reply_of_a_server_of_ours_shows_that_it_is_alive() {
        for reply in [
            &b"{\"id\":0,\"res\":{\"status\":\"ok\"}}\n"[..],
            b"{\"id\":0,\"error\":{\"code\":-32004,\"message\":\"overloaded\"}}\n",
            b"{\"error\":{\"code\":-32002,\"message\":\"full\"}}\n",
            b"{\"draining\":true}\n",
        ] {
            let (outcome, call) = asked(reply).await;
            assert_eq!(outcome, Outcome::Alive, "{}", String::from_utf8_lossy(reply));
            assert_eq!(
                call,
                "{\"id\":0,\"method_name\":\"rpc.health\",\"method_args\":[],\"method_kwargs\":{}}\n"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_reply_does_not_show_it_however_long_it_is() {
        static ENDLESS: [u8; 3 * MAX_REPLY_BYTES] = [b'['; 3 * MAX_REPLY_BYTES];
        static OPEN: [u8; 3 * MAX_REPLY_BYTES] = {
            let mut open = [b'"'; 3 * MAX_REPLY_BYTES];
            open[0] = b'{';
            open
        };
        for reply in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b"{", b"[]\n", &ENDLESS, &OPEN]
        {
            let (outcome, _) = asked(reply).await;
            assert_eq!(
                outcome,
                Outcome::NoReply,
                "{}",
                String::from_utf8_lossy(&reply[..reply.len().min(20)])
            );
        }
    }

    #[tokio::test]
    async fn one_that_accepts_but_never_replies_is_given_up_in_time() {
        let (_listener, address) = listen().await;
        let prober = prober(1, Duration::from_millis(50));
        assert_eq!(prober.probe(&at(address, true)).await, Outcome::NoReply);
    }

    #[tokio::test]
    async fn the_registry_does_not_probe_itself() {
        let (listener, address) = listen().await;
        for own in [address, SocketAddr::new([0, 0, 0, 0].into(), address.port())] {
            let prober = Prober::new(1, Duration::from_secs(5), own);
            assert_eq!(prober.probe(&at(address, false)).await, Outcome::Itself, "{own}");
        }
        let other = timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(other.is_err(), "it was connected to");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_takes_a_part_of_the_time_only() {
        let limit = Duration::from_secs(5);
        let start = tokio::time::Instant::now();
        let reply = unpaused_timeout(limit, async {
            // As a process that is stopped: nothing else runs meanwhile.
            tokio::time::advance(Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            "reply"
        });
        assert_eq!(reply.await, Some("reply"));
        assert_eq!(start.elapsed(), Duration::from_secs(63));
        assert_eq!(unpaused_timeout(limit, std::future::pending::<()>()).await, None);
    }
}
