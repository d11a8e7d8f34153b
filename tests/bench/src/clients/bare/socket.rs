//! A bare socket, plain or inside TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// A server, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Peer {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Peer {
    /// A server inside TLS, whose certificate is for its address.
    pub fn inside_tls(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        Self { address, tls: Some(config) }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// An open connection.
pub(super) struct Socket {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// Connects; inside TLS, the handshake is over.
    pub(super) fn open(peer: &Peer) -> anyhow::Result<Self> {
        let mut tcp = super::open(peer.address)?;
        let tls = match &peer.tls {
            None => None,
            Some(config) => {
                let name = ServerName::IpAddress(peer.address.ip().into());
                let mut tls = ClientConnection::new(Arc::clone(config), name)?;
                // What arrives with the end of the handshake is kept for the first reply.
                while tls.is_handshaking() {
                    tls.complete_io(&mut tcp)?;
                }
                Some(Box::new(tls))
            }
        };
        Ok(Self { tcp, tls })
    }

    /// The socket, to be polled.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Sends what the system takes at once; `None` if that is nothing. Inside TLS it waits until all of it is sent.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        if let Some(tls) = &mut self.tls {
            let taken = tls.writer().write(bytes)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.tcp)?;
            }
            return Ok(Some(taken));
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            match send(&self.tcp, bytes, flags) {
                Ok(sent) => return Ok(Some(sent)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for bytes, and returns all that have arrived if `buffer` has room for a read of the socket; 0 at the end.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(buffer) };
        let mut received = 0;
        loop {
            match tls.reader().read(&mut buffer[received..]) {
                Ok(0) => return Ok(received),
                Ok(count) => received += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock && received > 0 => {
                    return Ok(received);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if tls.read_tls(&mut self.tcp)? == 0 {
                        return Ok(0);
                    }
                    tls.process_new_packets().map_err(io::Error::other)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
