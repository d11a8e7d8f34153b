//! A port where nobody listens: for one who comes later, comes back, or never comes.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 on which nobody listens yet. While this lives nobody else is given it by
/// chance, for it is bound; who asks for it may listen there, for it does not listen itself.
pub struct ReservedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    /// Any free one.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::new_without_default, reason = "every one is another")]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self { address: socket.local_addr().unwrap(), _socket: socket }
    }

    /// Where it is.
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
