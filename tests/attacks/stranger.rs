//! A stranger: its connections come from a loopback address of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A piece of a request; the large ones are shared.
pub(super) type Piece = Arc<[u8]>;

/// After this time a connection that was closed is opened again.
const AGAIN: Duration = Duration::from_millis(300);
const CONNECT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy)]
pub(super) struct Stranger(Ipv4Addr);

/// What a stranger does with replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replies {
    Read,
    Unread,
}

impl Stranger {
    /// Each number is another address, none of them the honest peer's 127.0.0.1.
    pub(super) fn number(number: u8) -> Self {
        Self(Ipv4Addr::new(127, 0, 0, 2 + number))
    }

    pub(super) fn address(self) -> Ipv4Addr {
        self.0
    }

    pub(super) async fn connect(self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.0, 0).into())?;
        let stream = timeout(CONNECT, socket.connect(to)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// As many connections as there are `requests`: each sends its own, and is opened again when it is
    /// closed. For ever.
    pub(super) async fn hold(
        self,
        to: SocketAddr,
        requests: impl IntoIterator<Item = Vec<Piece>>,
        replies: Replies,
    ) {
        let mut connections = JoinSet::new();
        for request in requests {
            connections.spawn(async move { self.persist(to, &request, replies).await });
        }
        connections.join_all().await;
    }

    /// One connection of [`hold`](Self::hold).
    pub(super) async fn persist(self, to: SocketAddr, request: &[Piece], replies: Replies) {
        loop {
            // An error is the other side's defence.
            let _ = self.once(to, request, replies).await;
            sleep(AGAIN).await;
        }
    }

    async fn once(self, to: SocketAddr, request: &[Piece], replies: Replies) -> io::Result<()> {
        let mut stream = self.connect(to).await?;
        if replies == Replies::Unread {
            for piece in request {
                stream.write_all(piece).await?;
            }
            stream.ready(Interest::ERROR).await?;
            return Ok(());
        }
        let (mut reader, mut writer) = stream.split();
        let write = async {
            for piece in request {
                writer.write_all(piece).await?;
            }
            std::future::pending::<io::Result<()>>().await
        };
        let read = async {
            let mut input = vec![0; 64 << 10];
            while reader.read(&mut input).await? > 0 {}
            Ok(())
        };
        tokio::select! {
            ended = write => ended,
            ended = read => ended,
        }
    }
}

/// A piece of text.
pub(super) fn piece(text: impl Into<String>) -> Piece {
    Piece::from(text.into().into_bytes())
}

/// As many letters as fit into a request of the largest size, with some room for the rest of it.
pub(super) fn letters() -> Piece {
    Piece::from(vec![b'x'; (4 << 20) - 512])
}
