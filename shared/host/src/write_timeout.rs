//! A stream with a write timeout: a peer that stops reading gets disconnected.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::watched::{Watch, Watched};

/// Fails a write that made no progress for a time.
#[derive(Debug)]
pub struct WriteTimeout {
    timeout: Duration,
    /// Runs while a write is pending.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    /// The stream, with this timeout.
    pub fn of<S>(stream: S, timeout: Duration) -> Watched<S, Self> {
        Watched::new(stream, Self { timeout, stalled: None })
    }
}

impl<S> Watch<S> for WriteTimeout {
    fn written(
        &mut self,
        context: &mut Context<'_>,
        _bytes: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_fails_the_write() {
        let (near, mut far) = duplex(8);
        let mut near = WriteTimeout::of(near, Duration::from_secs(30));
        near.write_all(b"12345678").await.unwrap();
        let stalled = near.write_all(b"9").await;
        assert_eq!(stalled.unwrap_err().kind(), io::ErrorKind::TimedOut);
        far.read_exact(&mut [0; 8]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_reads_something_is_not_disconnected() {
        let (near, mut far) = duplex(8);
        let mut near = WriteTimeout::of(near, Duration::from_secs(30));
        let reading = tokio::spawn(async move {
            for _ in 0..16 {
                sleep(Duration::from_secs(29)).await;
                far.read_u8().await.unwrap();
            }
        });
        near.write_all(&[7; 16]).await.unwrap();
        reading.await.unwrap();
    }
}
