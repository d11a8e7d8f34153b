//! Room for messages and answers, bounded in sum: who sends slowly or reads nothing makes the gateway keep them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that need no room, so that short messages are served whoever takes the rest.
const FREE: usize = 64 << 10;
/// Bytes are counted by so many.
const UNIT: usize = 1 << 10;

/// All there is.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    units: Arc<Semaphore>,
}

/// Some of it, as long as it is held.
#[derive(Debug)]
pub(super) struct Held {
    _units: Option<OwnedSemaphorePermit>,
}

/// Bytes, and the room for them.
struct Housed {
    bytes: String,
    _held: Held,
}

impl AsRef<[u8]> for Housed {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).min(Semaphore::MAX_PERMITS);
        Self { bytes, units: Arc::new(Semaphore::new(units)) }
    }

    /// Room for so many bytes.
    ///
    /// # Errors
    /// There is none, and why.
    pub(super) fn take(&self, bytes: usize) -> Result<Held, String> {
        if bytes <= FREE {
            return Ok(Held { _units: None });
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match Arc::clone(&self.units).try_acquire_many_owned(units) {
            Ok(units) => Ok(Held { _units: Some(units) }),
            Err(_) => Err(format!(
                "busy: {} bytes are kept for all callers (max_buffered_bytes); try again later, or with less",
                self.bytes
            )),
        }
    }

    /// The bytes with room for them, until they are dropped.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn house(&self, mut bytes: String) -> Result<Bytes, String> {
        bytes.shrink_to_fit();
        let held = self.take(bytes.len())?;
        Ok(Bytes::from_owner(Housed { bytes, _held: held }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_as_much_as_there_is_until_it_is_dropped_and_short_messages_need_none() {
        let room = Room::new(256 << 10);
        let first = room.house("x".repeat(200 << 10)).unwrap();
        let second = first.slice(..10);
        drop(first);
        assert!(room.take(100 << 10).unwrap_err().contains("max_buffered_bytes"));
        assert!(room.take(FREE).is_ok());
        drop(second);
        assert!(room.take(100 << 10).is_ok());
    }
}
