//! The rest of an HTTP request's body, read and discarded when it is refused before that.

use std::error::Error;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

/// An unread body is read and discarded up to this size, so that a sender that reads no reply
/// before it has sent everything gets the reply instead of a reset connection.
pub const MAX_DISCARDED: usize = 32 * 1024 * 1024;

/// Reads and discards what is left of a body, at most so many bytes, for no longer than that. Not for one whose
/// sender waits for `100 Continue`: this would ask it to send.
pub async fn discard<B>(body: B, most: usize, within: Duration)
where
    B: BodyExt + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.is_end_stream() {
        return;
    }
    let mut rest = Limited::new(body, most);
    let _ = timeout(within, async { while let Some(Ok(_)) = rest.frame().await {} }).await;
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_read_as_far_as_its_size_and_time_are_bounded() {
        let mut whole = Full::new(&b"12345"[..]);
        discard(&mut whole, 5, Duration::from_secs(1)).await;
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "");
        let began = Instant::now();
        let (sender, silent) = http_body_util::channel::Channel::<&[u8]>::new(1);
        discard(silent, 5, Duration::from_secs(1)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        drop(sender);
    }
}
