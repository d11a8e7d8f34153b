//! A port for a registry that comes later, or comes back.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port of loopback on which nobody listens yet. While this lives nobody else is given it by
/// chance, for it is bound; who asks for it may listen there, for it does not listen itself.
pub(crate) struct ReservedPort {
    pub(crate) number: u16,
    _socket: TcpSocket,
}

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self { number: socket.local_addr().unwrap().port(), _socket: socket }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.number)
    }
}
