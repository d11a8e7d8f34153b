//! A stream of which each read and write is looked at.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Parts of a write that are short together are written as one, for which the system has less to do.
const ONE_PIECE: usize = 1024;

/// What is done about the reads and writes of a stream.
pub trait Watch<S> {
    /// How many bytes may be read now; `None`: as many as there are.
    fn room(&mut self, _context: &mut Context<'_>) -> Poll<Option<usize>> {
        Poll::Ready(None)
    }

    /// So many bytes were read, none at the end; or the peer is waited for, or the stream has failed.
    fn read(&mut self, _read: &Poll<io::Result<usize>>) {}

    /// So much was `written` of so many bytes; or the peer is waited for, or the stream has failed. The writer is
    /// told what this returns.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>>;

    /// All is with the system; or the peer is waited for, or the stream has failed.
    fn flushed(&mut self, _flushed: &Poll<io::Result<()>>) {}

    /// The stream is about to be dropped.
    fn dropped(&mut self, _stream: &S) {}
}

/// A stream, and what is done about its reads and writes.
#[derive(Debug)]
pub struct Watched<S, W: Watch<S>> {
    stream: S,
    watch: W,
}

impl<S, W: Watch<S>> Watched<S, W> {
    /// The stream, watched.
    pub fn new(stream: S, watch: W) -> Self {
        Self { stream, watch }
    }
}

impl<S, W: Watch<S>> Drop for Watched<S, W> {
    fn drop(&mut self) {
        self.watch.dropped(&self.stream);
    }
}

impl<S: AsyncRead + Unpin, W: Watch<S> + Unpin> AsyncRead for Watched<S, W> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = match ready!(this.watch.room(context)) {
            Some(most) if most < room => {
                let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
                let read = Pin::new(&mut this.stream).poll_read(context, &mut part);
                let count = part.filled().len();
                buffer.advance(count);
                read
            }
            _ => Pin::new(&mut this.stream).poll_read(context, buffer),
        };
        let read = read.map_ok(|()| buffer.filled().len() - before);
        if room > 0 {
            this.watch.read(&read);
        }
        read.map_ok(drop)
    }
}

impl<S: AsyncWrite + Unpin, W: Watch<S> + Unpin> AsyncWrite for Watched<S, W> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch.written(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let stream = Pin::new(&mut this.stream);
        let bytes = parts.iter().map(|part| part.len()).sum();
        let written = if bytes > ONE_PIECE {
            stream.poll_write_vectored(context, parts)
        } else {
            let mut whole = [0; ONE_PIECE];
            let mut rest = &mut whole[..];
            for part in parts {
                let place;
                (place, rest) = rest.split_at_mut(part.len());
                place.copy_from_slice(part);
            }
            stream.poll_write(context, &whole[..bytes])
        };
        this.watch.written(context, bytes, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.watch.flushed(&flushed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
