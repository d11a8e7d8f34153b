//! What a connection holds of a request that has come, and of replies that its peer does not take, counted among all that is kept for
//! peers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rpc_host::watched::Watch;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::HEAD_BYTES;
use super::activity::Activity;
use crate::buffers::{Account, Buffers, FREE_BYTES, SMALL_BYTES};

/// How often a connection that waits for memory looks whether there is some.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Watches the stream of a connection. A small request costs nothing, nor does a reply that can be written at once; of one
/// that cannot, all of it is counted until it is out, since its memory is not freed before.
#[derive(Debug)]
pub(super) struct Unread<'a> {
    buffers: &'a Arc<Buffers>,
    activity: &'a Activity,
    /// Of the request that comes, with its head.
    arrived: usize,
    last_read: usize,
    kept: Option<Box<Kept>>,
}

/// What is kept for a peer that sends more than a small request, or does not take its replies at once.
#[derive(Debug)]
struct Kept {
    account: Account,
    unwritten: usize,
    stalled_since: Option<Instant>,
    /// Its memory is needed for others.
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    look: Option<Pin<Box<Sleep>>>,
}

impl<'a> Unread<'a> {
    pub(super) fn new(buffers: &'a Arc<Buffers>, activity: &'a Activity) -> Self {
        Self { buffers, activity, arrived: 0, last_read: 0, kept: None }
    }

    fn keep(&mut self) -> &mut Kept {
        self.kept.get_or_insert_with(|| Box::new(Kept::new(self.buffers)))
    }

    /// What hyper holds of a request that is not small, in a buffer that has as much room again. Of a longer one the body
    /// is counted where it is collected.
    fn held(&self) -> usize {
        if self.arrived > SMALL_BYTES { 2 * self.arrived.min(HEAD_BYTES) } else { 0 }
    }

    /// Counts what is held, and nothing if that is little.
    fn count(&mut self) {
        let held = self.held();
        match &mut self.kept {
            Some(kept) if held == 0 && kept.unwritten == 0 => self.kept = None,
            None if held == 0 => {}
            _ => self.keep().count(held),
        }
    }
}

impl<S> Watch<S> for Unread<'_> {
    fn room(&mut self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        if self.activity.take_asked() {
            // Of what came with the end of the request before it, hardly ever anything is left.
            self.arrived = self.last_read.min(SMALL_BYTES);
        }
        let buffers = self.buffers;
        // A body that is too much is refused where it is collected.
        while buffers.are_full() && !self.activity.is_asking() {
            if self.arrived < FREE_BYTES {
                return Poll::Ready(Some(FREE_BYTES - self.arrived));
            }
            ready!(self.keep().look(context, buffers));
        }
        Poll::Ready(None)
    }

    fn read(&mut self, read: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count @ 1..)) = read {
            self.last_read = *count;
            self.arrived += count;
            self.count();
        }
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(all)) if all == bytes => {
                if let Some(kept) = &mut self.kept {
                    (kept.unwritten, kept.stalled_since) = (0, None);
                    self.count();
                }
            }
            Poll::Ready(Ok(_)) if bytes > FREE_BYTES => {
                let kept = self.keep();
                kept.unwritten = kept.unwritten.max(bytes);
                kept.stalled_since = Some(Instant::now());
            }
            Poll::Pending if bytes > FREE_BYTES || self.kept.is_some() => {
                let (held, buffers) = (self.held(), self.buffers);
                let kept = self.keep();
                kept.unwritten = kept.unwritten.max(bytes);
                kept.stalled_since.get_or_insert_with(Instant::now);
                kept.count(held);
                return kept.wait(context, buffers);
            }
            _ => {}
        }
        written
    }
}

impl Kept {
    fn new(buffers: &Arc<Buffers>) -> Self {
        let closing = CancellationToken::new();
        Self {
            account: buffers.account(closing.clone()),
            unwritten: 0,
            stalled_since: None,
            closing: Box::pin(closing.cancelled_owned()),
            look: None,
        }
    }

    fn count(&mut self, held: usize) {
        self.account.set(held + self.unwritten, self.stalled_since);
    }

    /// Waits for the peer, as long as there is room for what it does not take.
    fn wait(&mut self, context: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<usize>> {
        while self.account.is_over() && self.look(context, buffers).is_ready() {}
        match self.closing.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let why = "too much is kept for all peers, and this one reads nothing";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
        }
    }

    /// Waits for a while, then makes room.
    fn look(&mut self, context: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_INTERVAL)));
        ready!(look.as_mut().poll(context));
        self.look = None;
        buffers.make_room(Instant::now());
        Poll::Ready(())
    }
}
