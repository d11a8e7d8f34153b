//! A way to a daemon that can be slow, broken or closed, as a network between two machines can, at run time.
//!
//! It listens only while the daemon does: a connection to the daemon is always open in advance, and one that
//! is accepted here goes on there. Otherwise a connect that the daemon refuses would have succeeded here.

mod relay;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use relay::relay;

/// How a connection through the proxy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    /// Time that bytes and ends take, each way: half of the round trip.
    pub delay: Duration,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// What is wrong with connections, those that are open and those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing that either side sends arrives.
    Silent,
    /// Nothing that the daemon sends arrives: it gets calls, and nobody its replies.
    HalfOpen,
    /// Nothing more is read, so that both sides come to write into full buffers.
    Unread,
    /// Each connection ends after so many more bytes from the daemon.
    Truncated {
        /// Bytes.
        after: usize,
    },
    /// Each connection is closed at once.
    Cut,
    /// Each connection is reset at once.
    Reset,
    /// Each connection is reset when its client has sent something, which the daemon does not get.
    ResetWhenUsed,
    /// New connections are refused; those that are open go on.
    Refused,
}

/// How long the proxy waits before it looks again whether the daemon listens.
const AGAIN: Duration = Duration::from_millis(5);

/// Dropping it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    port: ReservedPort,
    way: watch::Sender<Way>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 in front of `daemon`, which need not listen yet.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(daemon: SocketAddr, delay: Duration) -> io::Result<Self> {
        let port = ReservedPort::new()?;
        let (way, ways) = watch::channel(Way { delay, fault: None });
        let accepting = tokio::spawn(accept(port.address(), daemon, ways));
        Ok(Self { port, way, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on connections are like this.
    pub fn becomes(&self, fault: Option<Fault>) {
        self.way.send_modify(|way| way.fault = fault);
    }

    /// From now on bytes take so long, each way.
    pub fn delays(&self, delay: Duration) {
        self.way.send_modify(|way| way.delay = delay);
    }
}

async fn accept(address: SocketAddr, daemon: SocketAddr, mut ways: watch::Receiver<Way>) {
    loop {
        let closed = |way: &Way| way.fault == Some(Fault::Refused);
        if ways.wait_for(|way| !closed(way)).await.is_err() {
            return;
        }
        if let Ok(ahead) = TcpStream::connect(daemon).await
            && let Ok(listener) = listen(address)
        {
            let mut refused = ways.clone();
            tokio::select! {
                ended = refused.wait_for(closed) => if ended.is_err() { return },
                () = while_daemon_listens(&listener, ahead, daemon, &ways) => {}
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Accepts connections until the daemon refuses one.
async fn while_daemon_listens(
    listener: &TcpListener,
    mut ahead: TcpStream,
    daemon: SocketAddr,
    ways: &watch::Receiver<Way>,
) {
    loop {
        let accepted = tokio::select! {
            // It said that it drains, or closed it.
            _ = ahead.readable() => None,
            accepted = listener.accept() => match accepted {
                Ok((accepted, _)) => Some(accepted),
                Err(_) => continue,
            },
        };
        let next = TcpStream::connect(daemon).await;
        match accepted {
            Some(accepted) => {
                tokio::spawn(relay(accepted, ahead, ways.clone()));
            }
            // A daemon that drains may listen on, and say so on each new connection.
            None => tokio::time::sleep(AGAIN).await,
        }
        let Ok(next) = next else { return };
        ahead = next;
    }
}

/// A listener on a port that is reserved.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// A port of 127.0.0.1 that the system gives to no one else while nothing listens there.
#[derive(Debug)]
pub struct ReservedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl ReservedPort {
    /// A free one.
    ///
    /// # Errors
    /// There is none.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Who listens there has set it, too.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: socket.local_addr()?, _bound: socket })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests;
