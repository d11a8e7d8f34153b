//! Bytes from a peer, cut into messages.

use std::ops::Range;

use bytes::{Buf, BytesMut};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// At least so much room is offered to a read.
const MIN_ROOM: usize = 4 << 10;
/// The buffer grows by its own size, within these bounds.
const GROWTH: Range<usize> = (16 << 10)..(1 << 20);
/// An empty buffer larger than this is given back.
const KEPT: usize = 256 << 10;

/// A receive buffer that finds the messages in it, looking at no byte twice.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: BytesMut,
    framer: Framer,
    /// When the first byte of the message under way came.
    began: Instant,
    latest: Instant,
}

/// One whole message.
#[derive(Debug)]
pub(crate) struct Frame {
    range: Range<usize>,
    /// When its first byte came.
    pub(crate) began: Instant,
    /// When its last byte came.
    pub(crate) done: Instant,
}

impl Frame {
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }
}

impl Inbox {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let limits = FrameLimits { max_bytes, max_depth: FrameLimits::DEEPEST };
        let now = Instant::now();
        Self { buffer: BytesMut::new(), framer: Framer::new(limits), began: now, latest: now }
    }

    /// Reads once; 0 means the peer is done. Nothing is lost when the future is dropped.
    pub(crate) async fn fill(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> std::io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < MIN_ROOM {
            self.buffer.reserve(self.buffer.len().clamp(GROWTH.start, GROWTH.end));
        }
        let count = reader.read_buf(&mut self.buffer).await?;
        self.latest = Instant::now();
        if !self.framer.is_inside() {
            self.began = self.latest;
        }
        Ok(count)
    }

    /// The next whole message; [`bytes`](Self::bytes) has its text until [`release`](Self::release).
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(range) = self.framer.next(&self.buffer)? else { return Ok(None) };
        let frame = Frame { range, began: self.began, done: self.latest };
        self.began = self.latest;
        Ok(Some(frame))
    }

    pub(crate) fn bytes(&self, frame: &Frame) -> &[u8] {
        self.buffer.get(frame.range.clone()).unwrap_or_default()
    }

    /// Forgets every message handed out so far.
    pub(crate) fn release(&mut self) {
        let done = self.framer.unfinished_from();
        self.buffer.advance(done);
        self.framer.consumed(done);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
    }

    /// Whether nothing is left but what was released.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether nothing but white space came after the messages handed out. What else there is
    /// cannot be read any more.
    pub(crate) fn is_clean(&mut self) -> bool {
        let clean = matches!(self.next(), Ok(None)) && !self.framer.is_inside();
        self.release();
        clean
    }
}
