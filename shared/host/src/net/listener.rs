//! A listening socket that goes on accepting whatever goes wrong with single connections, and when
//! there is no file left for one.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Pause after an accept that failed for lack of files or memory, for others to free some.
const PAUSE: Duration = Duration::from_millis(50);
/// Time to refuse a [`Accepted::Surplus`]: others wait for its file.
pub const SURPLUS_TIME: Duration = Duration::from_millis(100);
/// Minimum interval between log lines about such failures.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A listening socket: see [`listen`](super::listen). Connections that are not accepted yet wait in
/// its backlog.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    /// A file kept open for nothing: closed, it makes room for a connection that is refused.
    /// Otherwise peers would wait, connected, for as long as files are lacking.
    spare: Option<File>,
    tcp_user_timeout: Duration,
    failures: u64,
    logged: Option<Instant>,
}

/// An accepted connection.
#[derive(Debug)]
pub enum Accepted {
    /// It can be served.
    Connection(TcpStream, SocketAddr),
    /// It has the last file: say so, and close it within [`SURPLUS_TIME`]. No other can be accepted
    /// before.
    Surplus(TcpStream, SocketAddr),
}

impl Listener {
    pub(super) fn new(socket: TcpListener, tcp_user_timeout: Duration) -> Self {
        Self { socket, spare: None, tcp_user_timeout, failures: 0, logged: None }
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Another handle of the same socket: each connection is accepted from one of them. The socket
    /// listens until both are closed.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn duplicate(&self) -> io::Result<std::net::TcpListener> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.socket, 0)?.into())
    }

    /// The next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// The socket is closed or no longer listens: no later accept can succeed.
    pub async fn accept(&mut self) -> io::Result<Accepted> {
        self.has_spare();
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    if cfg!(not(target_os = "linux")) {
                        // A connection that refuses options reports its error when it is read.
                        let _ = super::set_options(&stream, self.tcp_user_timeout);
                    }
                    return Ok(match self.has_spare() {
                        true => Accepted::Connection(stream, peer),
                        false => Accepted::Surplus(stream, peer),
                    });
                }
                Err(error) if is_one_of(&error, &LISTENER_GONE) => return Err(error),
                Err(error) if is_one_of(&error, &PEER_GONE) => {}
                Err(error) => {
                    self.failed(&error);
                    let makes_room = is_one_of(&error, &NO_FILE) && self.spare.take().is_some();
                    if !makes_room {
                        sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Accepts that failed for lack of files or memory: at most one for each connection, and 20 a
    /// second.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn has_spare(&mut self) -> bool {
        if self.spare.is_none() {
            self.spare = File::open("/dev/null").ok();
        }
        self.spare.is_some()
    }

    fn failed(&mut self, error: &io::Error) {
        self.failures += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            let failures = self.failures;
            tracing::warn!(%error, failures, "cannot accept connections; they are refused or wait");
        }
    }
}

const LISTENER_GONE: [Errno; 3] = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK];
/// None in this process, or none in the system.
const NO_FILE: [Errno; 2] = [Errno::MFILE, Errno::NFILE];
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
