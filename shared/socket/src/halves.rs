//! The halves of a socket.

use std::io;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::task::Context;

use tokio::net::{TcpStream, tcp};

#[cfg(feature = "tls")]
use crate::Tls;
use crate::asynchronous::{asynchronous_read, asynchronous_write};

/// The half that is read, borrowed of its socket.
#[derive(Debug)]
pub enum ReadHalf<'a> {
    /// Of a plain socket.
    Plain(tcp::ReadHalf<'a>),
    /// Inside TLS.
    #[cfg(feature = "tls")]
    Tls(&'a Tls),
}

/// The half that is written, borrowed of its socket.
#[derive(Debug)]
pub enum WriteHalf<'a> {
    /// Of a plain socket.
    Plain(tcp::WriteHalf<'a>),
    /// Inside TLS.
    #[cfg(feature = "tls")]
    Tls(&'a Tls),
}

/// The half that is read.
#[derive(Debug)]
pub enum OwnedReadHalf {
    /// Of a plain socket.
    Plain(tcp::OwnedReadHalf),
    /// Inside TLS.
    #[cfg(feature = "tls")]
    Tls(Arc<Tls>),
}

/// The half that is written.
#[derive(Debug)]
pub enum OwnedWriteHalf {
    /// Of a plain socket.
    Plain(tcp::OwnedWriteHalf),
    /// Inside TLS.
    #[cfg(feature = "tls")]
    Tls(Arc<Tls>),
}

macro_rules! reading {
    ($half:ty) => {
        impl AsRef<TcpStream> for $half {
            /// The socket itself: what is read there is what was sent.
            fn as_ref(&self) -> &TcpStream {
                match self {
                    Self::Plain(half) => half.as_ref(),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.tcp(),
                }
            }
        }

        asynchronous_read!($half);
    };
}

macro_rules! writing {
    ($half:ty) => {
        impl $half {
            /// Writes as many bytes as it can at once, and says how many. Those are with the system: the peer
            /// may have them, and no others. Inside TLS, whoever was told `WouldBlock` or of a part has to
            /// try the rest again, with nothing before it.
            ///
            /// # Errors
            /// `WouldBlock` if it can write none now; or the system's.
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                match self {
                    Self::Plain(half) => half.try_write(bytes),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.try_write(bytes),
                }
            }

            /// Waits until it may be able to write.
            ///
            /// # Errors
            /// The system's.
            pub async fn writable(&self) -> io::Result<()> {
                let socket = match self {
                    Self::Plain(half) => half.as_ref(),
                    #[cfg(feature = "tls")]
                    Self::Tls(tls) => tls.tcp(),
                };
                socket.writable().await
            }
        }

        asynchronous_write!($half);
    };
}

reading!(ReadHalf<'_>);
reading!(OwnedReadHalf);
writing!(WriteHalf<'_>);
writing!(OwnedWriteHalf);

impl OwnedReadHalf {
    /// Whether nothing has arrived that was not read. Then the task of `context`, and only that, is woken by what
    /// does.
    pub fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Plain(half) => half.as_ref().poll_read_ready(context).is_pending(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.is_quiet(context),
        }
    }
}

impl OwnedWriteHalf {
    /// Drops it without a shutdown: the socket is closed with the reading half.
    pub fn forget(self) {
        match self {
            Self::Plain(half) => half.forget(),
            #[cfg(feature = "tls")]
            Self::Tls(_) => {}
        }
    }
}
