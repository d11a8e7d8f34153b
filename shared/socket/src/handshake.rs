//! The handshakes of TLS, bounded in bytes; their time is their caller's to bound.

use std::io::{self, Read};
use std::sync::Arc;

use rustls::{ClientConnection, Connection, ServerConfig, ServerConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::{Socket, Tls};

/// What a peer may send before the handshake is over: long chains of certificates have a tenth of it.
const MAX_BYTES: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug)]
pub enum HandshakeError {
    /// The socket failed, or ended.
    Io(io::Error),
    /// What the peer sent is not TLS, it does not accept this side, or this side does not accept it. The socket is
    /// given back: a peer that is still sending loses what it was told when it is closed.
    Tls(rustls::Error, TcpStream),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Serves a handshake that begins with the `first` bytes, which were read already.
///
/// # Errors
/// See [`HandshakeError`].
pub async fn accept(
    stream: TcpStream,
    first: &[u8],
    config: Arc<ServerConfig>,
) -> Result<Socket, HandshakeError> {
    match ServerConnection::new(config) {
        Ok(connection) => shake(stream, first, connection.into()).await,
        Err(error) => Err(HandshakeError::Tls(error, stream)),
    }
}

/// Begins a handshake.
///
/// # Errors
/// See [`HandshakeError`].
pub async fn connect(
    stream: TcpStream,
    connection: ClientConnection,
) -> Result<Socket, HandshakeError> {
    shake(stream, &[], connection.into()).await
}

async fn shake(
    mut stream: TcpStream,
    mut first: &[u8],
    mut connection: Connection,
) -> Result<Socket, HandshakeError> {
    let mut received = first.len();
    let mut out = Vec::new();
    loop {
        let processed = match first.is_empty() {
            true => connection.process_new_packets().map(drop),
            false => take_first(&mut connection, &mut first)?,
        };
        while connection.wants_write() {
            connection.write_tls(&mut out)?;
        }
        // With an error, what says so to the peer.
        let sent = stream.write_all(&out).await;
        out.clear();
        if let Err(error) = processed {
            return Err(HandshakeError::Tls(error, stream));
        }
        sent?;
        if !connection.is_handshaking() {
            return Ok(Socket::Tls(Arc::new(Tls::new(stream, connection))));
        }
        if received > MAX_BYTES {
            let error = io::Error::new(io::ErrorKind::InvalidData, "the handshake is too long");
            return Err(error.into());
        }
        match read(&stream, &mut connection).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => received += count,
        }
    }
}

/// Passes on what was read before.
fn take_first(
    connection: &mut Connection,
    first: &mut &[u8],
) -> io::Result<Result<(), rustls::Error>> {
    while !first.is_empty() {
        connection.read_tls(first)?;
        if let Err(error) = connection.process_new_packets() {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

async fn read(stream: &TcpStream, connection: &mut Connection) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match connection.read_tls(&mut Arrived(stream)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// What has arrived.
struct Arrived<'a>(&'a TcpStream);

impl Read for Arrived<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}
