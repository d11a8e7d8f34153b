//! The messages of a call as they were on the wire, for callers that ask for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records what a call sends and receives, see [`Request::wire`](crate::Request::wire). Cheap to clone;
/// clones share the messages. Calls without one copy nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = rpc_tests::fakes::adder().await;
/// # let client = rpc_client::Client::direct(server.name(), Default::default())?;
/// use rpc_client::{Request, WireLog};
///
/// let log = WireLog::new(1024);
/// client.request(Request::new("add", (1, 2))?.recorded(log.clone())).await?;
/// for message in log.take() {
///     println!("{} {}", message.is_sent, String::from_utf8_lossy(&message.bytes));
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct WireLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_bytes: usize,
    messages: Mutex<Vec<WireMessage>>,
}

/// One message of a call: a request, a reply, an item of a stream, or a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMessage {
    /// Whether the client sent it; otherwise it was received.
    pub is_sent: bool,
    /// The message, or its start if it is over the limit.
    pub bytes: Vec<u8>,
    /// Size of the whole message.
    pub size: usize,
}

impl WireLog {
    /// An empty log that keeps at most `max_bytes` of each message.
    pub fn new(max_bytes: usize) -> Self {
        Self(Arc::new(Shared { max_bytes, messages: Mutex::default() }))
    }

    /// The messages since the last `take`, oldest first.
    pub fn take(&self) -> Vec<WireMessage> {
        std::mem::take(&mut *self.messages())
    }

    pub(crate) fn sent(&self, message: &[u8]) {
        self.add(true, message);
    }

    pub(crate) fn received(&self, message: &[u8]) {
        self.add(false, message);
    }

    fn add(&self, is_sent: bool, message: &[u8]) {
        let bytes = message.get(..self.0.max_bytes).unwrap_or(message).to_vec();
        self.messages().push(WireMessage { is_sent, bytes, size: message.len() });
    }

    fn messages(&self) -> MutexGuard<'_, Vec<WireMessage>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_is_kept_in_part_and_a_message_is_taken_once() {
        let log = WireLog::new(3);
        log.sent(b"abc");
        log.clone().received(b"abcdef");
        let message =
            |is_sent, bytes: &[u8], size| WireMessage { is_sent, bytes: bytes.to_vec(), size };
        assert_eq!(log.take(), [message(true, b"abc", 3), message(false, b"abc", 6)]);
        assert_eq!(log.take(), []);
    }
}
