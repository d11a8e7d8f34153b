//! A port where nothing listens yet, reserved for a later listener.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 on which nothing listens yet. It is bound, so the system gives it to no one
/// else; it does not listen, so a program that is given the number can.
pub struct ReservedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Any free port.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::new_without_default, reason = "each call reserves a port")]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a registry there.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
