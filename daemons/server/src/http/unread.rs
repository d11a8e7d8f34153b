//! What a peer does not take of its replies, counted among all that is kept for peers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rpc_host::watched::Watch;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::buffers::{Account, Buffers, FREE_BYTES};

/// How often a peer that reads nothing is looked for, while too much is kept.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Watches the stream of a connection. A reply that can be written at once costs nothing; of one that cannot, all of it
/// is counted until it is out, since its memory is not freed before.
#[derive(Debug)]
pub(super) struct Unread<'a> {
    buffers: &'a Arc<Buffers>,
    kept: Option<Box<Kept>>,
}

/// What is kept for a peer that does not take it at once.
#[derive(Debug)]
struct Kept {
    account: Account,
    bytes: usize,
    stalled_since: Instant,
    /// Its memory is needed for others.
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    look: Option<Pin<Box<Sleep>>>,
}

impl<'a> Unread<'a> {
    pub(super) fn new(buffers: &'a Arc<Buffers>) -> Self {
        Self { buffers, kept: None }
    }

    fn keep(&mut self, bytes: usize) -> &mut Kept {
        let kept = self.kept.get_or_insert_with(|| Box::new(Kept::new(self.buffers)));
        kept.bytes = kept.bytes.max(bytes);
        kept
    }
}

impl<S> Watch<S> for Unread<'_> {
    fn written(
        &mut self,
        context: &mut Context<'_>,
        bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(all)) if all == bytes => self.kept = None,
            Poll::Ready(Ok(_)) if bytes > FREE_BYTES => {
                self.keep(bytes).stalled_since = Instant::now();
            }
            Poll::Pending if bytes > FREE_BYTES || self.kept.is_some() => {
                let buffers = self.buffers;
                return self.keep(bytes).wait(context, buffers);
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
            bytes: 0,
            stalled_since: Instant::now(),
            closing: Box::pin(closing.cancelled_owned()),
            look: None,
        }
    }

    /// Waits for the peer, as long as there is room for what it does not take.
    fn wait(&mut self, context: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<usize>> {
        self.account.set(self.bytes, Some(self.stalled_since));
        while self.account.is_over() {
            let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK_INTERVAL)));
            if look.as_mut().poll(context).is_pending() {
                break;
            }
            self.look = None;
            buffers.make_room(Instant::now());
        }
        match self.closing.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let why = "too much is kept for all peers, and this one reads nothing";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
        }
    }
}
