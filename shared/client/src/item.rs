//! One item of a stream, and the events that a connection sends to the stream's reader.

use serde_json::value::RawValue;

use crate::CallError;

/// One item of a stream.
#[derive(Debug, Clone)]
pub struct StreamItem {
    /// The item as it was written.
    pub value: Box<RawValue>,
    /// Items the server had to drop just before this one.
    pub dropped: u64,
}

/// What a connection sends to a stream's reader.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    Item(StreamItem),
    /// The end, with a last item or without.
    End(Option<StreamItem>),
    Failed(CallError),
}

impl StreamItem {
    pub(crate) fn new(value: &RawValue, dropped: u64) -> Self {
        Self { value: value.to_owned(), dropped }
    }
}
