//! Bytes from a peer, cut into messages.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BytesMut};
use rpc_wire::call::{Reply, ReplyError};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// Minimum free room before a read.
const MIN_ROOM: usize = 4 << 10;
/// The buffer grows by its own size, within these bounds.
const GROWTH: Range<usize> = (16 << 10)..(1 << 20);
/// An empty buffer with more capacity is freed.
const KEPT: usize = 256 << 10;

/// A receive buffer that finds the messages in it and scans no byte twice.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: BytesMut,
    framer: Framer,
    /// When the first byte of the unfinished message arrived.
    began: Instant,
    latest: Instant,
    /// No message was found so far.
    is_fresh: bool,
    /// A message that is to be returned again.
    put_back: Option<Frame>,
    heard: Option<Arc<Heard>>,
}

/// The bytes received from one peer, as a sign of life.
#[derive(Debug, Default)]
pub(crate) struct Heard(AtomicU64);

impl Heard {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One whole message.
#[derive(Debug)]
pub(crate) struct Frame {
    range: Range<usize>,
    /// When its first byte arrived.
    pub(crate) began: Instant,
    /// When its last byte arrived.
    pub(crate) done: Instant,
    /// Whether it is the first of its connection.
    pub(crate) is_first: bool,
}

/// A message, its bytes, and its reply or why it is invalid.
pub(crate) type FramedReply<'a> = (Frame, &'a [u8], Result<Reply<'a>, ReplyError>);

impl Frame {
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }
}

impl Inbox {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self::heard_by(max_bytes, None)
    }

    /// The same, whose bytes are counted.
    pub(crate) fn heard_by(max_bytes: usize, heard: Option<Arc<Heard>>) -> Self {
        let limits = FrameLimits { max_bytes, max_depth: FrameLimits::DEEPEST };
        let now = Instant::now();
        Self {
            buffer: BytesMut::new(),
            framer: Framer::new(limits),
            began: now,
            latest: now,
            is_fresh: true,
            put_back: None,
            heard,
        }
    }

    /// Reads once; 0 means that the peer has closed. Nothing is lost if the future is dropped.
    pub(crate) async fn fill(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> std::io::Result<usize> {
        // An empty buffer is filled from its start again: that part of it is in the CPU's cache.
        let room = if self.buffer.is_empty() { GROWTH.start } else { MIN_ROOM };
        if self.buffer.capacity() - self.buffer.len() < room {
            // White space belongs to no message: without this, endless white space would be kept.
            if !self.buffer.is_empty() && self.put_back.is_none() {
                self.release();
            }
            self.buffer.reserve(self.buffer.len().clamp(GROWTH.start, GROWTH.end));
        }
        let count = reader.read_buf(&mut self.buffer).await?;
        self.latest = Instant::now();
        if let Some(heard) = &self.heard {
            heard.0.fetch_add(count as u64, Ordering::Relaxed);
        }
        if !self.framer.is_inside() {
            self.began = self.latest;
        }
        Ok(count)
    }

    /// The next whole message as a reply, which borrows from here until [`release`](Self::release).
    pub(crate) fn next_reply(&mut self) -> Result<Option<FramedReply<'_>>, FrameError> {
        if let Some(frame) = self.put_back.take() {
            let bytes = self.buffer.get(frame.range.clone()).unwrap_or_default();
            return Ok(Some((frame, bytes, Reply::parse(bytes))));
        }
        let Some((reply, range)) = Reply::next(&mut self.framer, &self.buffer)? else {
            return Ok(None);
        };
        let bytes = self.buffer.get(range.clone()).unwrap_or_default();
        let is_first = std::mem::replace(&mut self.is_fresh, false);
        let frame = Frame { range, began: self.began, done: self.latest, is_first };
        self.began = self.latest;
        Ok(Some((frame, bytes, reply)))
    }

    /// The next whole message, whatever it is; with nothing [put back](Self::put_back).
    pub(crate) fn next_frame(&mut self) -> Result<Option<(Frame, &[u8])>, FrameError> {
        let Some(range) = self.framer.next(&self.buffer)? else { return Ok(None) };
        let bytes = self.buffer.get(range.clone()).unwrap_or_default();
        let is_first = std::mem::replace(&mut self.is_fresh, false);
        let frame = Frame { range, began: self.began, done: self.latest, is_first };
        self.began = self.latest;
        Ok(Some((frame, bytes)))
    }

    /// Has [`next_reply`](Self::next_reply) return a message again: the latest, with nothing released
    /// since.
    pub(super) fn put_back(&mut self, frame: Frame) {
        self.put_back = Some(frame);
    }

    /// The bytes behind the last whole message.
    pub(crate) fn rest(&self) -> &[u8] {
        self.buffer.get(self.framer.unfinished_from()..).unwrap_or_default()
    }

    /// Whether what was not released yet begins with that.
    pub(crate) fn starts_with(&self, bytes: &[u8]) -> bool {
        self.buffer.starts_with(bytes)
    }

    /// Frees the bytes of every message taken out so far.
    pub(crate) fn release(&mut self) {
        let done = self.framer.unfinished_from();
        self.buffer.advance(done);
        self.framer.consumed(done);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
    }

    /// The time of the last read, or of the creation.
    pub(super) fn latest(&self) -> Instant {
        self.latest
    }

    /// Where its bytes are counted.
    pub(crate) fn counter(&self) -> Option<Arc<Heard>> {
        self.heard.clone()
    }

    /// Whether everything was released.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether only white space follows the messages taken out. Anything else is dropped.
    pub(crate) fn is_clean(&mut self) -> bool {
        let clean = matches!(self.next_reply(), Ok(None)) && !self.framer.is_inside();
        self.release();
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endless_white_space_takes_no_memory() {
        let mut inbox = Inbox::new(1 << 20);
        let mut endless = tokio::io::repeat(b'\n');
        for _ in 0..1000 {
            assert!(inbox.fill(&mut endless).await.unwrap() > 0);
            assert!(matches!(inbox.next_reply(), Ok(None)));
        }
        assert!(inbox.buffer.capacity() <= KEPT, "{} bytes", inbox.buffer.capacity());
        assert!(inbox.fill(&mut &b"{\"id\":7,\"end\":true}"[..]).await.unwrap() > 0);
        assert!(matches!(inbox.next_reply(), Ok(Some((_, _, Ok(Reply::End { id: 7 }))))));
    }
}
