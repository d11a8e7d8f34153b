//! A listening socket that goes on accepting whatever goes wrong with single connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Pause after an accept that failed for lack of files or memory, for others to free some.
const PAUSE: Duration = Duration::from_millis(50);
/// Minimum interval between log lines about such failures.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A listening socket: see [`listen`](super::listen). Connections that are not accepted yet wait in
/// its backlog.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    logged: Option<Instant>,
}

impl Listener {
    pub(super) fn new(socket: TcpListener) -> Self {
        Self { socket, logged: None }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// The socket is closed or no longer listens: no later accept can succeed.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    super::set_up(&stream);
                    return Ok((stream, peer));
                }
                Err(error) if is_one_of(&error, &LISTENER_GONE) => return Err(error),
                Err(error) if is_one_of(&error, &PEER_GONE) => {}
                Err(error) => {
                    self.log(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn log(&mut self, error: &io::Error) {
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            tracing::warn!(%error, "cannot accept connections, will retry");
        }
    }
}

const LISTENER_GONE: [Errno; 3] = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK];
/// The peer, or the way to it, had gone before it was accepted.
const PEER_GONE: [Errno; 9] = [
    Errno::CONNABORTED,
    Errno::CONNRESET,
    Errno::CONNREFUSED,
    Errno::PROTO,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::TIMEDOUT,
];

fn is_one_of(error: &io::Error, errors: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|error| errors.contains(&error))
}
