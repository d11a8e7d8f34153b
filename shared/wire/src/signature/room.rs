//! The memory that the values of one method list may take.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{MAX_MEMORY, MAX_VALUE};
use crate::json::memory_of_value;

/// What is left of the memory for the values of a method list.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_MEMORY)
    }
}

impl Room {
    /// The value, unless it is invalid, too long, or takes more memory than is left.
    pub(super) fn read<T: DeserializeOwned>(&mut self, text: &RawValue) -> Option<T> {
        if text.get().len() > MAX_VALUE {
            return None;
        }
        self.0 = self.0.checked_sub(memory_of_value(text.get()))?;
        serde_json::from_str(text.get()).ok()
    }
}
