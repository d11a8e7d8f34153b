//! Room for messages and answers, bounded in sum: who sends slowly or reads nothing makes the gateway keep them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::tools::Tools;

/// Bytes that need no room, so that short messages are served whoever takes the rest.
const FREE: usize = 8 << 10;
/// Bytes are counted by so many.
const UNIT: usize = 1 << 10;

/// All there is.
#[derive(Debug)]
pub(super) struct Room {
    bytes: usize,
    units: Arc<Semaphore>,
    list: Mutex<ListInUse>,
}

/// The list of tools that is being sent, with the room for it.
#[derive(Debug, Default)]
struct ListInUse {
    tools: Weak<Tools>,
    held: Weak<Held>,
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
        Self { bytes, units: Arc::new(Semaphore::new(units)), list: Mutex::default() }
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

    /// Room for a list of tools, one for all who read it. Each list that is still read has its own.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn share(&self, tools: &Arc<Tools>) -> Result<Arc<Held>, String> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = list.held.upgrade()
            && list.tools.as_ptr() == Arc::as_ptr(tools)
        {
            return Ok(held);
        }
        let held = Arc::new(self.take(tools.kept_bytes())?);
        *list = ListInUse { tools: Arc::downgrade(tools), held: Arc::downgrade(&held) };
        Ok(held)
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
    use rpc_wire::signature::Signature;
    use serde_json::json;

    use super::*;
    use crate::tools::tests::{reads, tools_of};

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

    #[test]
    fn a_list_takes_room_once_for_all_who_read_it_beside_those_before_that_are_still_read() {
        let list = || {
            let long = Signature { doc: "x".repeat(10 << 10), ..reads("", json!({})) };
            let named = |at: u8| Signature { name: format!("m{at}"), ..long.clone() };
            Arc::new(tools_of(&(0..20).map(named).collect::<Vec<_>>()))
        };
        let room = Room::new(300 << 10);
        let (before, now) = (list(), list());
        let readers = [(); 9].map(|()| room.share(&before).unwrap());
        assert!(room.share(&now).unwrap_err().contains("max_buffered_bytes"));
        drop(readers);
        let _reader = room.share(&now).unwrap();
        assert!(room.share(&before).is_err());
    }
}
