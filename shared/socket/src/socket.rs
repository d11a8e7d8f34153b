//! The whole socket.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;

use tokio::net::TcpStream;

#[cfg(feature = "tls")]
use crate::Tls;
use crate::asynchronous::{asynchronous_read, asynchronous_write};
use crate::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

/// A TCP socket, plain or inside TLS.
#[derive(Debug)]
pub enum Socket {
    /// What is written is what is sent.
    Plain(TcpStream),
    /// Inside TLS, after the handshake.
    #[cfg(feature = "tls")]
    Tls(Arc<Tls>),
}

impl Socket {
    /// The socket itself: what is read or written there is what is sent.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.tcp(),
        }
    }

    /// Its halves, as long as it is borrowed.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.split();
                (ReadHalf::Plain(reader), WriteHalf::Plain(writer))
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => (ReadHalf::Tls(tls), WriteHalf::Tls(tls)),
        }
    }

    /// Its halves, each on its own.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (OwnedReadHalf::Plain(reader), OwnedWriteHalf::Plain(writer))
            }
            #[cfg(feature = "tls")]
            Self::Tls(tls) => (OwnedReadHalf::Tls(Arc::clone(&tls)), OwnedWriteHalf::Tls(tls)),
        }
    }

    /// Whether what is written is what is sent.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The TCP socket, if it is plain.
    pub fn into_plain(self) -> Option<TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Self::Tls(_) => None,
        }
    }

    /// The certificates that the peer has shown, its own first; none where it did not have to.
    #[cfg(feature = "tls")]
    pub fn peer_certificates(&self) -> Option<Vec<rustls::pki_types::CertificateDer<'static>>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.peer_certificates(),
        }
    }

    /// Waits until there may be something to read, or the end.
    ///
    /// # Errors
    /// The system's.
    pub async fn readable(&self) -> io::Result<()> {
        self.tcp().readable().await
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self::Plain(stream)
    }
}

asynchronous_read!(Socket);
asynchronous_write!(Socket);
