//! One end of a connection of TLS, read by one task and written by another, perhaps.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::Connection;
use rustls::pki_types::CertificateDer;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The largest part of what is written that goes into one record: the peer can read all of it, or none.
const RECORD: usize = 16 * 1024;

/// One end of a connection of TLS, after the handshake. Dropping it says good-bye, as far as that can be written
/// at once, and closes the socket.
///
/// What is written at once goes record by record, and counts as written when all of its record
/// is with the system. Of what does not, the peer can read nothing.
#[derive(Debug)]
pub struct Tls {
    writer: OwnedWriteHalf,
    /// Locked briefly, by the reader and the writer.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    reader: OwnedReadHalf,
    connection: Connection,
    /// Bytes that were encrypted for `try_write`, and do not count as written yet.
    held: usize,
}

impl Tls {
    /// After the handshake.
    pub(crate) fn new(stream: TcpStream, connection: Connection) -> Self {
        let (reader, writer) = stream.into_split();
        Self { writer, state: Mutex::new(State { reader, connection, held: 0 }) }
    }

    /// The socket itself.
    pub(crate) fn tcp(&self) -> &TcpStream {
        self.writer.as_ref()
    }

    pub(crate) fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        let state = self.state();
        let shown = state.connection.peer_certificates()?;
        Some(shown.iter().map(|certificate| certificate.clone().into_owned()).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is nothing to read; then the task is woken by what arrives.
    pub(crate) fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        let mut state = self.state();
        let is_empty = state
            .connection
            .process_new_packets()
            .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed());
        is_empty && self.tcp().poll_read_ready(context).is_pending()
    }

    /// Reads once. The end of the socket is the end, with a good-bye or without: whoever reads messages finds that
    /// one is not whole.
    pub(crate) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        loop {
            match take(&mut state.connection, buffer) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            let State { reader, connection, held } = &mut *state;
            match connection.read_tls(&mut Arriving { reader, context }) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
            let processed = connection.process_new_packets();
            // An alert, or what the peer needs to go on; what does not fit goes with the next write. A record of
            // which nobody knows yet whether it will be written waits for that.
            let flushed = if *held == 0 { self.flush(connection) } else { Ok(false) };
            if let Err(error) = processed {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            flushed?;
        }
    }

    /// Writes what was encrypted, as far as the socket takes it; whether that was all.
    fn flush(&self, connection: &mut Connection) -> io::Result<bool> {
        while connection.wants_write() {
            match connection.write_tls(&mut AtOnce(&self.writer)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Writes as many bytes as it can at once, by whole records.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let State { connection, held, .. } = &mut *state;
        let mut written = 0;
        loop {
            let rest = bytes.get(written..).unwrap_or_default();
            if *held == 0 {
                if rest.is_empty() {
                    return Ok(written);
                }
                // What the peer asked for, before.
                if !self.flush(connection)? {
                    break;
                }
                *held = connection.writer().write(&rest[..rest.len().min(RECORD)])?;
            }
            if !self.flush(connection)? {
                break;
            }
            written += std::mem::take(held);
        }
        match written {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            written => Ok(written),
        }
    }

    /// Takes bytes when those before are with the system.
    pub(crate) fn poll_write(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    pub(crate) fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(context))?;
        let mut state = self.state();
        let connection = &mut state.connection;
        let count = connection.writer().write_vectored(slices)?;
        // The rest goes with the next write, or flush.
        self.flush(connection)?;
        Poll::Ready(Ok(count))
    }

    pub(crate) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        while !self.flush(&mut state.connection)? {
            ready!(self.tcp().poll_write_ready(context))?;
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().connection.send_close_notify();
        ready!(self.poll_flush(context))?;
        Poll::Ready(SockRef::from(self.tcp()).shutdown(Shutdown::Write))
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let mut state = self.state();
        // What does not count as written must not arrive.
        if state.held == 0 {
            state.connection.send_close_notify();
            // The peer may have gone.
            let _ = self.flush(&mut state.connection);
        }
    }
}

/// Moves what was decrypted, as far as there is room. The buffer is not filled with zeros first, which costs as much as
/// a short message.
fn take(connection: &mut Connection, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
    let mut reader = connection.reader();
    let before = buffer.filled().len();
    while buffer.remaining() > 0 {
        let chunk = match reader.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => chunk,
            // Said again the next time.
            Err(_) if buffer.filled().len() > before => break,
            Err(error) => return Err(error),
        };
        let count = chunk.len().min(buffer.remaining());
        buffer.put_slice(&chunk[..count]);
        reader.consume(count);
    }
    Ok(())
}

/// What has arrived; the task is woken by more.
struct Arriving<'a, 'b> {
    reader: &'a mut OwnedReadHalf,
    context: &'a mut Context<'b>,
}

impl Read for Arriving<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.reader).poll_read(self.context, &mut buffer) {
            Poll::Ready(done) => done.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// What the socket takes at once.
struct AtOnce<'a>(&'a OwnedWriteHalf);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
